/**
 * The saved form of a breaker. Its instants count since the Unix epoch, and reading clamps them, so
 * that neither a changed clock nor a corrupt file keeps a breaker open for longer than its rules say.
 */

import * as v from "valibot";
import type { Breaker } from "./breaker.ts";
import { LAST_INSTANT_MS } from "../system/system.ts";

const LARGEST_COUNT = 1e9;

/** Longest reason that is saved, in UTF-16 units. */
const LONGEST_REASON = 1_000;

/** Latest results that are saved; the configuration allows no larger window. */
const MOST_RECENT = 1_000;

/** A saved count; see `toSavedCount`. */
export const savedCount = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LARGEST_COUNT));

/** A saved instant, in ms since the Unix epoch; see `toSavedInstant`. */
export const savedInstant = v.pipe(
  v.number(),
  v.minValue(-LAST_INSTANT_MS),
  v.maxValue(LAST_INSTANT_MS),
);

/** A saved reason; see `toSavedReason`. */
export const savedReason = v.pipe(v.string(), v.maxLength(LONGEST_REASON));

/** Clamps a count to what `savedCount` accepts: another one would make the whole file unreadable. */
export function toSavedCount(count: number): number {
  return Math.min(LARGEST_COUNT, Math.max(0, Math.trunc(count) || 0));
}

/** Converts a monotonic instant to one that `savedInstant` accepts. */
export function toSavedInstant(ms: number, at: TwoClocks): number {
  const epochMs = Math.round(ms - at.monotonicMs + at.nowMs) || 0;
  return Math.min(LAST_INSTANT_MS, Math.max(-LAST_INSTANT_MS, epochMs));
}

/** Restores the saved instant of a past event as a monotonic one, which is never in the future. */
export function pastInstant(savedMs: number, at: TwoClocks): number {
  return at.monotonicMs + Math.min(0, savedMs - at.nowMs);
}

/** Restores the saved end of a wait as a monotonic instant, at most `longestMs` ahead. */
export function futureInstant(savedMs: number, at: TwoClocks, longestMs: number): number {
  return at.monotonicMs + Math.min(longestMs, savedMs - at.nowMs);
}

/** Truncates a reason to what `savedReason` accepts. */
export function toSavedReason(reason: string): string {
  return reason.slice(0, LONGEST_REASON);
}

const tripped = {
  generation: savedCount,
  failures: savedCount,
  trips: savedCount,
  reason: savedReason,
  sinceMs: savedInstant,
};

export const savedBreaker = v.variant("state", [
  v.object({
    state: v.literal("closed"),
    generation: savedCount,
    failures: savedCount,
    recent: v.pipe(v.array(v.boolean()), v.maxLength(MOST_RECENT)),
  }),
  v.object({ state: v.literal("open"), ...tripped, untilMs: savedInstant }),
  v.object({ state: v.literal("half_open"), ...tripped, probeUntilMs: v.null() }),
]);

/** A breaker with instants since the Unix epoch. */
export type SavedBreaker = v.InferOutput<typeof savedBreaker>;

/** The two clocks at one instant. */
export interface TwoClocks {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** The breaker to save. A running probe is not saved: after a restart its result cannot arrive. */
export function saveBreaker(breaker: Breaker, at: TwoClocks): SavedBreaker {
  const counts = {
    generation: toSavedCount(breaker.generation),
    failures: toSavedCount(breaker.failures),
  };
  if (breaker.state === "closed") {
    return { ...breaker, ...counts, recent: breaker.recent.slice(-MOST_RECENT) };
  }
  const saved = {
    ...breaker,
    ...counts,
    trips: toSavedCount(breaker.trips),
    reason: toSavedReason(breaker.reason),
    sinceMs: toSavedInstant(breaker.sinceMs, at),
  };
  switch (saved.state) {
    case "open":
      return { ...saved, untilMs: toSavedInstant(saved.untilMs, at) };
    case "half_open":
      return { ...saved, probeUntilMs: null };
  }
}

/** Restores a breaker: open for `longestOpenMs` more at most, and never since a future instant. */
export function restoreBreaker(
  saved: SavedBreaker,
  at: TwoClocks,
  longestOpenMs: number,
): Breaker {
  if (saved.state === "closed") return saved;
  const sinceMs = pastInstant(saved.sinceMs, at);
  if (saved.state === "half_open") return { ...saved, sinceMs };
  return { ...saved, sinceMs, untilMs: futureInstant(saved.untilMs, at, longestOpenMs) };
}
