/** A rate limit of the server in the simulator: so many requests in any 60 s, half of it when it is young. */

const WINDOW_MS = 60_000;

/** What a limit says of one request. */
export interface LimitVerdict {
  readonly isAllowed: boolean;
  readonly limit: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A sliding window; refused requests do not count. */
export class SimWindow {
  readonly #limit: number;
  #instants: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** It was in memory. */
  forget(): void {
    this.#instants = [];
  }

  take(nowMs: number, isYoung: boolean): LimitVerdict {
    const limit = isYoung ? Math.max(1, Math.floor(this.#limit / 2)) : this.#limit;
    this.#instants = this.#instants.filter((atMs) => atMs > nowMs - WINDOW_MS);
    if (this.#instants.length >= limit) {
      const resetMs = this.#instants[0]! + WINDOW_MS;
      // Rounded down, as RedFlag does.
      const retryAfter = String(Math.trunc((resetMs - nowMs) / 1_000));
      const headers = { ...headersOf(limit, 0, resetMs), "retry-after": retryAfter };
      return { isAllowed: false, limit, headers };
    }
    this.#instants.push(nowMs);
    // As RedFlag says it: a window from now, whenever a place is free.
    const headers = headersOf(limit, limit - this.#instants.length, nowMs + WINDOW_MS);
    return { isAllowed: true, limit, headers };
  }
}

function headersOf(limit: number, remaining: number, resetMs: number): Record<string, string> {
  return {
    "x-ratelimit-limit": String(limit),
    "x-ratelimit-remaining": String(remaining),
    "x-ratelimit-reset": String(Math.floor(resetMs / 1_000)),
  };
}
