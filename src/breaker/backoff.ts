/** Exponential backoff with full jitter: how long to wait after n failures. */

import type { Random } from "../system/system.ts";

/** The limits of waits. The configuration's defaults: 5 s doubling to 5 min, never under 0.5 s. */
export interface BackoffPolicy {
  /** The longest wait after the first failure; it doubles with each further one. */
  readonly baseMs: number;
  /** The longest wait of all. */
  readonly capMs: number;
  /** The shortest wait, as far as that is at most half of the longest. */
  readonly floorMs: number;
}

/** The longest wait after `failures` in a row: `min(cap, base * 2^(failures - 1))`, 0 after none. */
export function ceilingMs(failures: number, policy: BackoffPolicy): number {
  if (failures < 1) return 0;
  return Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));
}

/**
 * A wait drawn evenly between the floor, or half of the ceiling where that is less, and the ceiling. It
 * is drawn inside the cap, so that waits at the cap differ too: by half of it at least.
 *
 * | failures | with 5 s, 5 min, 0.5 s |
 * | --- | --- |
 * | 1 | 0.5 to 5 s |
 * | 2 | 0.5 to 10 s |
 * | 7 and more | 0.5 to 300 s |
 */
export function backoffMs(failures: number, policy: BackoffPolicy, random: Random): number {
  const longestMs = ceilingMs(failures, policy);
  // Where a ceiling is low, as that of a host which is offline, a high floor leaves half to chance.
  const shortestMs = Math.min(policy.floorMs, longestMs / 2);
  return shortestMs + random() * (longestMs - shortestMs);
}
