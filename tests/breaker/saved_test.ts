import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import { type Breaker, NEW_BREAKER } from "../../src/breaker/breaker.ts";
import { restoreBreaker, saveBreaker, savedBreaker } from "../../src/breaker/saved.ts";

const at = { nowMs: 1_700_000_000_000, monotonicMs: 5_000 };
const tripped = { generation: 3, failures: 6, trips: 2, reason: "HTTP 502", sinceMs: 1_000 };
const open: Breaker = { state: "open", ...tripped, untilMs: 65_000 };

Deno.test("restoreBreaker() goes on in each state where saveBreaker() stopped", () => {
  const states: Breaker[] = [
    NEW_BREAKER,
    { state: "closed", generation: 1, failures: 2, recent: [true, false, true] },
    open,
    { state: "half_open", ...tripped, probeUntilMs: null },
  ];
  for (const breaker of states) {
    const saved = saveBreaker(breaker, at);
    assert(v.is(savedBreaker, JSON.parse(JSON.stringify(saved))), breaker.state);
    assertEquals(restoreBreaker(saved, at, 300_000), breaker);
  }
});

Deno.test("saveBreaker() takes no probe over a restart", () => {
  const probing: Breaker = { state: "half_open", ...tripped, probeUntilMs: 9_000 };
  const restored = restoreBreaker(saveBreaker(probing, at), at, 300_000);
  assertEquals(restored, { ...probing, probeUntilMs: null });
});

Deno.test("saveBreaker() bounds a reason that would make the file unreadable", () => {
  const saved = saveBreaker({ ...open, reason: "x".repeat(5_000) }, at);
  assert(v.is(savedBreaker, saved));
});

Deno.test("restoreBreaker() is never open for longer than it may be, however the clock was set", () => {
  const years = 10 * 365 * 86_400_000;
  fc.assert(fc.property(fc.integer({ min: -years, max: years }), (jumpMs) => {
    const later = { nowMs: at.nowMs + jumpMs, monotonicMs: 100 };
    const restored = restoreBreaker(saveBreaker(open, at), later, 300_000);
    assert(restored.state === "open");
    assert(restored.untilMs <= 100 + 300_000);
    assert(restored.sinceMs <= 100);
  }));
});

Deno.test("saveBreaker() bounds every number that would make the file unreadable", () => {
  for (const number of [NaN, Infinity, -Infinity, -1, 0.5, 1e300, -1e300]) {
    const counts = { generation: number, failures: number, trips: number };
    const states: Breaker[] = [
      { ...open, ...counts, sinceMs: number, untilMs: number },
      { state: "closed", ...counts, recent: Array<boolean>(1_001).fill(false) },
      { state: "half_open", ...tripped, ...counts, probeUntilMs: number },
    ];
    for (const state of states) assert(v.is(savedBreaker, saveBreaker(state, at)), String(number));
  }
});
