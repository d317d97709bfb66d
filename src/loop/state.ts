/**
 * What outlives a restart of the agent, and its saved form. Instants count since the Unix epoch in the
 * file and are monotonic in use; reading clamps them.
 */

import * as v from "valibot";
import {
  futureInstant,
  pastInstant,
  savedInstant,
  toSavedInstant,
  type TwoClocks,
} from "../breaker/saved.ts";
import {
  type LongestConnectionWaits,
  restoreConnection,
  saveConnection,
  savedConnection,
} from "../connection/saved_state.ts";
import { type ConnectionState, NEW_CONNECTION } from "../connection/state.ts";

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
};

/** The longest waits that a saved state may ask for; reading shortens longer ones. */
export interface LongestWaits extends LongestConnectionWaits {
  readonly rapidMs: number;
  readonly intervalMs: number;
}

/** The shape of a saved state. */
export const storedState = v.object({
  connection: savedConnection,
  rapidUntilMs: v.nullable(savedInstant),
  nextCheckInAtMs: v.nullable(savedInstant),
  afterCrashAtMs: v.optional(v.nullable(savedInstant), null),
  lastCheckInAtMs: v.nullable(savedInstant),
  lastSystemInfoAtMs: v.nullable(savedInstant),
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
  };
}

/** When the next check-in is due for a process that starts now. */
function dueOf({ nextCheckInAtMs, afterCrashAtMs }: StoredState, nowMs: number): number | null {
  if (nextCheckInAtMs === null || nextCheckInAtMs > nowMs) return nextCheckInAtMs;
  return Math.max(nextCheckInAtMs, afterCrashAtMs ?? nextCheckInAtMs);
}
