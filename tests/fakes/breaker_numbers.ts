/** The defaults of the configuration for breakers and backoff, once for all tests; config_test.ts compares. */

/** Between two check-ins. */
export const INTERVAL_MS = 300_000;

export const backoff = { baseMs: 5_000, capMs: 300_000, floorMs: 500 };

/** When the connection's breaker opens, and how long a probe may take. */
export const breakerRules = {
  consecutiveFailures: 5,
  windowFailures: 5,
  windowSize: 10,
  probeTimeoutMs: 10_000,
};

/** The numbers of docs/resilience.md, "States", column "connection". */
export const breaker = { ...breakerRules, minOpenMs: 60_000, maxOpenMs: 300_000 };

/** The same, column "scanner". */
export const scannerBreaker = {
  consecutiveFailures: 3,
  minOpenMs: 15 * 60_000,
  maxOpenMs: 6 * 3_600_000,
  timeoutMs: 35 * 60_000,
};
