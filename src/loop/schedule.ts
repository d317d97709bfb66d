/**
 * When the next check-in is due while the server answers: the interval, its phase, the poll jitter, and
 * rapid polling. Pure. After a failure `dueAfter` in `check_in.ts` leaves it to the connection's wait.
 */

import type { CheckInAnswer } from "../server/check_in_answer.ts";
import type { Random } from "../system/system.ts";

/** Bounds of the interval that a server may ask for. */
const SHORTEST_INTERVAL_MS = 10_000;
const LONGEST_INTERVAL_MS = 24 * 3_600_000;

/** Poll jitter: the random part of an interval, in both directions, at most. */
const JITTER = 0.1;

/** How often to check in. */
export interface Polling {
  readonly intervalMs: number;
  readonly rapidIntervalMs: number;
  /** How long rapid polling still lasts, in ms; 0 or less: it is off. */
  readonly rapidLeftMs: number;
  /** The most that poll jitter may be, by the server's policy. @default a tenth of the interval */
  readonly jitterMaxMs?: number | null;
}

/** Clamps an interval from the server; `null` if it is no number of seconds. */
export function clampIntervalMs(seconds: number): number | null {
  if (!Number.isFinite(seconds) || seconds <= 0) return null;
  return Math.min(LONGEST_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, seconds * 1_000));
}

/**
 * How long to wait from `nowMs` (since the Unix epoch) until the next check-in.
 *
 * Each agent has its own phase in the interval, by its id, also after restarts: a fleet that was
 * enrolled or started within one minute spreads evenly. Rapid polling has no phase; jitter alone spreads
 * its short interval.
 */
export function nextCheckInDelayMs(
  polling: Polling,
  agentId: string,
  at: { nowMs: number; random: Random },
): number {
  const swing = 2 * at.random() - 1;
  if (polling.rapidLeftMs > 0) return polling.rapidIntervalMs * (1 + JITTER * swing);
  const { intervalMs } = polling;
  const jitterMs = Math.min(JITTER * intervalMs, polling.jitterMaxMs ?? Infinity);
  const phaseMs = phase(agentId) * intervalMs;
  // The first slot at least half an interval away: jitter neither skips nor doubles a slot.
  const slot = Math.ceil((at.nowMs + intervalMs / 2 - phaseMs) / intervalMs);
  return slot * intervalMs + phaseMs - at.nowMs + swing * jitterMs;
}

/** The phase of an agent id in [0, 1): FNV-1a, 32 bits, which spreads UUIDs evenly. */
export function phase(agentId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < agentId.length; index++) {
    hash = Math.imul(hash ^ agentId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) / 4_294_967_296;
}

/** The longest time of rapid polling per request. */
export const LONGEST_RAPID_MS = 60 * 60_000;

/** Clamps a duration of rapid polling; 0 ends it. */
export function clampRapidMs(ms: number): number {
  return Number.isFinite(ms) ? Math.min(LONGEST_RAPID_MS, Math.max(0, ms)) : 0;
}

/**
 * How long rapid polling lasts according to an answer, in ms, if it lasts for `leftMs` more already;
 * `null`: no change.
 *
 * RedFlag 0.1.18 sends `until` = now + 10 minutes with every command, also during a longer heartbeat:
 * an instant may lengthen rapid polling, and never shortens it.
 */
export function rapidLeftMs(
  answered: CheckInAnswer["rapidPolling"],
  nowMs: number,
  leftMs: number,
): number | null {
  if (!answered) return null;
  if (!answered.enabled) return 0;
  const untilMs = Date.parse(answered.until ?? "");
  if (Number.isNaN(untilMs)) return null;
  const answeredMs = clampRapidMs(untilMs - nowMs);
  return answeredMs > leftMs ? answeredMs : null;
}
