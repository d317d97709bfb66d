/** The clock port on Deno: the system's wall clock, its monotonic one, timers, and event loop turns. */

import type { Clock } from "../system.ts";

/** The longest timeout of a timer; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** Work of one turn of the event loop goes on for this long. */
const LONGEST_TURN_MS = 10;

/** Uptime advances while a Linux or macOS host sleeps (`CLOCK_BOOTTIME`), monotonic time does not. */
const began = { uptimeMs: uptimeMs(), monotonicMs: performance.now() };

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  asleepMs() {
    const awakeMs = performance.now() - began.monotonicMs;
    return Math.max(0, uptimeMs() - began.uptimeMs - awakeMs);
  },
  turn: () => nextTurn ??= beginTurn(),
  async sleep(ms, signal) {
    let leftMs = ms;
    for (; leftMs > MAX_TIMER_MS; leftMs -= MAX_TIMER_MS) await wait(MAX_TIMER_MS, signal);
    await wait(leftMs, signal);
  },
  after(ms, call) {
    const limit = { atMs: performance.now() + ms, call };
    limits.add(limit);
    watchLimits(limit.atMs);
    return () => {
      limits.delete(limit);
      if (limits.size === 0) stopWatching();
    };
  },
};

interface Limit {
  readonly atMs: number;
  readonly call: () => void;
}

/**
 * Time limits share one timer, because nearly all of them are cancelled: to set a timer and to clear it
 * takes 10 us, and each request of a drain has several limits.
 */
const limits = new Set<Limit>();
let limitTimer: { readonly id: ReturnType<typeof setTimeout>; readonly atMs: number } | null = null;

/** Looks at all limits at that instant, or before. */
function watchLimits(atMs: number): void {
  if (limitTimer !== null && limitTimer.atMs <= atMs) return;
  stopWatching();
  const waitMs = Math.min(Math.max(0, atMs - performance.now()), MAX_TIMER_MS);
  limitTimer = { id: setTimeout(callLimits, waitMs), atMs };
}

function stopWatching(): void {
  if (limitTimer !== null) clearTimeout(limitTimer.id);
  limitTimer = null;
}

function callLimits(): void {
  limitTimer = null;
  const nowMs = performance.now();
  for (const limit of [...limits]) {
    // A call may cancel another limit.
    if (limit.atMs > nowMs || !limits.delete(limit)) continue;
    try {
      limit.call();
    } catch (error) {
      reportError(error);
    }
  }
  if (limits.size > 0) watchLimits(Math.min(...[...limits].map(({ atMs }) => atMs)));
}

/** The turn that callers may still join: their timers cost 180 us of CPU, and wake the process. */
let nextTurn: Promise<void> | null = null;

/**
 * The first timer may fire before the event loop has polled for input: one of 0 ms does (Deno 2.6.8), and
 * so does one that was set after long work, whose time may count from before it (Deno 2.9.6). It polls
 * before the second one fires. Callers that come after the first one need a turn of their own.
 */
function beginTurn(): Promise<void> {
  return new Promise((resolve) =>
    setTimeout(() => {
      nextTurn = null;
      setTimeout(resolve, 1);
    }, 0)
  );
}

/** In whole seconds; always 0 where it is unknown, so that no sleep is detected. */
function uptimeMs(): number {
  try {
    return Deno.osUptime() * 1_000;
  } catch {
    return 0;
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Splits one long piece of work into turns of the event loop, so that timers and signals are served in
 * between. Awaiting results that exist already does not let the event loop turn.
 */
export class Turns {
  #startMs = performance.now();

  /** Lets the event loop turn if the work has gone on for 10 ms since it last did. */
  async yieldIfLong(): Promise<void> {
    if (performance.now() - this.#startMs >= LONGEST_TURN_MS) await this.yield();
  }

  /** Lets the event loop turn: what follows begins in a turn of its own. */
  async yield(): Promise<void> {
    await realClock.turn();
    this.#startMs = performance.now();
  }
}
