import { SETTINGS } from "../../src/config/settings.ts";
import { anyText } from "../fakes/texts.ts";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodeJson } from "../../src/json.ts";
import {
  type AgentState,
  decodeState,
  encodeState,
  type LongestWaits,
  NEW_STATE,
  type StoredState,
  storedState,
} from "../../src/loop/state.ts";

const longest = {
  notBeforeMs: 3_600_000,
  openMs: 300_000,
  rapidMs: 3_600_000,
  intervalMs: 480_000,
};

const busy: AgentState = {
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
    outage: { sinceMs: 390_000, failedCalls: 6, why: "refused", offline: false, status: 502 },
    doubt: { kind: "token", why: "HTTP 401", sinceMs: 390_000, refusals: 2, notBeforeMs: 620_000 },
    operatorAction: { cause: "token", why: "HTTP 403", sinceMs: 380_000, notBeforeMs: 600_000 },
  },
  rapidUntilMs: 700_000,
  nextCheckInAtMs: null,
  afterCrashAtMs: null,
  lastCheckInAtMs: 380_000,
  lastSystemInfoAtMs: 100_000,
  isOnce: true,
};

/** A saved state as it comes back from JSON; `undefined` if it does not. */
function readStoredState(saved: unknown): StoredState | undefined {
  return readText(JSON.stringify(saved));
}

function readText(text: string): StoredState | undefined {
  const read = decodeJson(storedState, text);
  return read.ok ? read.value : undefined;
}

function reload(state: AgentState, saved: [number, number], loaded: [number, number]): AgentState {
  const stored = readStoredState(encodeState(state, { nowMs: saved[0], monotonicMs: saved[1] }));
  assert(stored);
  return decodeState(stored, { nowMs: loaded[0], monotonicMs: loaded[1] }, longest);
}

Deno.test("storedState accepts no state out of missing, junk and foreign texts", () => {
  const texts = ["", "null", "{", "[]", "{}", '{"schema":"pennon.state/1"}'];
  for (const text of texts) assertEquals(readText(text), undefined, text);
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
  const halfOpen: AgentState = {
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
    assert((state.lastCheckInAtMs ?? 0) <= 1_000, "a check-in in the future");
  }));
});

/** What is saved of `busy`, with some fields changed. */
function stored(change: (saved: StoredState) => unknown): StoredState | undefined {
  const saved = readStoredState(encodeState(busy, { nowMs: 0, monotonicMs: 0 }));
  assert(saved);
  return readStoredState(change(saved));
}

Deno.test("storedState accepts each count, text and instant up to its limit and no further", () => {
  const outage = { sinceMs: 0, failedCalls: 1, why: "x", offline: false, status: null };
  const person = { cause: "deleted", why: "x", sinceMs: 0, notBeforeMs: 0 } as const;
  const rows: [good: Partial<StoredState["connection"]>, bad: unknown][] = [
    [{ outage: { ...outage, failedCalls: 1e9 } }, { outage: { ...outage, failedCalls: 1e9 + 1 } }],
    [{ outage: { ...outage, failedCalls: 0 } }, { outage: { ...outage, failedCalls: -1 } }],
    [{ outage: { ...outage, failedCalls: 2 } }, { outage: { ...outage, failedCalls: 2.5 } }],
    [
      { outage: { ...outage, why: "x".repeat(1_000) } },
      { outage: { ...outage, why: "x".repeat(1_001) } },
    ],
    [{ outage: null }, { outage: { ...outage, offline: "no" } }],
    [
      { operatorAction: { ...person, why: "x".repeat(1_000) } },
      { operatorAction: { ...person, why: "x".repeat(1_001) } },
    ],
    [{ operatorAction: null }, { operatorAction: { ...person, notBeforeMs: null } }],
  ];
  for (const [good, bad] of rows) {
    const read = (connection: unknown) =>
      stored((saved) => ({
        ...saved,
        connection: { ...saved.connection, ...(connection as Partial<StoredState["connection"]>) },
      }));
    assert(read(good), JSON.stringify(good).slice(0, 100));
    assertEquals(read(bad), undefined, JSON.stringify(bad).slice(0, 100));
  }
  for (
    const field of [
      "rapidUntilMs",
      "nextCheckInAtMs",
      "afterCrashAtMs",
      "lastCheckInAtMs",
      "lastSystemInfoAtMs",
    ]
  ) {
    assert(stored((saved) => ({ ...saved, [field]: null })), field);
    assertEquals(stored((saved) => ({ ...saved, [field]: "soon" })), undefined, field);
    // Earlier Pennons write no `afterCrashAtMs`.
    const without = stored((saved) => ({ ...saved, [field]: undefined }));
    assertEquals(without !== undefined, field === "afterCrashAtMs", field);
  }
});

