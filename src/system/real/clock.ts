/** The clock port on Deno: the system's wall clock, its monotonic one, and timers. */

import type { Clock } from "../system.ts";

/** The longest a timer can wait; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** Uptime goes on while a Linux or macOS host sleeps (`CLOCK_BOOTTIME`), monotonic time does not. */
const began = { uptimeMs: uptimeMs(), monotonicMs: performance.now() };

/** Real time. */
export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  asleepMs() {
    const awakeMs = performance.now() - began.monotonicMs;
    return Math.max(0, uptimeMs() - began.uptimeMs - awakeMs);
  },
  // The first timer may fire before the system was asked what has come in: one of 0 ms does (Deno 2.6.8),
  // and one that was set after long work may count from before it (Deno 2.9.6).
  turn: () => new Promise((resolve) => setTimeout(() => setTimeout(resolve, 1), 0)),
  async sleep(ms, signal) {
    let leftMs = ms;
    for (; leftMs > MAX_TIMER_MS; leftMs -= MAX_TIMER_MS) await wait(MAX_TIMER_MS, signal);
    await wait(leftMs, signal);
  },
};

/** In whole seconds; 0 throughout where it cannot be known, and so no sleep is seen. */
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
