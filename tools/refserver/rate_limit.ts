/** RedFlag's rate limit: at most so many requests of one key in any 60 s, told in headers. */

/** The length of the sliding window. */
export const WINDOW_MS = 60_000;

/** Requests a minute for each kind of route; 0 switches that limit off. */
export interface RateLimits {
  /** Registrations of one address. @default 5 */
  readonly register: number;
  /** Renewals of one address. @default 20 */
  readonly public: number;
  /** Updates, logs, dependencies, system-info and rapid-mode of one agent, together. @default 30 */
  readonly agent: number;
  /** Check-ins and fetched capability tokens of one agent, together; only at servers of 0.2. @default 60 */
  readonly checkin: number;
}

/** RedFlag's defaults. */
export const DEFAULT_LIMITS: RateLimits = { register: 5, public: 20, agent: 30, checkin: 60 };

/** Whether a request may pass, and the headers that tell. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** When the oldest request leaves the window, or, if this one may pass, this one. */
  readonly resetMs: number;
}

/** Sliding windows by key. A refused request does not count. */
export class RateLimiter {
  #windows = new Map<string, number[]>();

  /** Counts a request of `key` against `limit` a minute. */
  take(key: string, limit: number, nowMs: number): RateVerdict {
    if (limit === 0) return { allowed: true, headers: {}, resetMs: nowMs };
    const counted = (this.#windows.get(key) ?? []).filter((atMs) => atMs > nowMs - WINDOW_MS);
    this.#windows.set(key, counted);
    const oldestMs = counted[0];
    if (oldestMs !== undefined && counted.length >= limit) {
      const resetMs = oldestMs + WINDOW_MS;
      return {
        allowed: false,
        resetMs,
        headers: {
          ...this.#headers(limit, 0, resetMs),
          // Rounded down as in the real one: in the last second it says 0.
          "Retry-After": String(Math.trunc((resetMs - nowMs) / 1_000)),
        },
      };
    }
    counted.push(nowMs);
    const headers = this.#headers(limit, limit - counted.length, nowMs + WINDOW_MS);
    return { allowed: true, headers, resetMs: nowMs + WINDOW_MS };
  }

  #headers(limit: number, remaining: number, resetMs: number): Record<string, string> {
    return {
      "X-RateLimit-Limit": String(limit),
      "X-RateLimit-Remaining": String(remaining),
      "X-RateLimit-Reset": String(Math.floor(resetMs / 1_000)),
    };
  }
}
