/**
 * How the server has taken the latest reports: one that takes none of several in a row is told the
 * next ones slowly, and one that breaks over them gets a rest, longer each time. Pure.
 */

import type { Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy } from "./backoff.ts";

/** So many in a row are reason enough not to go on as before. */
const IN_A_ROW = 3;

/** What came of the reports since one got through. */
export interface Reception {
  /** That were not taken, whoever's fault it was. */
  readonly inVain: number;
  /** That the server broke over since the last rest. */
  readonly doubts: number;
  readonly rests: number;
  /** Until then the server has its rest. */
  readonly notBeforeMs: number;
}

/** A report got through, or none was sent yet. */
export const GOOD_RECEPTION: Reception = { inVain: 0, doubts: 0, rests: 0, notBeforeMs: -Infinity };

/** The server would not have one. */
export function noteRefused(reception: Reception): Reception {
  return { ...reception, inVain: reception.inVain + 1 };
}

/**
 * The server broke over one, and may break over any. It gets a rest after every third, not after each:
 * a few bad events in front of good ones must not keep those waiting for long.
 */
export function noteDoubt(
  reception: Reception,
  step: { nowMs: number; policy: BackoffPolicy; random: Random },
): Reception {
  const { inVain, doubts, rests } = reception;
  if (doubts + 1 < IN_A_ROW) return { ...reception, inVain: inVain + 1, doubts: doubts + 1 };
  const notBeforeMs = step.nowMs + backoffMs(rests + 1, step.policy, step.random);
  return { inVain: inVain + 1, doubts: 0, rests: rests + 1, notBeforeMs };
}

/** Whether what comes next goes slowly: the last ones were all in vain. */
export function isPoor({ inVain }: Reception): boolean {
  return inVain >= IN_A_ROW;
}
