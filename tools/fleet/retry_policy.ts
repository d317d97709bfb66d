/** The policies known from books: a fixed wait after a failure, and two jittered backoffs. */

import type { Random } from "../../src/system/system.ts";
import {
  type Behaviour,
  CHECK_IN_LIMIT_MS,
  type Fleet,
  INTERVAL_MS,
  type Policy,
  RAPID_INTERVAL_MS,
} from "./policy.ts";

const BASE_MS = 5_000;
const CAP_MS = 300_000;

/** Part of an interval that is left to chance, either way; the fixed policy knows no chance. */
const JITTER = 0.1;

/** After a failure: every 5 s. */
export const FIXED_5S: Policy = retryPolicy("fixed-5s", ({ isRapid }) => {
  const intervalMs = isRapid ? RAPID_INTERVAL_MS : INTERVAL_MS;
  return {
    begin: () => 0,
    checkInLimitMs: () => CHECK_IN_LIMIT_MS,
    afterSuccess: (_agent, nowMs) => nowMs + intervalMs,
    afterFailure: (_agent, nowMs) => nowMs + BASE_MS,
  };
});

/** After the nth failure: half of min(300 s, 5 s * 2^(n - 1)), and at most as much again. */
export const EQUAL_JITTER: Policy = retryPolicy("equal-jitter", ({ agents, isRapid, random }) => {
  const failures = new Int32Array(agents);
  return {
    begin: () => 0,
    checkInLimitMs: () => CHECK_IN_LIMIT_MS,
    afterSuccess(agent, nowMs) {
      failures[agent] = 0;
      return nowMs + jitteredIntervalMs(isRapid, random);
    },
    afterFailure(agent, nowMs) {
      const ceilingMs = Math.min(CAP_MS, BASE_MS * 2 ** failures[agent]!);
      failures[agent]! += 1;
      return nowMs + ceilingMs / 2 * (1 + random());
    },
  };
});

/** After a failure: between 5 s and three times the wait before, at most 300 s. */
export const DECORRELATED_JITTER: Policy = retryPolicy(
  "decorrelated-jitter",
  ({ agents, isRapid, random }) => {
    const waitMs = new Float64Array(agents).fill(BASE_MS);
    return {
      begin: () => 0,
      checkInLimitMs: () => CHECK_IN_LIMIT_MS,
      afterSuccess(agent, nowMs) {
        waitMs[agent] = BASE_MS;
        return nowMs + jitteredIntervalMs(isRapid, random);
      },
      afterFailure(agent, nowMs) {
        const longestMs = 3 * waitMs[agent]!;
        waitMs[agent] = Math.min(CAP_MS, BASE_MS + random() * (longestMs - BASE_MS));
        return nowMs + waitMs[agent]!;
      },
    };
  },
);

function retryPolicy(name: string, start: (fleet: Fleet) => Behaviour): Policy {
  return { name, periodMs: (isRapid) => isRapid ? RAPID_INTERVAL_MS : INTERVAL_MS, start };
}

function jitteredIntervalMs(isRapid: boolean, random: Random): number {
  return (isRapid ? RAPID_INTERVAL_MS : INTERVAL_MS) * (1 - JITTER + 2 * JITTER * random());
}
