/**
 * The rules of backoff and of each breaker, from the configuration's numbers: how long to wait after n
 * failures, when a breaker opens, and for how long.
 */

import type { BreakerPolicy } from "./breaker.ts";
import type { Random } from "../system/system.ts";

/** The numbers of docs/resilience.md, "States", column "connection"; the configuration's `breaker`. */
export interface ConnectionBreakerSettings
  extends Omit<BreakerPolicy, "maxFailedProbes" | "openMs"> {
  /** Lower limit of c in `connectionPolicy`. */
  readonly minOpenMs: number;
  /** Upper limit of c. */
  readonly maxOpenMs: number;
}

/**
 * Stays open for U(c/2, c), where c is the backoff's ceiling after the failures so far, clamped to
 * `minOpenMs` and `maxOpenMs`: the breaker continues where the backoff stood, and agents that lost the
 * server together do not return together.
 */
export function connectionPolicy(
  { minOpenMs, maxOpenMs, ...rules }: ConnectionBreakerSettings,
  backoff: BackoffPolicy,
): BreakerPolicy {
  return {
    ...rules,
    openMs({ failures }, random) {
      const longestMs = Math.min(Math.max(ceilingMs(failures, backoff), minOpenMs), maxOpenMs);
      return longestMs / 2 + random() * (longestMs / 2);
    },
  };
}

/**
 * The longest wait that the agent itself chooses during rapid polling, while a person watches the
 * dashboard. A server's `Retry-After` may ask for more.
 */
const RAPID_CAP_MS = 30_000;

/** The rules of the connection. */
export interface ConnectionPolicy {
  /** Between attempts of one path. */
  readonly backoff: BackoffPolicy;
  /** For all paths together. */
  readonly breaker: BreakerPolicy;
  /** Between check-ins; attempts that need operator action come no more often. */
  readonly intervalMs: number;
}

/** The rules while polling normally, and those while rapid polling is on. */
export type ConnectionPolicies = Readonly<Record<"normal" | "rapid", ConnectionPolicy>>;

/** The rules by the configuration's numbers; rapid polling lowers caps and raises nothing. */
export function connectionPolicies(
  settings: {
    readonly backoff: BackoffPolicy;
    readonly breaker: ConnectionBreakerSettings;
    readonly intervalMs: number;
  },
): ConnectionPolicies {
  const policyOf = (capMs: number): ConnectionPolicy => {
    const backoff = { ...settings.backoff, capMs: Math.min(capMs, settings.backoff.capMs) };
    const breaker = {
      ...settings.breaker,
      minOpenMs: Math.min(capMs, settings.breaker.minOpenMs),
      maxOpenMs: Math.min(capMs, settings.breaker.maxOpenMs),
    };
    return {
      backoff,
      breaker: connectionPolicy(breaker, backoff),
      intervalMs: Math.min(capMs, settings.intervalMs),
    };
  };
  return { normal: policyOf(Infinity), rapid: policyOf(RAPID_CAP_MS) };
}

/** Report failures in a row that open the report breaker, half-open as well as closed. */
const REPORT_FAILURES = 3;

/**
 * The rules of the report breaker, for a server that accepts check-ins and fails on reports. It opens
 * after every third failure, not after each: a few bad events in front of good ones must not delay
 * those for long. It stays open for one backoff, which grows with each opening. A probe has no time
 * limit here, because the connection limits every call.
 */
export function reportPolicy(backoff: BackoffPolicy): BreakerPolicy {
  return {
    consecutiveFailures: REPORT_FAILURES,
    windowFailures: 0,
    windowSize: 0,
    maxFailedProbes: REPORT_FAILURES,
    probeTimeoutMs: Infinity,
    openMs: ({ trips }, random) => backoffMs(trips, backoff, random),
  };
}

/** The numbers of docs/resilience.md, "States", column "scanner"; the configuration's `scanners`. */
export interface ScannerBreakerSettings {
  /** Opens at this many failed scans in a row. */
  readonly consecutiveFailures: number;
  /** How long it stays open the first time; each further time is twice as long. */
  readonly minOpenMs: number;
  /** Limit of that doubling; chance adds up to 20 %. */
  readonly maxOpenMs: number;
  /** The time limit of one scan: after it the scan has failed, and the probe's slot is free again. */
  readonly timeoutMs: number;
}

/** Random part of the open time, in both directions. */
const JITTER = 0.2;

/** The longest time that a scanner's breaker can be open: the limit for a saved one. */
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
