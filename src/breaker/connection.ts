/** The breaker's rules for the connection to the server, from the configuration's numbers. */

import type { BreakerPolicy } from "./breaker.ts";

/** The numbers of resilience.md's section 3, column "connection"; the configuration's `breaker`. */
export interface ConnectionBreakerSettings {
  readonly consecutiveFailures: number;
  readonly windowFailures: number;
  readonly windowSize: number;
  readonly minOpenMs: number;
  readonly maxOpenMs: number;
  readonly probeTimeoutMs: number;
}

/**
 * Open for U(c/2, c), where c is the backoff's ceiling after the failures so far, held between
 * `minOpenMs` and `maxOpenMs`: the breaker goes on where the backoff stood, and no two agents that
 * lost the server together come back together.
 */
export function connectionPolicy(
  settings: ConnectionBreakerSettings,
  ceilingMs: (failures: number) => number,
): BreakerPolicy {
  const { consecutiveFailures, windowFailures, windowSize, probeTimeoutMs } = settings;
  return {
    consecutiveFailures,
    windowFailures,
    windowSize,
    probeTimeoutMs,
    openMs(standing, random) {
      const fromBackoff = Math.max(ceilingMs(standing.failures), settings.minOpenMs);
      const longestMs = Math.min(fromBackoff, settings.maxOpenMs);
      return longestMs / 2 + random() * (longestMs / 2);
    },
  };
}
