import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  decodeState,
  encodeState,
  type LoopState,
  NEW_STATE,
  readStoredState,
} from "../../src/loop/state.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { anyText } from "../fakes/texts.ts";

const longest = {
  notBeforeMs: 3_600_000,
  openMs: 300_000,
  rapidMs: 3_600_000,
  intervalMs: 480_000,
};

const open = {
  state: "open",
  generation: 7,
  failures: 6,
  trips: 2,
  reason: "refused",
  sinceMs: 400_000,
  untilMs: 560_000,
} as const;

const busy: LoopState = {
  connection: {
    breaker: open,
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

const halfOpen = {
  state: "half_open",
  generation: 8,
  failures: 6,
  trips: 2,
  reason: "refused",
  sinceMs: 400_000,
  probeUntilMs: 505_000,
} as const;

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
  const at: [number, number] = [1_700_000_000_000, 500_000];
  const probing: LoopState = { ...busy, connection: { ...busy.connection, breaker: halfOpen } };
  const { breaker } = reload(probing, at, at).connection;
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

Deno.test("encodeState() is readable again, whatever was said and however long", () => {
  fc.assert(
    fc.property(anyText(2_500), anyText(2_500), anyText(2_500), (reason, out, person) => {
      for (const state of ["open", "half_open"] as const) {
        const at: [number, number] = [1_700_000_000_000, 500_000];
        const { connection } = reload(
          {
            ...busy,
            connection: {
              ...busy.connection,
              breaker: { ...(state === "open" ? open : halfOpen), reason },
              outage: { sinceMs: 390_000, attempts: 6, why: out, offline: false },
              needsPerson: { why: person, notBeforeMs: 600_000 },
            },
          },
          at,
          at,
        );
        assert(connection.breaker.state === state);
        assertEquals(connection.breaker.reason, reason.slice(0, 1_000));
        assertEquals(connection.outage?.why, out.slice(0, 1_000));
        assertEquals(connection.needsPerson?.why, person.slice(0, 1_000));
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("encodeState() keeps the longest window that the configuration allows", () => {
  const { kind } = SETTINGS.windowSize;
  assertEquals([kind.read(1_000), kind.read(1_001)], [1_000, undefined]);
  const recent = Array.from({ length: 1_000 }, (_, at) => at % 2 === 0);
  const closed = { state: "closed", generation: 1, failures: 0, recent } as const;
  const at: [number, number] = [1_700_000_000_000, 500_000];
  const state = { ...busy, connection: { ...busy.connection, breaker: closed } };
  assertEquals(reload(state, at, at).connection.breaker, closed);
});
