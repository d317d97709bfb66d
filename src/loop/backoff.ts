/** Exponential backoff with full jitter: how long to wait after n failures. */

import type { Random } from "../system/system.ts";

/** @default 5 s doubling to 5 min, never under 0.5 s */
export interface BackoffPolicy {
  readonly baseMs: number;
  readonly capMs: number;
  /** The shortest wait: even lucky draws leave the server a breath. */
  readonly floorMs: number;
}

/** The longest wait after `failures` in a row: `min(cap, base * 2^(failures - 1))`, 0 after none. */
export function ceilingMs(failures: number, policy: BackoffPolicy): number {
  if (failures < 1) return 0;
  return Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));
}

/**
 * A wait drawn evenly between the floor and the ceiling. It is drawn inside the cap, so that waits
 * at the cap differ too.
 *
 * | failures | with 5 s, 5 min, 0.5 s |
 * | --- | --- |
 * | 1 | 0.5 to 5 s |
 * | 2 | 0.5 to 10 s |
 * | 7 and more | 0.5 to 300 s |
 */
export function backoffMs(failures: number, policy: BackoffPolicy, random: Random): number {
  const longestMs = ceilingMs(failures, policy);
  if (longestMs <= policy.floorMs) return longestMs;
  return policy.floorMs + random() * (longestMs - policy.floorMs);
}
