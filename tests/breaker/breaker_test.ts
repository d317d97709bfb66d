import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  admit,
  advance,
  type Breaker,
  type BreakerPolicy,
  type BreakerStep,
  breakerTransition,
  logTransition,
  NEW_BREAKER,
  type Permit,
  settle,
  type Verdict,
} from "../../src/breaker/breaker.ts";
import { breakerRules } from "../fakes/breaker_numbers.ts";
import { FakeLog } from "../fakes/log.ts";

const policy: BreakerPolicy = {
  ...breakerRules,
  openMs: ({ trips }) => 60_000 * trips,
};

function at(nowMs: number): BreakerStep {
  return { nowMs, policy, random: () => 0.5 };
}

function call(breaker: Breaker, verdict: Verdict, nowMs: number): Breaker {
  const admission = admit(breaker, at(nowMs));
  assert(admission.admitted, `refused at ${nowMs}`);
  const { permit } = admission;
  return settle(admission.breaker, { permit, verdict, reason: "HTTP 502" }, at(nowMs));
}

function settleLate(
  breaker: Breaker,
  result: { permit: Permit; verdict: Verdict },
  nowMs: number,
): Breaker {
  return settle(breaker, { ...result, reason: "late" }, at(nowMs));
}

function fail(times: number, breaker: Breaker = NEW_BREAKER): Breaker {
  for (let count = 0; count < times; count++) breaker = call(breaker, "failure", 0);
  return breaker;
}

Deno.test("settle() opens at the fifth failure in a row and not at the fourth", () => {
  assertEquals(fail(4).state, "closed");
  assertEquals(fail(5), {
    state: "open",
    generation: 1,
    failures: 5,
    trips: 1,
    reason: "HTTP 502",
    sinceMs: 0,
    untilMs: 60_000,
  });
});

Deno.test("settle() forgets the row at a success", () => {
  const breaker = call(fail(4), "success", 0);
  assertEquals(breaker.failures, 0);
});

Deno.test("settle() opens at five failures of the last ten, however they are spread", () => {
  let breaker = NEW_BREAKER;
  for (let pair = 0; pair < 4; pair++) {
    breaker = call(call(breaker, "failure", 0), "success", 0);
  }
  assertEquals(breaker.state, "closed");
  assertEquals(call(breaker, "failure", 0).state, "open");
});

Deno.test("settle() lets failures older than the window go", () => {
  let breaker = fail(4);
  for (let count = 0; count < 7; count++) breaker = call(breaker, "success", 0);
  // The window now holds three old failures and seven successes.
  assertEquals(call(breaker, "failure", 0).state, "closed");
});

Deno.test("settle() remembers as many results as the window holds, and none without a window", () => {
  for (const windowSize of [0, 1, 3]) {
    let breaker: Breaker = NEW_BREAKER;
    const step = { ...at(0), policy: { ...policy, consecutiveFailures: 99, windowSize } };
    for (let count = 0; count < 4; count++) {
      const permit = { generation: 0, probe: false };
      breaker = settle(breaker, { permit, verdict: "failure", reason: "" }, step);
    }
    assert(breaker.state === "closed");
    assertEquals([breaker.recent.length, breaker.failures], [windowSize, 4]);
  }
});

Deno.test("settle() takes a neutral result for no result", () => {
  const before = fail(4);
  assertEquals(call(before, "neutral", 0), before);
});

Deno.test("admit() refuses while open, with the time left, and admits at untilMs", () => {
  const open = fail(5);
  const refused = admit(open, at(59_999));
  assertEquals(refused, { admitted: false, breaker: open, retryInMs: 1 });
  assert(admit(open, at(60_000)).admitted);
});

Deno.test("admit() gives a half-open breaker's one probe to the first of a hundred", () => {
  let breaker = fail(5);
  const admissions = Array.from({ length: 100 }, () => {
    const admission = admit(breaker, at(60_000));
    breaker = admission.breaker;
    return admission;
  });
  assertEquals(admissions.filter(({ admitted }) => admitted).length, 1);
  assertEquals(admissions[99], { admitted: false, breaker, retryInMs: 10_000 });
});

Deno.test("settle() closes at the probe's success", () => {
  const closed = call(fail(5), "success", 60_000);
  assertEquals(closed, { state: "closed", generation: 3, failures: 0, recent: [] });
});

Deno.test("settle() opens again, for longer, at the probe's failure", () => {
  const again = call(fail(5), "failure", 60_000);
  assert(again.state === "open");
  assertEquals(again.trips, 2);
  assertEquals(again.failures, 6);
  assertEquals(again.sinceMs, 0);
  assertEquals(again.untilMs, 60_000 + 120_000);
});

Deno.test("settle() gives the probe's permit back at a neutral result", () => {
  const breaker = call(fail(5), "neutral", 60_000);
  assertEquals(breaker.state, "half_open");
  assert(admit(breaker, at(60_001)).admitted);
});

Deno.test("advance() takes a probe's slot back at its time limit and not before", () => {
  const { breaker } = admit(fail(5), at(60_000));
  assertStrictEquals(advance(breaker, at(69_999)), breaker);
  const reopened = advance(breaker, at(70_000));
  assert(reopened.state === "open");
  assertEquals(reopened.reason, "the probe got no answer in time");
});

Deno.test("settle() lets a probe decide however late it ends, if its slot was not taken back", () => {
  const probe = admit(fail(5), at(60_000));
  assert(probe.admitted);
  const { breaker, permit } = probe;
  for (const endMs of [69_999, 70_000, 70_001, 99_000]) {
    const states = (["success", "neutral", "failure"] as const).map((verdict) =>
      settleLate(breaker, { permit, verdict }, endMs).state
    );
    assertEquals(states, ["closed", "half_open", "open"], `at ${endMs}`);
  }
});

