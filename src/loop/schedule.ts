/** When the next check-in is due if all is well: the interval, its phase, and rapid polling. */

import type { Random } from "../system/system.ts";

/** A server cannot ask for less than this, nor for more. */
export const SHORTEST_INTERVAL_MS = 10_000;
export const LONGEST_INTERVAL_MS = 24 * 3_600_000;

/** Part of an interval that is left to chance, either way. */
const JITTER = 0.1;

/** How often to check in. */
export interface Polling {
  readonly intervalMs: number;
  readonly rapidIntervalMs: number;
  /** How much longer rapid polling lasts, in ms; 0 or less: it is off. */
  readonly rapidLeftMs: number;
}

/** An interval as the server sends it, within bounds; `null` if it is no number of seconds. */
export function clampIntervalMs(seconds: number): number | null {
  if (!Number.isFinite(seconds) || seconds <= 0) return null;
  return Math.min(LONGEST_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, seconds * 1_000));
}

/**
 * How long to wait from `nowMs` (since the Unix epoch) until the next check-in.
 *
 * Each agent has its own place in the interval, by its id, and keeps it through restarts: a fleet
 * that was enrolled or started in one minute spreads evenly. Rapid polling has no phase; its
 * interval is short enough for jitter alone to spread it.
 */
export function nextCheckInMs(
  polling: Polling,
  agentId: string,
  at: { nowMs: number; random: Random },
): number {
  const swing = 1 - JITTER + 2 * JITTER * at.random();
  if (polling.rapidLeftMs > 0) return polling.rapidIntervalMs * swing;
  const { intervalMs } = polling;
  const phaseMs = phase(agentId) * intervalMs;
  // The first slot at least half an interval away: early or late, it is never skipped nor doubled.
  const slot = Math.ceil((at.nowMs + intervalMs / 2 - phaseMs) / intervalMs);
  return slot * intervalMs + phaseMs - at.nowMs + (swing - 1) * intervalMs;
}

/** A place in [0, 1) for an agent id: FNV-1a, 32 bits, which spreads UUIDs evenly. */
export function phase(agentId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < agentId.length; index++) {
    hash = Math.imul(hash ^ agentId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) / 4_294_967_296;
}