Deno.test("storedState accepts no number that is beyond every number", () => {
  const text = JSON.stringify(encodeState(busy, { nowMs: 0, monotonicMs: 0 }));
  for (const field of ["lastCheckInAtMs", "rapidUntilMs", "sinceMs", "notBeforeMs"]) {
    const endless = text.replace(new RegExp(`"${field}":-?\\d+`), `"${field}":1e999`);
    assert(endless !== text, field);
    assertEquals(readText(endless), undefined, field);
  }
});

Deno.test("encodeState() cuts a reason that would make the file unreadable", () => {
  const why = "x".repeat(5_000);
  const { outage, operatorAction } = busy.connection;
  assert(outage && operatorAction);
  const wordy: AgentState = {
    ...busy,
    connection: {
      ...busy.connection,
      outage: { ...outage, why },
      operatorAction: { ...operatorAction, why },
    },
  };
  const saved = readStoredState(encodeState(wordy, { nowMs: 0, monotonicMs: 0 }));
  assertEquals(saved?.connection.outage?.why, why.slice(0, 1_000));
  assertEquals(saved?.connection.operatorAction?.why, why.slice(0, 1_000));
});

Deno.test("encodeState() writes whole instants since the epoch, and null for none", () => {
  const at = { nowMs: 10_000.4, monotonicMs: 100 };
  const saved = readStoredState(encodeState({ ...busy, lastCheckInAtMs: Infinity }, at));
  assertEquals([saved?.rapidUntilMs, saved?.nextCheckInAtMs, saved?.lastCheckInAtMs], [
    709_900,
    null,
    null,
  ]);
  assertEquals(saved?.connection.paths, {
    check_in: { failures: 6, notBeforeMs: 539_900 },
    delivery: { failures: 0, notBeforeMs: null },
  });
});

Deno.test("decodeState() cuts each wait to its own longest, and nothing to less", () => {
  const saved = readStoredState(encodeState({ ...busy, nextCheckInAtMs: 800_000 }, {
    nowMs: 0,
    monotonicMs: 0,
  }));
  assert(saved);
  const decode = (longest: LongestWaits) =>
    decodeState(saved, { nowMs: 500_000, monotonicMs: 0 }, longest);
  const short = decode({ notBeforeMs: 1_000, openMs: 2_000, rapidMs: 3_000, intervalMs: 4_000 });
  assert(short.connection.breaker.state === "open");
  assertEquals(short.connection.breaker.untilMs, 2_000);
  assertEquals(short.connection.paths.check_in.notBeforeMs, 1_000);
  assertEquals(short.connection.operatorAction?.notBeforeMs, 1_000);
  assertEquals([short.rapidUntilMs, short.nextCheckInAtMs], [3_000, 4_000]);
  assert(short.connection.doubt?.kind === "token");
  assertEquals(short.connection.doubt.notBeforeMs, 1_000);
  const own = decode({ notBeforeMs: 1e6, openMs: 1e6, rapidMs: 1e6, intervalMs: 1e6 });
  assertEquals(own.connection.operatorAction?.notBeforeMs, 100_000);
  assertEquals(own.connection.paths.check_in.notBeforeMs, 30_000);
  assertEquals([own.rapidUntilMs, own.nextCheckInAtMs], [200_000, 300_000]);
  assertEquals([own.lastCheckInAtMs, own.lastSystemInfoAtMs], [-120_000, -400_000]);
  assertEquals(own.connection.outage?.sinceMs, -110_000);
});

Deno.test("decodeState() has an overdue check-in wait as long as a crash in it has to, and no other", () => {
  const epoch = { nowMs: 0, monotonicMs: 0 };
  const dueAt = (nowMs: number, nextCheckInAtMs: number | null, afterCrashAtMs: number | null) => {
    const saved = readStoredState(encodeState({ ...busy, nextCheckInAtMs, afterCrashAtMs }, epoch));
    const decoded = decodeState(saved!, { nowMs, monotonicMs: nowMs }, longest);
    assertEquals(decoded.afterCrashAtMs, null);
    return decoded.nextCheckInAtMs;
  };
  assertEquals(dueAt(999, 1_000, 6_000), 1_000); // It is not yet due.
  assertEquals(dueAt(1_000, 1_000, 6_000), 6_000); // The process may have died in it.
  assertEquals(dueAt(5_999, 1_000, 6_000), 6_000);
  assertEquals(dueAt(9_000, 1_000, 6_000), 6_000); // Overdue all the same.
  assertEquals(dueAt(5_000, 1_000, null), 1_000);
  assertEquals(dueAt(5_000, 4_000, 2_000), 4_000);
  assertEquals(dueAt(5_000, null, 6_000), null);
});

