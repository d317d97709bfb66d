/**
 * Slow start: after an outage, and while no report gets through, the backlog goes out in doubling
 * portions, a second apart. Pure.
 */

/** Wait between two portions. */
export const SLOW_START_STEP_MS = 1_000;

/** After this portion the server's own limits suffice. */
const LAST_STEP = 6;

/** This many reports in a row without success mean that nothing gets through. */
const STALLED_REPORTS = 3;

/** The state of slow start. */
export interface SlowStart {
  /** Portions sent so far; `null`: slow start is off, and nothing is delayed. */
  readonly step: number | null;
  /** Reports since the last success that the server did not accept, for whatever reason. */
  readonly failedReports: number;
}

/** No slow start, as long as reports get through. */
export const NO_SLOW_START: SlowStart = { step: null, failedReports: 0 };

/** How many events may go out now: 1, 2, 4 … 64, then all. */
export function portionSize({ step }: SlowStart): number {
  return step === null ? Infinity : 2 ** step;
}

/** The state after a complete portion; the last one ends slow start. */
export function advanceSlowStart(slowStart: SlowStart): SlowStart {
  const { step } = slowStart;
  return { ...slowStart, step: step === null || step >= LAST_STEP ? null : step + 1 };
}

/** Whether nothing gets through: the next portions are small. */
export function isStalled({ failedReports }: SlowStart): boolean {
  return failedReports >= STALLED_REPORTS;
}
