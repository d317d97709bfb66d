/**
 * What of the connection's state outlives a restart: saved as epoch instants, used as monotonic
 * ones, and held within bounds on the way in, so that no clock set back can stop an agent.
 */

import * as v from "valibot";
import { type Breaker, NEW_BREAKER } from "../breaker/breaker.ts";
import {
  restoreBreaker,
  saveBreaker,
  savedBreaker,
  savedCount,
  savedInstant,
  savedReason,
  toSavedCount,
  toSavedInstant,
  toSavedReason,
  type TwoClocks,
} from "../breaker/saved.ts";

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
  readonly outage: Outage | null;
  /** What may turn out to need an operator. */
  readonly doubt: Doubt | null;
  /** Set where only an operator can help. */
  readonly needsPerson: NeedsPerson | null;
}

/** A time without the server. */
export interface Outage {
  readonly sinceMs: number;
  readonly attempts: number;
  /** The latest failure. */
  readonly why: string;
  /** Whether the latest failure was this host's own: nothing had left it. */
  readonly offline: boolean;
  /** The HTTP status of the latest failure; `null`: no whole answer came. */
  readonly status: number | null;
}

/**
 * A sign that the server does not know this agent any more, which may be a passing trouble of the
 * server just as well.
 *
 * `token`: neither the access token nor the refresh token is taken. `deleted`: the server has said
 * that there is no such agent; `hasCheckedIn`: and has taken a check-in since.
 */
export type Doubt =
  | {
    readonly kind: "token";
    readonly sinceMs: number;
    readonly refusals: number;
    /** No call on any path before this instant. */
    readonly notBeforeMs: number;
  }
  | { readonly kind: "deleted"; readonly sinceMs: number; readonly hasCheckedIn: boolean };

/** What needs an operator: the tokens, the agent's row, or something else (a 403). */
export type PersonCause = "token" | "deleted" | "forbidden";

/** The server does not take this agent any more, whatever the agent does. */
export interface NeedsPerson {
  readonly cause: PersonCause;
  readonly why: string;
  /** Since the first sign of it. */
  readonly sinceMs: number;
  /** No call on any path before this instant. */
  readonly notBeforeMs: number;
}

/** Everything that outlives a restart. */
export interface LoopState {
  readonly connection: ConnectionState;
  readonly rapidUntilMs: number | null;
  /** When the next check-in is due; a restart does not bring it forward. */
  readonly nextCheckInMs: number | null;
  /**
   * A process that begins when the next check-in is overdue waits until this: that check-in may be what
   * ended the one before. `null`: it need not, because each check-in is written ahead of.
   */
  readonly afterCrashMs: number | null;
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
    doubt: null,
    needsPerson: null,
  },
  rapidUntilMs: null,
  nextCheckInMs: null,
  afterCrashMs: null,
  lastCheckInMs: null,
  lastSystemInfoMs: null,
};

/** Waits that a saved state may ask for; longer ones are cut to these. */
export interface LongestWaits {
  readonly notBeforeMs: number;
  readonly openMs: number;
  readonly rapidMs: number;
  readonly intervalMs: number;
}

const path = v.object({ failures: savedCount, notBeforeMs: v.nullable(savedInstant) });

/** The shape of a saved state. */
export const storedState = v.object({
  connection: v.object({
    breaker: savedBreaker,
    paths: v.object({ check_in: path, delivery: path }),
    outage: v.nullable(
      v.object({
        sinceMs: savedInstant,
        attempts: savedCount,
        why: savedReason,
        offline: v.boolean(),
        status: v.optional(v.nullable(savedCount), null),
      }),
    ),
    doubt: v.optional(
      v.nullable(v.variant("kind", [
        v.object({
          kind: v.literal("token"),
          sinceMs: savedInstant,
          refusals: savedCount,
          notBeforeMs: savedInstant,
        }),
        v.object({
          kind: v.literal("deleted"),
          sinceMs: savedInstant,
          hasCheckedIn: v.boolean(),
        }),
      ])),
      null,
    ),
    needsPerson: v.nullable(
      v.object({
        cause: v.optional(v.picklist(["token", "deleted", "forbidden"]), "forbidden"),
        why: savedReason,
        sinceMs: v.optional(savedInstant, 0),
        notBeforeMs: savedInstant,
      }),
    ),
  }),
  rapidUntilMs: v.nullable(savedInstant),
  nextCheckInMs: v.nullable(savedInstant),
  afterCrashMs: v.optional(v.nullable(savedInstant), null),
  lastCheckInMs: v.nullable(savedInstant),
  lastSystemInfoMs: v.nullable(savedInstant),
});

