/** Reads `Retry-After`, `Date` and the rate-limit headers (`X-RateLimit-*`): how long a server asks the agent to wait. */

/** Longest wait that a server can ask for. */
export const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * Reads `Retry-After` in both its forms, seconds and HTTP date (RFC 9110, section 10.2.3).
 *
 * Malformed, negative and past values are ignored. So is 0, which this server sends when it does not
 * know: the agent's own backoff is better. `null`: nothing usable.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | null {
  const value = header?.trim() ?? "";
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : readHttpDate(value) - nowMs;
  if (!(waitMs > 0)) return null;
  return Math.min(waitMs, LONGEST_RETRY_AFTER_MS);
}

/** All three forms of RFC 9110, section 5.6.7, begin with the name of a day. */
function readHttpDate(value: string): number {
  return /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value) : NaN;
}

/**
 * The server's clock, from its `Date` header (RFC 9110, section 6.6.1): the instants that it sends refer
 * to that clock, not to this host's. `null`: unknown.
 */
export function readServerClock(headers: Readonly<Record<string, string>>): number | null {
  const dateMs = readHttpDate(headers["date"]?.trim() ?? "");
  return Number.isNaN(dateMs) ? null : dateMs;
}

/** How many more requests the server accepts in its present window. */
export interface RateLimit {
  /** Requests in a whole window; `null`: unknown. */
  readonly limit: number | null;
  readonly remaining: number;
  /** Until the window ends. */
  readonly resetInMs: number;
}

/** The length of the server's rate-limit window, unless its reset says otherwise. */
export const RATE_LIMIT_WINDOW_MS = 60_000;

/**
 * Reads the rate-limit headers, `X-RateLimit-*`; `null` where they are missing or invalid. Their reset is an instant
 * of the server's clock. Where that is unknown (`null`), the usual length of the window is used: this
 * host's clock may be wrong by hours.
 */
export function readRateLimit(
  headers: Readonly<Record<string, string>>,
  serverMs: number | null,
): RateLimit | null {
  const remaining = readCount(headers["x-ratelimit-remaining"]);
  const resetS = readCount(headers["x-ratelimit-reset"]);
  if (remaining === null || resetS === null) return null;
  const resetInMs = serverMs === null
    ? RATE_LIMIT_WINDOW_MS
    : Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, resetS * 1_000 - serverMs));
  return { limit: readCount(headers["x-ratelimit-limit"]), remaining, resetInMs };
}

function readCount(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,15}$/.test(header.trim()) ? Number(header) : null;
}