Deno.test("settle() ignores results of an earlier generation", () => {
  const early = admit(NEW_BREAKER, at(0));
  assert(early.admitted);
  const open = fail(5);
  for (const verdict of ["success", "failure", "neutral"] as const) {
    assertStrictEquals(settleLate(open, { permit: early.permit, verdict }, 1), open);
  }
  const probe = admit(open, at(60_000));
  assert(probe.admitted);
  const timedOut = advance(probe.breaker, at(70_000));
  const { permit } = probe;
  assertStrictEquals(settleLate(timedOut, { permit, verdict: "success" }, 70_001), timedOut);
  // The next probe is out: the late one of the last must not close, nor open, in its place.
  assert(timedOut.state === "open");
  const next = admit(timedOut, at(timedOut.untilMs));
  assert(next.admitted && next.permit.probe);
  for (const verdict of ["success", "failure", "neutral"] as const) {
    const late = settleLate(next.breaker, { permit, verdict }, timedOut.untilMs + 1);
    assertStrictEquals(late, next.breaker);
  }
});

Deno.test("settle() ignores a call that was begun before the breaker last opened", () => {
  const early = admit(NEW_BREAKER, at(0));
  const probe = admit(fail(5), at(60_000));
  assert(early.admitted && probe.admitted);
  const closed = settleLate(probe.breaker, { permit: probe.permit, verdict: "success" }, 60_001);
  assert(closed.state === "closed");
  const late = { permit: early.permit, verdict: "failure" } as const;
  assertStrictEquals(settleLate(closed, late, 60_002), closed);
});

Deno.test("a success resets the row but not the window, and a neutral one neither", () => {
  let breaker = fail(4);
  breaker = call(breaker, "success", 0);
  breaker = call(breaker, "neutral", 0);
  assert(breaker.state === "closed");
  assertEquals([breaker.failures, breaker.recent.filter(Boolean).length], [0, 4]);
});

Deno.test("neutral results keep the permit's place in each state", () => {
  const early = admit(NEW_BREAKER, at(0));
  assert(early.admitted);
  const open = fail(5);
  const probe = admit(open, at(60_000));
  assert(probe.admitted);
  const neutral = (breaker: Breaker, permit: Permit) =>
    settleLate(breaker, { permit, verdict: "neutral" }, 60_001);
  assertStrictEquals(neutral(NEW_BREAKER, early.permit), NEW_BREAKER);
  assertEquals(neutral(open, early.permit).state, "half_open"); // Its time was up, no more.
  assertEquals(
    neutral(probe.breaker, probe.permit),
    { ...probe.breaker, probeUntilMs: null } as Breaker,
  );
});

Deno.test("an open breaker whose wait overflows every number is still one that ends", () => {
  const endless = { ...policy, openMs: () => Math.min(300_000, 5_000 * 2 ** 5_000) };
  let breaker = NEW_BREAKER;
  for (let count = 0; count < 5; count++) {
    const admission = admit(breaker, { ...at(0), policy: endless });
    assert(admission.admitted);
    const { permit } = admission;
    const result = { permit, verdict: "failure", reason: "x" } as const;
    breaker = settle(admission.breaker, result, { ...at(0), policy: endless });
  }
  assert(breaker.state === "open");
  assertEquals(breaker.untilMs, 300_000);
});

Deno.test("a breaker that is asked years later is half-open, with one probe", () => {
  const years = 10 * 365 * 86_400_000;
  assert(admit(fail(5), at(years)).admitted);
});

const tripped = { failures: 5, trips: 1, reason: "HTTP 502", sinceMs: 1_000 };
const closed: Breaker = { ...NEW_BREAKER, failures: 4 };
const open: Breaker = { state: "open", generation: 1, ...tripped, untilMs: 61_000 };
const halfOpen: Breaker = { state: "half_open", generation: 2, ...tripped, probeUntilMs: null };

Deno.test("breakerTransition() tells each transition, and nothing where there is none", () => {
  assertEquals(breakerTransition(closed, { ...closed, failures: 5 }, 0), null);
  assertEquals(breakerTransition(closed, open, 1_000), {
    from: "closed",
    to: "open",
    why: "HTTP 502",
    failures: 5,
    openForMs: 60_000,
    troubleMs: 0,
  });
  assertEquals(breakerTransition(open, halfOpen, 61_000), {
    from: "open",
    to: "half_open",
    why: "HTTP 502",
    failures: 5,
    openForMs: null,
    troubleMs: 60_000,
  });
  const healed = breakerTransition(halfOpen, { ...NEW_BREAKER, generation: 3 }, 62_000);
  assertEquals(healed, {
    from: "half_open",
    to: "closed",
    why: "",
    failures: 5,
    openForMs: null,
    troubleMs: 61_000,
  });
});

Deno.test("logTransition() is one line: what, from, to, why, how long, how many failures", () => {
  const log = new FakeLog();
  logTransition(log, { what: "connection" }, breakerTransition(closed, open, 1_000)!);
  logTransition(
    log,
    { what: "scanner", scanner: "apt" },
    breakerTransition(open, halfOpen, 61_000)!,
  );
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

Deno.test("logTransition() sums up how long the trouble was, to a tenth of a second", () => {
  const log = new FakeLog();
  const healed = breakerTransition(halfOpen, { ...NEW_BREAKER, generation: 3 }, 62_260)!;
  logTransition(log, { what: "connection" }, healed);
  assertEquals(log.events, [{
    level: "info",
    message: "connection breaker closed",
    fields: { from: "half_open", to: "closed", failures: 5, trouble_s: 61.3 },
  }]);
});
