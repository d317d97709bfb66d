/**
 * What outlives a restart of the agent, and its saved form. Instants count since the Unix epoch in the
 * file and are monotonic in use; reading clamps them.
 */

import * as v from "valibot";
import {
  futureInstant,
  pastInstant,
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
import { type ConnectionState, NEW_CONNECTION, type PathState } from "../connection/state.ts";
import { FACT_LIMIT, REFUSAL_CAUSES } from "../server/refusal.ts";

/** The state of the loop, without that of the connection. Instants are monotonic. */
export interface LoopState {
  readonly rapidUntilMs: number | null;
  /** When the next check-in is due; a restart does not bring it forward. */
  readonly nextCheckInAtMs: number | null;
  /**
   * A process that starts when the next check-in is overdue waits until this instant, because that
   * check-in may have ended the process before. `null`: the next check-in is saved before each one.
   */
  readonly afterCrashAtMs: number | null;
  readonly lastCheckInAtMs: number | null;
  readonly lastSystemInfoAtMs: number | null;
  /** Whether the latest cycle was one of `run --once`: then no process runs in between. */
  readonly isOnce: boolean;
}

/** Everything that outlives a restart. */
export interface AgentState extends LoopState {
  readonly connection: ConnectionState;
}

/** The state of an agent that has just been enrolled. */
export const NEW_STATE: AgentState = {
  connection: NEW_CONNECTION,
  rapidUntilMs: null,
  nextCheckInAtMs: null,
  afterCrashAtMs: null,
  lastCheckInAtMs: null,
  lastSystemInfoAtMs: null,
  isOnce: false,
};

/** The longest waits that a saved state may ask for; reading shortens longer ones. */
export interface LongestWaits {
  readonly notBeforeMs: number;
  readonly openMs: number;
  readonly rapidMs: number;
  readonly intervalMs: number;
}

const path = v.object({ failures: savedCount, notBeforeMs: v.nullable(savedInstant) });

/** A longer text is cut when it is saved. */
const refusalFact = v.optional(
  v.pipe(v.string(), v.transform((text) => text.slice(0, FACT_LIMIT))),
);

const refusalFacts = v.object({
  agentId: refusalFact,
  machineId: refusalFact,
  version: refusalFact,
  minimumVersion: refusalFact,
  recordedVersion: refusalFact,
});

/** Whether the server accepts this agent, as it is saved. */
export const savedAcceptance = v.object({
  doubt: v.optional(
    v.nullable(v.variant("kind", [
      v.object({
        kind: v.literal("token"),
        why: v.optional(savedReason, ""),
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
  operatorAction: v.nullable(
    v.object({
      cause: v.optional(
        v.picklist(["token", "deleted", "forbidden", ...REFUSAL_CAUSES]),
        "forbidden",
      ),
      why: savedReason,
      facts: v.optional(refusalFacts),
      sinceMs: v.optional(savedInstant, 0),
      notBeforeMs: savedInstant,
    }),
  ),
});

const savedConnection = v.object({
  breaker: savedBreaker,
  paths: v.object({ check_in: path, delivery: path }),
  outage: v.nullable(
    v.object({
      sinceMs: savedInstant,
      failedCalls: savedCount,
      why: savedReason,
      offline: v.boolean(),
      status: v.optional(v.nullable(savedCount), null),
    }),
  ),
  ...savedAcceptance.entries,
});

type SavedConnection = v.InferOutput<typeof savedConnection>;

/** The shape of a saved state. */
export const storedState = v.object({
  connection: savedConnection,
  rapidUntilMs: v.nullable(savedInstant),
  nextCheckInAtMs: v.nullable(savedInstant),
  afterCrashAtMs: v.optional(v.nullable(savedInstant), null),
  lastCheckInAtMs: v.nullable(savedInstant),
  lastSystemInfoAtMs: v.nullable(savedInstant),
  isOnce: v.optional(v.boolean(), false),
});

/** A state as it is saved: all instants since the Unix epoch. */
export type StoredState = v.InferOutput<typeof storedState>;

/** The state to save. */
export function encodeState(state: AgentState, at: TwoClocks): StoredState {
  const orNull = (ms: number | null) =>
    ms === null || !Number.isFinite(ms) ? null : toSavedInstant(ms, at);
  return {
    connection: saveConnection(state.connection, at),
    rapidUntilMs: orNull(state.rapidUntilMs),
    nextCheckInAtMs: orNull(state.nextCheckInAtMs),
    afterCrashAtMs: orNull(state.afterCrashAtMs),
    lastCheckInAtMs: orNull(state.lastCheckInAtMs),
    lastSystemInfoAtMs: orNull(state.lastSystemInfoAtMs),
    isOnce: state.isOnce,
  };
}

/** Restores a saved state: no cause in the future, no wait over `longest`. */
export function decodeState(saved: StoredState, at: TwoClocks, longest: LongestWaits): AgentState {
  const past = (ms: number | null) => ms === null ? null : pastInstant(ms, at);
  const future = (ms: number | null, longestMs: number) =>
    ms === null ? null : futureInstant(ms, at, longestMs);
  return {
    connection: restoreConnection(saved.connection, at, longest),
    rapidUntilMs: future(saved.rapidUntilMs, longest.rapidMs),
    nextCheckInAtMs: future(dueOf(saved, at.nowMs), longest.intervalMs),
    afterCrashAtMs: null,
    lastCheckInAtMs: past(saved.lastCheckInAtMs),
    lastSystemInfoAtMs: past(saved.lastSystemInfoAtMs),
    isOnce: saved.isOnce,
  };
}

/** When the next check-in is due for a process that starts now. */
function dueOf({ nextCheckInAtMs, afterCrashAtMs }: StoredState, nowMs: number): number | null {
  if (nextCheckInAtMs === null || nextCheckInAtMs > nowMs) return nextCheckInAtMs;
  return Math.max(nextCheckInAtMs, afterCrashAtMs ?? nextCheckInAtMs);
}

function saveConnection(connection: ConnectionState, at: TwoClocks): SavedConnection {
  const { breaker, paths, outage, doubt, operatorAction } = connection;
  const epoch = (ms: number) => toSavedInstant(ms, at);
  const savePath = ({ failures, notBeforeMs }: PathState) => ({
    failures: toSavedCount(failures),
    notBeforeMs: Number.isFinite(notBeforeMs) ? epoch(notBeforeMs) : null,
  });
  return {
    breaker: saveBreaker(breaker, at),
    paths: { check_in: savePath(paths.check_in), delivery: savePath(paths.delivery) },
    outage: outage && {
      ...outage,
      failedCalls: toSavedCount(outage.failedCalls),
      why: toSavedReason(outage.why),
      sinceMs: epoch(outage.sinceMs),
      status: outage.status === null ? null : toSavedCount(outage.status),
    },
    doubt: doubt && {
      ...doubt,
      sinceMs: epoch(doubt.sinceMs),
      ...doubt.kind === "token" && {
        why: toSavedReason(doubt.why),
        refusals: toSavedCount(doubt.refusals),
        notBeforeMs: epoch(doubt.notBeforeMs),
      },
    },
    operatorAction: operatorAction && {
      cause: operatorAction.cause,
      why: toSavedReason(operatorAction.why),
      ...operatorAction.facts && { facts: v.parse(refusalFacts, operatorAction.facts) },
      sinceMs: epoch(operatorAction.sinceMs),
      notBeforeMs: epoch(operatorAction.notBeforeMs),
    },
  };
}

function restoreConnection(
  saved: SavedConnection,
  at: TwoClocks,
  longest: LongestWaits,
): ConnectionState {
  const { breaker, paths, outage, doubt, operatorAction } = saved;
  const future = (ms: number) => futureInstant(ms, at, longest.notBeforeMs);
  const restorePath = ({ failures, notBeforeMs }: SavedConnection["paths"]["check_in"]) => ({
    failures,
    notBeforeMs: notBeforeMs === null ? -Infinity : future(notBeforeMs),
  });
  return {
    breaker: restoreBreaker(breaker, at, longest.openMs),
    paths: { check_in: restorePath(paths.check_in), delivery: restorePath(paths.delivery) },
    outage: outage && { ...outage, sinceMs: pastInstant(outage.sinceMs, at) },
    doubt: doubt && {
      ...doubt,
      sinceMs: pastInstant(doubt.sinceMs, at),
      ...("notBeforeMs" in doubt && { notBeforeMs: future(doubt.notBeforeMs) }),
    },
    operatorAction: operatorAction && {
      ...operatorAction,
      sinceMs: pastInstant(operatorAction.sinceMs, at),
      notBeforeMs: future(operatorAction.notBeforeMs),
    },
  };
}