/** A state as it is saved: all instants since the Unix epoch. */
export type StoredState = v.InferOutput<typeof storedState>;

/** The state to save. */
export function encodeState(state: LoopState, at: TwoClocks): StoredState {
  const epoch = (ms: number) => toSavedInstant(ms, at);
  const orNull = (ms: number | null) => ms === null || !Number.isFinite(ms) ? null : epoch(ms);
  const savePath = ({ failures, notBeforeMs }: PathState) => ({
    failures: toSavedCount(failures),
    notBeforeMs: orNull(notBeforeMs),
  });
  const { breaker, paths, outage, doubt, needsPerson } = state.connection;
  return {
    connection: {
      breaker: saveBreaker(breaker, at),
      paths: { check_in: savePath(paths.check_in), delivery: savePath(paths.delivery) },
      outage: outage && {
        ...outage,
        attempts: toSavedCount(outage.attempts),
        why: toSavedReason(outage.why),
        sinceMs: epoch(outage.sinceMs),
        status: outage.status === null ? null : toSavedCount(outage.status),
      },
      doubt: doubt && saveDoubt(doubt, epoch),
      needsPerson: needsPerson && {
        cause: needsPerson.cause,
        why: toSavedReason(needsPerson.why),
        sinceMs: epoch(needsPerson.sinceMs),
        notBeforeMs: epoch(needsPerson.notBeforeMs),
      },
    },
    rapidUntilMs: orNull(state.rapidUntilMs),
    nextCheckInMs: orNull(state.nextCheckInMs),
    afterCrashMs: orNull(state.afterCrashMs),
    lastCheckInMs: orNull(state.lastCheckInMs),
    lastSystemInfoMs: orNull(state.lastSystemInfoMs),
  };
}

function saveDoubt(doubt: Doubt, epoch: (ms: number) => number): Doubt {
  const sinceMs = epoch(doubt.sinceMs);
  if (doubt.kind === "deleted") return { ...doubt, sinceMs };
  const refusals = toSavedCount(doubt.refusals);
  return { ...doubt, sinceMs, refusals, notBeforeMs: epoch(doubt.notBeforeMs) };
}

/** A saved state as one to go on with: no instant in the past of its cause, no wait too long. */
export function decodeState(saved: StoredState, at: TwoClocks, longest: LongestWaits): LoopState {
  const past = (ms: number) => at.monotonicMs + Math.min(0, ms - at.nowMs);
  const future = (ms: number, longestMs: number) =>
    at.monotonicMs + Math.min(longestMs, ms - at.nowMs);
  const { breaker, paths, outage, doubt, needsPerson } = saved.connection;
  const decodePath = (path: StoredState["connection"]["paths"]["check_in"]): PathState => ({
    failures: path.failures,
    notBeforeMs: path.notBeforeMs === null
      ? -Infinity
      : future(path.notBeforeMs, longest.notBeforeMs),
  });
  const orNull = (ms: number | null) => ms === null ? null : past(ms);
  const dueMs = dueOf(saved, at.nowMs);
  return {
    connection: {
      breaker: restoreBreaker(breaker, at, longest.openMs),
      paths: { check_in: decodePath(paths.check_in), delivery: decodePath(paths.delivery) },
      outage: outage && { ...outage, sinceMs: past(outage.sinceMs) },
      doubt: doubt && {
        ...doubt,
        sinceMs: past(doubt.sinceMs),
        ...("notBeforeMs" in doubt &&
          { notBeforeMs: future(doubt.notBeforeMs, longest.notBeforeMs) }),
      },
      needsPerson: needsPerson && {
        ...needsPerson,
        sinceMs: past(needsPerson.sinceMs),
        notBeforeMs: future(needsPerson.notBeforeMs, longest.notBeforeMs),
      },
    },
    rapidUntilMs: saved.rapidUntilMs === null ? null : future(saved.rapidUntilMs, longest.rapidMs),
    nextCheckInMs: dueMs === null ? null : future(dueMs, longest.intervalMs),
    afterCrashMs: null,
    lastCheckInMs: orNull(saved.lastCheckInMs),
    lastSystemInfoMs: orNull(saved.lastSystemInfoMs),
  };
}

/** When the next check-in is due for a process that begins now. */
function dueOf({ nextCheckInMs, afterCrashMs }: StoredState, nowMs: number): number | null {
  if (nextCheckInMs === null || nextCheckInMs > nowMs) return nextCheckInMs;
  return Math.max(nextCheckInMs, afterCrashMs ?? nextCheckInMs);
}
