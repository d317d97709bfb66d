/** The breaker's rules for a scanner: a package manager that keeps failing is left alone for long. */

import type { BreakerPolicy } from "./breaker.ts";

/** The numbers of resilience.md's section 3, column "scanner"; the configuration's `scanners`. */
export interface ScannerBreakerSettings {
  readonly consecutiveFailures: number;
  /** How long it stays open the first time; twice as long each time after that. */
  readonly minOpenMs: number;
  readonly maxOpenMs: number;
  /** One scan's own limit: after it the scan has failed, and a probe's slot is taken back. */
  readonly timeoutMs: number;
}

/** Part of the time open that is left to chance, either way. */
const JITTER = 0.2;

/** Longest time that a scanner's breaker can be open: what a saved one is cut to. */
export function longestScannerOpenMs(settings: ScannerBreakerSettings): number {
  return settings.maxOpenMs * (1 + JITTER);
}

/** Opens after failures in a row, for `minOpenMs` doubling to `maxOpenMs`, +- 20 %. */
export function scannerPolicy(settings: ScannerBreakerSettings): BreakerPolicy {
  return {
    consecutiveFailures: settings.consecutiveFailures,
    windowFailures: 0,
    windowSize: 0,
    probeTimeoutMs: settings.timeoutMs,
    openMs(standing, random) {
      const openMs = Math.min(settings.maxOpenMs, settings.minOpenMs * 2 ** (standing.trips - 1));
      return openMs * (1 - JITTER + 2 * JITTER * random());
    },
  };
}
