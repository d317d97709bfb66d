/** The server as the agent last saw it, and the next attempt, from a status: pure. */

import type { StoredState } from "../loop/state.ts";
import type { Status } from "./status.ts";

/** The server as the agent last saw it. Instants are in ms since the Unix epoch. */
export type ServerHealth =
  /** It accepted the last check-in. */
  | { readonly state: "reachable"; readonly lastMs: number }
  /** Nothing arrives there. `offline`: nothing seems to leave this host. */
  | ServerTrouble & { readonly state: "unreachable" | "offline" }
  /** It answers with errors. */
  | ServerTrouble & { readonly state: "failing" }
  /** It does not accept this agent. */
  | ServerTrouble & { readonly state: "refusing" }
  /** It asks this agent to wait (429, 503). */
  | { readonly state: "limiting"; readonly lastMs: number | null }
  /** No agent runs, or it has not checked in yet. */
  | { readonly state: "unknown"; readonly lastMs: number | null };

interface ServerTrouble {
  readonly sinceMs: number;
  readonly why: string;
}

/** Clocks are corrected by some seconds all the time. */
const CLOCK_TOLERANCE_MS = 60_000;

/**
 * When the running agent will next call the server: the latest instant that the interval, the backoff,
 * the breaker or a refusal sets. It may be past by a moment. `null`: no agent runs, or it is unknown.
 */
export function nextAttemptAtMs(status: Status): number | null {
  const { holder, identity, state } = status;
  if (holder === null || identity === null || state === null) return null;
  // The running agent counts on another clock, and its file was written on this one before the jump.
  if (clockBackMs(status) > 0 || isStateOld(status)) return null;
  return savedNextAttemptMs(state);
}

/** As the file says, which the disk may have kept from being written since. */
function savedNextAttemptMs(state: StoredState): number | null {
  const { breaker, paths, doubt, operatorAction } = state.connection;
  const instants = [state.nextCheckInAtMs, paths.check_in.notBeforeMs];
  if (doubt?.kind === "token") instants.push(doubt.notBeforeMs);
  if (operatorAction !== null) instants.push(operatorAction.notBeforeMs);
  if (breaker.state === "open") instants.push(breaker.untilMs);
  const known = instants.filter((instant) => instant !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** Whether the agent goes on, and its disk takes no newer state: what was saved last is not of now. */
function isStateOld({ disk: { note }, state, nowMs }: Status): boolean {
  if (note === null || note.disk === "ok" || state === null) return false;
  const nextMs = savedNextAttemptMs(state);
  return nextMs !== null && nowMs - nextMs > CLOCK_TOLERANCE_MS;
}

/** The server as the agent last saw it. */
export function serverHealth(status: Status): ServerHealth {
  const { holder, identity, state } = status;
  const lastMs = state?.lastCheckInAtMs ?? null;
  if (holder === null || identity === null || state === null || isStateOld(status)) {
    return { state: "unknown", lastMs };
  }
  const { outage, doubt, operatorAction, paths } = state.connection;
  if (operatorAction !== null) {
    return { state: "refusing", sinceMs: operatorAction.sinceMs, why: operatorAction.why };
  }
  if (outage !== null) {
    const { sinceMs, offline, status } = outage;
    const why = factOf(outage.why);
    if (offline) return { state: "offline", sinceMs, why };
    return { state: status === null ? "unreachable" : "failing", sinceMs, why };
  }
  if (doubt?.kind === "token") {
    return { state: "refusing", sinceMs: doubt.sinceMs, why: "its tokens are not accepted" };
  }
  if (paths.check_in.failures > 0) return { state: "limiting", lastMs };
  return lastMs === null ? { state: "unknown", lastMs } : { state: "reachable", lastMs };
}

/** The fact of a message "Cannot reach "server": fact": the server is known. */
export function factOf(why: string): string {
  return /^Cannot reach "[^"]*": (.+)$/s.exec(why)?.[1] ?? why;
}

/** How far the clock went back since the agent started or checked in; 0: it did not. */
export function clockBackMs({ nowMs, holder, state }: Status): number {
  const latestMs = Math.max(holder?.since_ms ?? -Infinity, state?.lastCheckInAtMs ?? -Infinity);
  return latestMs - nowMs > CLOCK_TOLERANCE_MS ? latestMs - nowMs : 0;
}
