import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  decodeState,
  encodeState,
  type LoopState,
  NEW_STATE,
  readStoredState,
} from "../../src/loop/state.ts";

const longest = {
  notBeforeMs: 3_600_000,
  openMs: 300_000,
  rapidMs: 3_600_000,
  intervalMs: 480_000,
};

const busy: LoopState = {
  connection: {
    breaker: {
      state: "open",
      generation: 7,
      failures: 6,
      trips: 2,
      reason: "refused",
      sinceMs: 400_000,
      untilMs: 560_000,
    },
    paths: {
      check_in: { failures: 6, notBeforeMs: 530_000 },
      delivery: { failures: 0, notBeforeMs: -Infinity },
    },
    outage: { sinceMs: 390_000, attempts: 6, why: "refused", offline: false },
    needsPerson: { why: "HTTP 403", notBeforeMs: 600_000 },
  },
  rapidUntilMs: 700_000,
  nextCheckInMs: null,
  lastCheckInMs: 380_000,
  lastSystemInfoMs: 100_000,
};

function reload(state: LoopState, saved: [number, number], loaded: [number, number]): LoopState {
  const text = encodeState(state, { nowMs: saved[0], monotonicMs: saved[1] });
  const stored = readStoredState(text);
  assert(stored);
  return decodeState(stored, { nowMs: loaded[0], monotonicMs: loaded[1] }, longest);
}

Deno.test("readStoredState() reads no state out of missing, junk and foreign texts", () => {
  const texts = ["", "null", "{", "[]", "{}", '{"schema":"pennon.state/2"}'];
  for (const text of texts) assertEquals(readStoredState(text), undefined, text);
});

Deno.test("decodeState() goes on where encodeState() stopped", () => {
  const at: [number, number] = [1_700_000_000_000, 500_000];
  assertEquals(reload(busy, at, at), busy);
  assertEquals(reload(NEW_STATE, at, at), NEW_STATE);
});

Deno.test("decodeState() counts the time that passed between two processes", () => {
  // A new process: its monotonic clock begins anew, the wall clock has gone on by 10 s.
  const state = reload(busy, [1_700_000_000_000, 500_000], [1_700_000_010_000, 0]);
  assert(state.connection.breaker.state === "open");
  assertEquals(state.connection.breaker.untilMs, 50_000);
  assertEquals(state.connection.paths.check_in.notBeforeMs, 20_000);
  assertEquals(state.connection.outage?.sinceMs, -120_000);
});

Deno.test("decodeState() takes no probe over a restart", () => {
  const halfOpen: LoopState = {
    ...busy,
    connection: {
      ...busy.connection,
      breaker: {
        state: "half_open",
        generation: 8,
        failures: 6,
        trips: 2,
        reason: "refused",
        sinceMs: 400_000,
        probeUntilMs: 505_000,
      },
    },
  };
  const at: [number, number] = [1_700_000_000_000, 500_000];
  const { breaker } = reload(halfOpen, at, at).connection;
  assert(breaker.state === "half_open");
  assertEquals(breaker.probeUntilMs, null);
});

Deno.test("decodeState() never waits longer than is lawful, however the clock was set", () => {
  const years = 10 * 365 * 24 * 3_600_000;
  fc.assert(fc.property(fc.integer({ min: -years, max: years }), (jumpMs) => {
    const nowMs = 1_700_000_000_000;
    const state = reload(busy, [nowMs, 500_000], [nowMs + jumpMs, 1_000]);
    assert(state.connection.breaker.state === "open");
    assert(state.connection.breaker.untilMs - 1_000 <= longest.openMs);
    assert(state.connection.paths.check_in.notBeforeMs - 1_000 <= longest.notBeforeMs);
    assert((state.rapidUntilMs ?? 0) - 1_000 <= longest.rapidMs);
    assert((state.lastCheckInMs ?? 0) <= 1_000, "a check-in in the future");
  }));
});

/** Every number there is, for a state that a mistake has spoilt. */
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(NaN, Infinity, -Infinity, 1e300),
);
const words = fc.oneof(fc.string(), fc.constantFrom("x".repeat(5_000), "\ud800", "\u0000\u2028"));
const generation = number;
const tripped = { generation, failures: number, trips: number, reason: words, sinceMs: number };
const path = fc.record({ failures: number, notBeforeMs: number });

const states: fc.Arbitrary<LoopState> = fc.record({
  connection: fc.record({
    breaker: fc.oneof(
      fc.record({
        state: fc.constant("closed" as const),
        generation,
        failures: number,
        recent: fc.oneof(fc.array(fc.boolean()), fc.constant(Array<boolean>(2_000).fill(true))),
      }),
      fc.record({ state: fc.constant("open" as const), ...tripped, untilMs: number }),
      fc.record({
        state: fc.constant("half_open" as const),
        ...tripped,
        probeUntilMs: fc.option(number),
      }),
    ),
    paths: fc.record({ check_in: path, delivery: path }),
    outage: fc.option(
      fc.record({ sinceMs: number, attempts: number, why: words, offline: fc.boolean() }),
    ),
    needsPerson: fc.option(fc.record({ why: words, notBeforeMs: number })),
  }),
  rapidUntilMs: fc.option(number),
  nextCheckInMs: fc.option(number),
  lastCheckInMs: fc.option(number),
  lastSystemInfoMs: fc.option(number),
});

Deno.test("encodeState() writes nothing that readStoredState() cannot read, or status cannot show", () => {
  fc.assert(fc.property(states, number, number, (state, nowMs, monotonicMs) => {
    const stored = readStoredState(encodeState(state, { nowMs, monotonicMs }));
    assert(stored);
    const { breaker, outage } = stored.connection;
    const shown = [
      stored.lastCheckInMs,
      outage?.sinceMs,
      breaker.state === "open" ? breaker.untilMs : 0,
    ];
    for (const instant of shown) assert(new Date(instant ?? 0).toISOString());
  }));
});
