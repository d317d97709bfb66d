/** Rapid polling: what the server and a command may ask for, within bounds. Pure. */

import type { CheckInAnswer } from "../server/check_in_answer.ts";

/** Rapid polling never lasts longer than this without being asked for again. */
export const LONGEST_RAPID_MS = 60 * 60_000;

/** Within bounds: 0 ends it. */
export function clampRapidMs(ms: number): number {
  return Number.isFinite(ms) ? Math.min(LONGEST_RAPID_MS, Math.max(0, ms)) : 0;
}

/**
 * How much longer rapid polling lasts by the server's word, in ms, where it lasts for `leftMs` more
 * already; `null`: what holds goes on to its own end.
 *
 * RedFlag 0.1.18 sends `until` = now + 10 minutes with every command, also while a longer heartbeat
 * runs: an instant may lengthen rapid polling, and never shortens it.
 */
export function rapidLeftMs(
  told: CheckInAnswer["rapidPolling"],
  nowMs: number,
  leftMs: number,
): number | null {
  if (!told) return null;
  if (!told.enabled) return 0;
  const untilMs = Date.parse(told.until ?? "");
  if (Number.isNaN(untilMs)) return null;
  const toldMs = clampRapidMs(untilMs - nowMs);
  return toldMs > leftMs ? toldMs : null;
}
