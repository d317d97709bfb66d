/** The loops of RedFlag's agent: a pause at random, a check-in, a sleep, whatever came of it. */

import { type Behaviour, CHECK_IN_LIMIT_MS, type Policy } from "./policy.ts";

/** Whole seconds, 0 to 29: before each check-in. */
const PAUSES = 30;

const MEAN_PAUSE_MS = 14_500;

/** RedFlag's loop with a sleep of so long, be rapid polling on or off. */
export function redflagPolicy(name: string, sleepMs: number): Policy {
  return {
    name,
    periodMs: () => sleepMs + MEAN_PAUSE_MS,
    start({ random }): Behaviour {
      const next = (_agent: number, nowMs: number) =>
        nowMs + sleepMs + Math.floor(random() * PAUSES) * 1_000;
      return {
        begin: () => 0,
        checkInLimitMs: () => CHECK_IN_LIMIT_MS,
        afterSuccess: next,
        afterFailure: next,
      };
    },
  };
}
