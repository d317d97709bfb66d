import { assertEquals } from "@std/assert";
import { BreakerReport } from "../../src/agent/breaker_report.ts";
import { type Breaker, NEW_BREAKER } from "../../src/breaker/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

const OPEN: Breaker = {
  state: "open",
  generation: 1,
  failures: 5,
  trips: 1,
  reason: "HTTP 500",
  sinceMs: 0,
  untilMs: 60_000,
};

const CLOSED: Breaker = {
  state: "closed",
  generation: 3,
  failures: 0,
  recent: [false, true, false, false],
};

Deno.test("BreakerReport reports all breakers when one has changed, and once", () => {
  const clock = new FakeClock();
  const report = new BreakerReport(clock, [["connection", NEW_BREAKER]]);
  assertEquals(report.next([["connection", NEW_BREAKER]]), null);
  assertEquals(report.next([["connection", NEW_BREAKER], ["apt", NEW_BREAKER]]), null);
  const changed = [["connection", NEW_BREAKER], ["apt", OPEN], ["dnf", CLOSED]] as const;
  const event = report.next(changed);
  const { subsystems, timestamp } = JSON.parse(event?.body ?? "");
  assertEquals([event?.kind, event?.snapshotOf], ["circuit_breakers", "circuit_breakers"]);
  const nextAttempt = new Date(Date.parse(timestamp) + 60_000 - clock.monotonicMs()).toISOString();
  assertEquals(subsystems, [
    { name: "connection", state: "closed", recent_failures: 0, consecutive_success: 0 },
    {
      name: "apt",
      state: "open",
      recent_failures: 5,
      consecutive_success: 0,
      next_attempt: nextAttempt,
    },
    { name: "dnf", state: "closed", recent_failures: 0, consecutive_success: 2 },
  ]);
  assertEquals(report.next(changed), null);
});

Deno.test("BreakerReport reports at most once in 5 minutes, and then what is so", async () => {
  const clock = new FakeClock();
  const report = new BreakerReport(clock, []);
  assertEquals(report.next([["apt", OPEN]])?.kind, "circuit_breakers");
  const { untilMs: _, ...rest } = OPEN;
  const halfOpen: Breaker = { ...rest, state: "half_open", generation: 2, probeUntilMs: null };
  await clock.advance(299_999);
  assertEquals(report.next([["apt", halfOpen]]), null);
  await clock.advance(1);
  const { subsystems } = JSON.parse(report.next([["apt", halfOpen]])?.body ?? "");
  assertEquals(subsystems[0].state, "half-open");
});

Deno.test("BreakerReport takes the breakers of the start for known", () => {
  const report = new BreakerReport(new FakeClock(), [["apt", OPEN]]);
  assertEquals(report.next([["apt", OPEN]]), null);
});
