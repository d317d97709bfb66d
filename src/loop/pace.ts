/**
 * How fast reports may go: as many as the server's sliding window takes, and no faster. Pure.
 *
 * RedFlag's limiter (api/middleware/rate_limiter.go) lets `X-RateLimit-Limit` requests into any window
 * of a minute. Its `X-RateLimit-Reset` is no more than "a window from now" on a request that was let
 * in, so a drain that waited for it would stand still for most of each minute; when the first place is
 * free again is known by our own answers: each place is free a window after it was taken.
 */

import type { RateLimit } from "../server/retry_after.ts";
import type { Random } from "../system/system.ts";

/** The server's window; a longer one it tells by its reset. */
const WINDOW_MS = 60_000;

/** Places that are waited for together, so that a drain does not wake for each event. */
const AT_ONCE = 5;

/** Answers that are remembered, as many as the limit counts; more than any limit that would be felt. */
const MOST_REMEMBERED = 1_000;

/** The server tells whole seconds, rounded down. */
const ROUNDED_AWAY_MS = 1_000;

/** Past the end of a window that others share, by a little chance. */
const JITTER = 0.2;

/** What is known of the server's window. Instants are monotonic. */
export interface Pace {
  /**
   * When the last `limit` requests in the window were answered, oldest first: the server had them by
   * then. Where no limit is known, the last one alone.
   */
  readonly answeredMs: readonly number[];
  readonly limit: number | null;
  /** How many more it takes, as last heard; `null`: it has not said. */
  readonly remaining: number | null;
  readonly windowMs: number;
  /** When it is empty again, whoever filled it. */
  readonly resetMs: number;
  /** Not before this, because it has turned a request away. */
  readonly turnedAwayUntilMs: number;
}

/** Nothing is known yet. */
export const NEW_PACE: Pace = {
  answeredMs: [],
  limit: null,
  remaining: null,
  windowMs: WINDOW_MS,
  resetMs: -Infinity,
  turnedAwayUntilMs: -Infinity,
};

/** A request that is over. */
export interface Asked {
  readonly sentMs: number;
  readonly nowMs: number;
  /** `null`: nothing was told. */
  readonly rateLimit: RateLimit | null;
  /**
   * Whether no other request was on its way meanwhile. Else answers may overtake each other, and the
   * least that was told is what the server had left when it counted the last of them: whatever it has
   * counted since then is still on its way.
   */
  readonly isAlone: boolean;
  readonly random: Random;
}

/** What is known after it. */
export function noteAnswer(pace: Pace, asked: Asked): Pace {
  const { sentMs, nowMs, rateLimit, isAlone, random } = asked;
  const windowMs = Math.max(WINDOW_MS, rateLimit?.resetInMs ?? pace.windowMs);
  // Whatever was in the server's window when this one came is left, and little else.
  const answeredMs = [...pace.answeredMs.filter((atMs) => atMs > sentMs - windowMs), nowMs]
    .slice(-Math.max(1, Math.min(MOST_REMEMBERED, rateLimit?.limit ?? pace.limit ?? 1)));
  if (rateLimit === null) {
    const remaining = pace.remaining === null ? null : Math.max(0, pace.remaining - 1);
    return { ...pace, answeredMs, remaining };
  }
  const { limit, resetInMs } = rateLimit;
  const remaining = isAlone || pace.remaining === null
    ? rateLimit.remaining
    : Math.min(rateLimit.remaining, pace.remaining);
  const resetMs = nowMs + resetInMs * (1 + JITTER * random());
  return { ...pace, answeredMs, limit, remaining, windowMs, resetMs };
}

/** The server has turned a request away (429). */
export function noteTurnedAway(pace: Pace, nowMs: number, retryAfterMs: number | null): Pace {
  return { ...pace, turnedAwayUntilMs: nowMs + (retryAfterMs ?? 0) + ROUNDED_AWAY_MS };
}

/** From when on the server takes some of those that wait. */
export function freeFromMs(pace: Pace, waiting: number): number {
  const { answeredMs, limit, remaining, windowMs, resetMs, turnedAwayUntilMs } = pace;
  if (remaining !== 0) return turnedAwayUntilMs;
  // The last `limit` answers are those that fill the window, if they were all ours.
  if (limit === null || limit === 0 || answeredMs.length < limit) {
    return Math.max(turnedAwayUntilMs, resetMs);
  }
  const places = Math.max(1, Math.min(AT_ONCE, waiting, limit));
  const lastMs = answeredMs[answeredMs.length - limit + places - 1] ?? -Infinity;
  return Math.max(turnedAwayUntilMs, lastMs + windowMs);
}
