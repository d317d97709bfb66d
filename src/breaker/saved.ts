/**
 * A breaker as it is saved: its instants since the Unix epoch, and held within bounds on the way in,
 * so that neither a clock that was set nor a damaged file can keep it open for longer than it may be.
 */

import * as v from "valibot";
import type { Breaker } from "./breaker.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9));
const instant = v.pipe(v.number(), v.finite());
const tripped = {
  generation: count,
  failures: count,
  trips: count,
  reason: v.pipe(v.string(), v.maxLength(1_000)),
  sinceMs: instant,
};

/** The shape of a saved breaker. */
export const savedBreaker = v.variant("state", [
  v.object({
    state: v.literal("closed"),
    generation: count,
    failures: count,
    recent: v.pipe(v.array(v.boolean()), v.maxLength(1_000)),
  }),
  v.object({ state: v.literal("open"), ...tripped, untilMs: instant }),
  v.object({ state: v.literal("half_open"), ...tripped, probeUntilMs: v.null() }),
]);

/** A breaker with instants since the Unix epoch. */
export type SavedBreaker = v.InferOutput<typeof savedBreaker>;

/** The two clocks at one instant. */
export interface TwoClocks {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** Longest text of a reason that is saved. */
const REASON_LIMIT = 1_000;

/** The breaker to save. A probe that is out is not saved: after a restart nobody waits for it. */
export function saveBreaker(breaker: Breaker, at: TwoClocks): SavedBreaker {
  const epoch = (ms: number) => Math.round(ms - at.monotonicMs + at.nowMs);
  if (breaker.state === "closed") return { ...breaker, recent: [...breaker.recent] };
  const saved = {
    ...breaker,
    reason: breaker.reason.slice(0, REASON_LIMIT),
    sinceMs: epoch(breaker.sinceMs),
  };
  switch (saved.state) {
    case "open":
      return { ...saved, untilMs: epoch(saved.untilMs) };
    case "half_open":
      return { ...saved, probeUntilMs: null };
  }
}

/** A saved breaker to go on with: open for `longestOpenMs` more at most, never since the future. */
export function restoreBreaker(
  saved: SavedBreaker,
  at: TwoClocks,
  longestOpenMs: number,
): Breaker {
  if (saved.state === "closed") return saved;
  const sinceMs = at.monotonicMs + Math.min(0, saved.sinceMs - at.nowMs);
  if (saved.state === "half_open") return { ...saved, sinceMs };
  const leftMs = Math.min(longestOpenMs, saved.untilMs - at.nowMs);
  return { ...saved, sinceMs, untilMs: at.monotonicMs + leftMs };
}
