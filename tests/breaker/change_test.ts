import { assertEquals } from "@std/assert";
import { type Breaker, NEW_BREAKER } from "../../src/breaker/breaker.ts";
import { breakerChange } from "../../src/breaker/change.ts";
import { tellChange } from "../../src/breaker/change_log.ts";
import { FakeLog } from "../fakes/log.ts";

const tripped = { failures: 5, trips: 1, reason: "HTTP 502", sinceMs: 1_000 };
const closed: Breaker = { ...NEW_BREAKER, failures: 4 };
const open: Breaker = { state: "open", generation: 1, ...tripped, untilMs: 61_000 };
const halfOpen: Breaker = { state: "half_open", generation: 2, ...tripped, probeUntilMs: null };

Deno.test("breakerChange() tells each transition, and nothing where there is none", () => {
  assertEquals(breakerChange(closed, { ...closed, failures: 5 }, 0), null);
  assertEquals(breakerChange(closed, open, 1_000), {
    from: "closed",
    to: "open",
    why: "HTTP 502",
    failures: 5,
    openForMs: 60_000,
    troubleMs: 0,
  });
  assertEquals(breakerChange(open, halfOpen, 61_000), {
    from: "open",
    to: "half_open",
    why: "HTTP 502",
    failures: 5,
    openForMs: null,
    troubleMs: 60_000,
  });
  const healed = breakerChange(halfOpen, { ...NEW_BREAKER, generation: 3 }, 62_000);
  assertEquals(healed, {
    from: "half_open",
    to: "closed",
    why: "",
    failures: 5,
    openForMs: null,
    troubleMs: 61_000,
  });
});

Deno.test("tellChange() is one line: what, from, to, why, how long, how many failures", () => {
  const log = new FakeLog();
  tellChange(log, { what: "connection" }, breakerChange(closed, open, 1_000)!);
  tellChange(log, { what: "scanner", scanner: "apt" }, breakerChange(open, halfOpen, 61_000)!);
  assertEquals(log.events.map(({ level, message }) => [level, message]), [
    ["warning", "connection breaker opened"],
    ["info", "scanner breaker half-open"],
  ]);
  assertEquals(log.events[0]?.fields, {
    from: "closed",
    to: "open",
    why: "HTTP 502",
    failures: 5,
    open_for_s: 60,
  });
  const { scanner, why, failures } = log.events[1]?.fields ?? {};
  assertEquals([scanner, why, failures], ["apt", "HTTP 502", 5]);
});

Deno.test("tellChange() sums up how long the trouble was, to a tenth of a second", () => {
  const log = new FakeLog();
  const healed = breakerChange(halfOpen, { ...NEW_BREAKER, generation: 3 }, 62_260)!;
  tellChange(log, { what: "connection" }, healed);
  assertEquals(log.events, [{
    level: "info",
    message: "connection breaker closed",
    fields: { from: "half_open", to: "closed", failures: 5, trouble_s: 61.3 },
  }]);
});
