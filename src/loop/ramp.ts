/** Slow start: after an outage the backlog goes out in doubling portions, a second apart. Pure. */

/** Between two portions. */
export const RAMP_STEP_MS = 1_000;

/** From this portion on the server's own limits are enough to go by. */
const LAST_STEP = 6;

/** How far a ramp has come; `null`: none is on, and nothing is held back. */
export type Ramp = { readonly step: number } | null;

/** A ramp at its foot. */
export const NEW_RAMP: Ramp = { step: 0 };

/** How many events may go out now: 1, 2, 4 … 64, then all. */
export function portion(ramp: Ramp): number {
  return ramp === null ? Infinity : 2 ** ramp.step;
}

/** The ramp after a portion went out whole; after the last one it is over. */
export function climb(ramp: Ramp): Ramp {
  return ramp === null || ramp.step >= LAST_STEP ? null : { step: ramp.step + 1 };
}
