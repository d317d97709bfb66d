/**
 * How fast reports may go: the sliding-window rate limiter, by the server's headers, and slow start, in
 * which a backlog goes out in doubling portions after an outage or while no report gets through. Pure.
 *
 * RedFlag's limiter (api/middleware/rate_limiter.go) allows `X-RateLimit-Limit` requests in any window
 * of a minute. The `X-RateLimit-Reset` of an allowed request only means "a window from now": a drain
 * that waited for it would stand still for most of each minute. When the first place is free again
 * follows from the agent's own requests: each place is free a window after it was occupied.
 */

import { RATE_LIMIT_WINDOW_MS, type RateLimit } from "../server/answer.ts";
import type { Random } from "../system/system.ts";

/** Free places to wait for together, so that a drain does not wake up for each event. */
const PLACES_AT_ONCE = 5;

/** Limit of remembered answers, which is above any limit that matters. */
const MOST_REMEMBERED = 1_000;

/** The server sends whole seconds, rounded down. */
const ROUNDING_MS = 1_000;

/** Random part added to the end of a window that others share. */
const JITTER = 0.2;

/** What is known about the server's window. Instants are monotonic. */
export interface SlidingWindow {
  /**
   * When the last `limit` requests in the window were answered, oldest first: the server had counted
   * them by then. Without a known limit, only the last one.
   */
  readonly answeredAtMs: readonly number[];
  readonly limit: number | null;
  /** Free places by the latest answer; `null`: no answer contained it. */
  readonly remaining: number | null;
  readonly windowMs: number;
  /** When the window is empty again, whichever client filled it. */
  readonly resetAtMs: number;
  /** No request before this instant, because the server has throttled one. */
  readonly throttledUntilMs: number;
}

/** A window without any answer yet. */
export const NEW_WINDOW: SlidingWindow = {
  answeredAtMs: [],
  limit: null,
  remaining: null,
  windowMs: RATE_LIMIT_WINDOW_MS,
  resetAtMs: -Infinity,
  throttledUntilMs: -Infinity,
};

/** A request that the server has answered. */
interface RecordedRequest {
  readonly sentMs: number;
  readonly nowMs: number;
  /** `null`: the answer had no such headers. */
  readonly rateLimit: RateLimit | null;
  /**
   * Whether no other request was in flight meanwhile. Otherwise answers may overtake each other, and
   * the lowest `remaining` is that of the request which the server counted last: those it has counted
   * since are still in flight.
   */
  readonly isAlone: boolean;
  readonly random: Random;
}

/** The window after an answer. */
export function recordAnswer(window: SlidingWindow, request: RecordedRequest): SlidingWindow {
  const { sentMs, nowMs, rateLimit, isAlone, random } = request;
  const windowMs = Math.max(RATE_LIMIT_WINDOW_MS, rateLimit?.resetInMs ?? window.windowMs);
  // Keeps what was in the server's window when this request arrived, and little else.
  const answeredAtMs = [...window.answeredAtMs.filter((atMs) => atMs > sentMs - windowMs), nowMs]
    .slice(-Math.max(1, Math.min(MOST_REMEMBERED, rateLimit?.limit ?? window.limit ?? 1)));
  if (rateLimit === null) {
    const remaining = window.remaining === null ? null : Math.max(0, window.remaining - 1);
    return { ...window, answeredAtMs, remaining };
  }
  const { limit, resetInMs } = rateLimit;
  const told = isAlone || window.remaining === null
    ? rateLimit.remaining
    : Math.min(rateLimit.remaining, window.remaining);
  // A request without an answer may reach the server yet, which has not counted it so far.
  const remaining = limit === null
    ? told
    : Math.max(0, Math.min(told, limit - answeredAtMs.length));
  const resetAtMs = nowMs + resetInMs * (1 + JITTER * random());
  return { ...window, answeredAtMs, limit, remaining, windowMs, resetAtMs };
}

/** The window after a request that the server has throttled (429). */
export function recordThrottled(
  window: SlidingWindow,
  nowMs: number,
  retryAfterMs: number | null,
): SlidingWindow {
  return { ...window, throttledUntilMs: nowMs + (retryAfterMs ?? 0) + ROUNDING_MS };
}

/** The instant from which the server accepts some of the `waiting` reports. */
export function nextAllowedAtMs(window: SlidingWindow, waiting: number): number {
  const { answeredAtMs, limit, remaining, windowMs, resetAtMs, throttledUntilMs } = window;
  if (remaining !== 0) return throttledUntilMs;
  // The last `limit` answers fill the window, if all of them were this agent's.
  if (limit === null || limit === 0 || answeredAtMs.length < limit) {
    return Math.max(throttledUntilMs, resetAtMs);
  }
  const places = Math.max(1, Math.min(PLACES_AT_ONCE, waiting, limit));
  const lastAtMs = answeredAtMs[answeredAtMs.length - limit + places - 1] ?? -Infinity;
  return Math.max(throttledUntilMs, lastAtMs + windowMs);
}

/**
 * Reports that may be in flight at once: if each answer takes 20 ms, a full buffer takes 17 minutes
 * one by one.
 */
const MOST_IN_FLIGHT = 8;

/**
 * How many reports may be in flight, with so many accepted since the last one without an answer: 1, 2, 4, 8.
 * A server that fails now and then meets few at once.
 */
export function inFlightLimit(accepted: number): number {
  return Math.min(MOST_IN_FLIGHT, 2 ** accepted);
}

/** Wait between two portions. */
export const SLOW_START_STEP_MS = 1_000;

/** After this portion the server's own limits suffice. */
const LAST_STEP = 6;

/** This many reports in a row without success mean that nothing gets through. */
const STALLED_REPORTS = 3;

/** The state of slow start. */
export interface SlowStart {
  /** Portions sent so far; `null`: slow start is off, and nothing is delayed. */
  readonly step: number | null;
  /** Reports since the last success that the server did not accept, for whatever reason. */
  readonly failedReports: number;
}

/** No slow start, as long as reports get through. */
export const NO_SLOW_START: SlowStart = { step: null, failedReports: 0 };

/** How many events may go out now: 1, 2, 4 … 64, then all. */
export function portionSize({ step }: SlowStart): number {
  return step === null ? Infinity : 2 ** step;
}

/** The state after a complete portion; the last one ends slow start. */
export function advanceSlowStart(slowStart: SlowStart): SlowStart {
  const { step } = slowStart;
  return { ...slowStart, step: step === null || step >= LAST_STEP ? null : step + 1 };
}

/** Whether nothing gets through: the next portions are small. */
export function isStalled({ failedReports }: SlowStart): boolean {
  return failedReports >= STALLED_REPORTS;
}