Deno.test("decodeState() puts what has happened in the past, though the clock was set back", () => {
  const saved = readStoredState(encodeState(busy, { nowMs: 500_000, monotonicMs: 500_000 }));
  assert(saved);
  const state = decodeState(saved, { nowMs: 0, monotonicMs: 7 }, longest);
  assertEquals([state.lastCheckInAtMs, state.lastSystemInfoAtMs], [7, 7]);
  assertEquals(state.connection.outage?.sinceMs, 7);
  const none = { ...saved, lastCheckInAtMs: null, rapidUntilMs: null };
  const decoded = decodeState(none, { nowMs: 0, monotonicMs: 7 }, longest);
  assertEquals([decoded.lastCheckInAtMs, decoded.rapidUntilMs], [null, null]);
});

const open = {
  state: "open",
  generation: 7,
  failures: 6,
  trips: 2,
  reason: "refused",
  sinceMs: 400_000,
  untilMs: 560_000,
} as const;

const halfOpen = {
  state: "half_open",
  generation: 8,
  failures: 6,
  trips: 2,
  reason: "refused",
  sinceMs: 400_000,
  probeUntilMs: 505_000,
} as const;

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
              outage: { sinceMs: 390_000, failedCalls: 6, why: out, offline: false, status: null },
              operatorAction: { cause: "token", why: person, sinceMs: 0, notBeforeMs: 600_000 },
            },
          },
          at,
          at,
        );
        assert(connection.breaker.state === state);
        assertEquals(connection.breaker.reason, reason.slice(0, 1_000));
        assertEquals(connection.outage?.why, out.slice(0, 1_000));
        assertEquals(connection.operatorAction?.why, person.slice(0, 1_000));
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("encodeState() keeps the longest window that the configuration allows", () => {
  const { kind } = SETTINGS.breaker.windowSize;
  assertEquals([kind.read(1_000), kind.read(1_001)], [1_000, undefined]);
  const recent = Array.from({ length: 1_000 }, (_, at) => at % 2 === 0);
  const closed = { state: "closed", generation: 1, failures: 0, recent } as const;
  const at: [number, number] = [1_700_000_000_000, 500_000];
  const state = { ...busy, connection: { ...busy.connection, breaker: closed } };
  assertEquals(reload(state, at, at).connection.breaker, closed);
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

const states: fc.Arbitrary<AgentState> = fc.record({
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
      fc.record({
        sinceMs: number,
        failedCalls: number,
        why: words,
        offline: fc.boolean(),
        status: fc.option(number),
      }),
    ),
    doubt: fc.option(fc.oneof(
      fc.record({
        kind: fc.constant("token" as const),
        why: fc.string(),
        sinceMs: number,
        refusals: number,
        notBeforeMs: number,
      }),
      fc.record({
        kind: fc.constant("deleted" as const),
        sinceMs: number,
        hasCheckedIn: fc.boolean(),
      }),
    )),
    operatorAction: fc.option(fc.record({
      cause: fc.constantFrom(
        ...["token", "deleted", "forbidden", "version_too_old", "machine_mismatch"] as const,
      ),
      facts: fc.option(fc.constant({ machineId: "m", version: "1.0.0" }), { nil: undefined }),
      why: words,
      sinceMs: number,
      notBeforeMs: number,
    })),
  }),
  rapidUntilMs: fc.option(number),
  nextCheckInAtMs: fc.option(number),
  afterCrashAtMs: fc.option(number),
  lastCheckInAtMs: fc.option(number),
  lastSystemInfoAtMs: fc.option(number),
  isOnce: fc.boolean(),
});

Deno.test("encodeState() writes nothing that storedState refuses, or status cannot show", () => {
  fc.assert(fc.property(states, number, number, (state, nowMs, monotonicMs) => {
    const stored = readStoredState(encodeState(state, { nowMs, monotonicMs }));
    assert(stored);
    const { breaker, outage } = stored.connection;
    const shown = [
      stored.lastCheckInAtMs,
      outage?.sinceMs,
      breaker.state === "open" ? breaker.untilMs : 0,
    ];
    for (const instant of shown) assert(new Date(instant ?? 0).toISOString());
  }));
});
