/** `Retry-After` and `X-RateLimit-*`: how long a server asks to be left alone. */

/** A server cannot send an agent away for longer than this. */
export const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * Reads `Retry-After` in both its forms, seconds and HTTP date (RFC 9110, section 10.2.3).
 *
 * Malformed, negative and past values are ignored. So is 0, which this server does send: it means
 * "no idea", and an agent's own backoff is the better answer. `null`: nothing usable.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | null {
  const value = header?.trim() ?? "";
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : readHttpDate(value) - nowMs;
  if (!(waitMs > 0)) return null;
  return Math.min(waitMs, LONGEST_RETRY_AFTER_MS);
}

/** All three forms that RFC 9110, section 5.6.7, lets a server send begin with a day's name. */
function readHttpDate(value: string): number {
  return /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value) : NaN;
}

/**
 * What the server's own clock says, by its `Date` header (RFC 9110, section 6.6.1): instants that it
 * sends are meant by that one, whatever this host's says. `null` where it does not tell.
 */
export function readServerClock(headers: Readonly<Record<string, string>>): number | null {
  const dateMs = readHttpDate(headers["date"]?.trim() ?? "");
  return Number.isNaN(dateMs) ? null : dateMs;
}

/** How much more the server takes in its present window. */
export interface RateLimit {
  /** Of the whole window; `null`: it does not say. */
  readonly limit: number | null;
  readonly remaining: number;
  /** Until the window is over. */
  readonly resetInMs: number;
}

/** The server's own window, where there is no telling by its reset. */
const WINDOW_MS = 60_000;

/**
 * Reads the `X-RateLimit-*` headers; `null` where they are missing or make no sense. Their reset is an
 * instant of the server's clock: where that is not known (`null`), this host's may be wrong by hours,
 * and the window's usual length is the better guess.
 */
export function readRateLimit(
  headers: Readonly<Record<string, string>>,
  serverMs: number | null,
): RateLimit | null {
  const remaining = readCount(headers["x-ratelimit-remaining"]);
  const resetS = readCount(headers["x-ratelimit-reset"]);
  if (remaining === null || resetS === null) return null;
  const resetInMs = serverMs === null
    ? WINDOW_MS
    : Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, resetS * 1_000 - serverMs));
  return { limit: readCount(headers["x-ratelimit-limit"]), remaining, resetInMs };
}

function readCount(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,15}$/.test(header.trim()) ? Number(header) : null;
}
