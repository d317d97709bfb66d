/**
 * What of the connection's state outlives a restart: saved as epoch instants, used as monotonic
 * ones, and held within bounds on the way in, so that no clock set back can stop an agent.
 */

import * as v from "valibot";
import { type Breaker, NEW_BREAKER } from "../breaker/breaker.ts";

/** The ways to the server that back off each by itself. */
export type Path = "check_in" | "delivery";

/** How one path stands. */
export interface PathState {
  /** In a row. */
  readonly failures: number;
  /** No call before this instant. */
  readonly notBeforeMs: number;
}

/** The connection as it stands. Instants are monotonic. */
export interface ConnectionState {
  readonly breaker: Breaker;
  readonly paths: Readonly<Record<Path, PathState>>;
  /** Since the first failure after the last success. */
  readonly outage:
    | { readonly sinceMs: number; readonly attempts: number; readonly why: string }
    | null;
  /** Why nothing goes on without a person, if that is so. */
  readonly needsPerson: string | null;
}

/** Everything that outlives a restart. */
export interface LoopState {
  readonly connection: ConnectionState;
  readonly rapidUntilMs: number | null;
  /** When the next check-in is due; a restart does not bring it forward. */
  readonly nextCheckInMs: number | null;
  readonly lastCheckInMs: number | null;
  readonly lastSystemInfoMs: number | null;
}

/** The state of an agent that has just been enrolled. */
export const NEW_STATE: LoopState = {
  connection: {
    breaker: NEW_BREAKER,
    paths: {
      check_in: { failures: 0, notBeforeMs: -Infinity },
      delivery: { failures: 0, notBeforeMs: -Infinity },
    },
    outage: null,
    needsPerson: null,
  },
  rapidUntilMs: null,
  nextCheckInMs: null,
  lastCheckInMs: null,
  lastSystemInfoMs: null,
};

/** The two clocks at one instant. */
export interface Instant {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** Waits that a saved state may ask for; longer ones are cut to these. */
export interface LongestWaits {
  readonly notBeforeMs: number;
  readonly openMs: number;
  readonly rapidMs: number;
  readonly intervalMs: number;
}

const SCHEMA = "pennon.state/1";

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9));
const instant = v.pipe(v.number(), v.finite());
const words = v.pipe(v.string(), v.maxLength(1_000));
const path = v.object({ failures: count, notBeforeMs: v.nullable(instant) });
const tripped = {
  generation: count,
  failures: count,
  trips: count,
  reason: words,
  sinceMs: instant,
};

const stored = v.object({
  schema: v.literal(SCHEMA),
  connection: v.object({
    breaker: v.variant("state", [
      v.object({
        state: v.literal("closed"),
        generation: count,
        failures: count,
        recent: v.pipe(v.array(v.boolean()), v.maxLength(1_000)),
      }),
      v.object({ state: v.literal("open"), ...tripped, untilMs: instant }),
      v.object({ state: v.literal("half_open"), ...tripped, probeUntilMs: v.null() }),
    ]),
    paths: v.object({ check_in: path, delivery: path }),
    outage: v.nullable(v.object({ sinceMs: instant, attempts: count, why: words })),
    needsPerson: v.nullable(words),
  }),
  rapidUntilMs: v.nullable(instant),
  nextCheckInMs: v.nullable(instant),
  lastCheckInMs: v.nullable(instant),
  lastSystemInfoMs: v.nullable(instant),
});

/** A state as it is saved: all instants since the Unix epoch. */
export type StoredState = v.InferOutput<typeof stored>;

/** The text to save. A probe that is out is not saved: after a restart nobody waits for it. */
export function encodeState(state: LoopState, at: Instant): string {
  const epoch = (ms: number) => Math.round(ms - at.monotonicMs + at.nowMs);
  const orNull = (ms: number | null) => ms === null || !Number.isFinite(ms) ? null : epoch(ms);
  const { breaker, paths, outage, needsPerson } = state.connection;
  const encoded: StoredState = {
    schema: SCHEMA,
    connection: {
      breaker: encodeBreaker(breaker, epoch),
      paths: {
        check_in: { ...paths.check_in, notBeforeMs: orNull(paths.check_in.notBeforeMs) },
        delivery: { ...paths.delivery, notBeforeMs: orNull(paths.delivery.notBeforeMs) },
      },
      outage: outage && { ...outage, sinceMs: epoch(outage.sinceMs) },
      needsPerson,
    },
    rapidUntilMs: orNull(state.rapidUntilMs),
    nextCheckInMs: orNull(state.nextCheckInMs),
    lastCheckInMs: orNull(state.lastCheckInMs),
    lastSystemInfoMs: orNull(state.lastSystemInfoMs),
  };
  return `${JSON.stringify(encoded, null, 2)}\n`;
}

function encodeBreaker(
  breaker: Breaker,
  epoch: (ms: number) => number,
): StoredState["connection"]["breaker"] {
  switch (breaker.state) {
    case "closed":
      return { ...breaker, recent: [...breaker.recent] };
    case "open":
      return { ...breaker, sinceMs: epoch(breaker.sinceMs), untilMs: epoch(breaker.untilMs) };
    case "half_open":
      return { ...breaker, sinceMs: epoch(breaker.sinceMs), probeUntilMs: null };
  }
}

/** Reads a saved state as it stands, for showing; `undefined` if it is damaged. */
export function readStoredState(text: string): StoredState | undefined {
  try {
    const result = v.safeParse(stored, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined; // Not JSON.
  }
}

/** A saved state as one to go on with: no instant in the past of its cause, no wait too long. */
export function decodeState(saved: StoredState, at: Instant, longest: LongestWaits): LoopState {
  const past = (ms: number) => at.monotonicMs + Math.min(0, ms - at.nowMs);
  const future = (ms: number, longestMs: number) =>
    at.monotonicMs + Math.min(longestMs, ms - at.nowMs);
  const { breaker, paths, outage, needsPerson } = saved.connection;
  const decodePath = (path: StoredState["connection"]["paths"]["check_in"]): PathState => ({
    failures: path.failures,
    notBeforeMs: path.notBeforeMs === null
      ? -Infinity
      : future(path.notBeforeMs, longest.notBeforeMs),
  });
  const decodedBreaker: Breaker = breaker.state === "open"
    ? {
      ...breaker,
      sinceMs: past(breaker.sinceMs),
      untilMs: future(breaker.untilMs, longest.openMs),
    }
    : breaker.state === "half_open"
    ? { ...breaker, sinceMs: past(breaker.sinceMs) }
    : breaker;
  const orNull = (ms: number | null) => ms === null ? null : past(ms);
  return {
    connection: {
      breaker: decodedBreaker,
      paths: { check_in: decodePath(paths.check_in), delivery: decodePath(paths.delivery) },
      outage: outage && { ...outage, sinceMs: past(outage.sinceMs) },
      needsPerson,
    },
    rapidUntilMs: saved.rapidUntilMs === null ? null : future(saved.rapidUntilMs, longest.rapidMs),
    nextCheckInMs: saved.nextCheckInMs === null
      ? null
      : future(saved.nextCheckInMs, longest.intervalMs),
    lastCheckInMs: orNull(saved.lastCheckInMs),
    lastSystemInfoMs: orNull(saved.lastSystemInfoMs),
  };
}
