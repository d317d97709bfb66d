/** A clock that stands still until a test moves it; sleepers wake in order, at their instant. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../src/system/system.ts";

interface Sleeper {
  readonly wakeMs: number;
  readonly wake: () => void;
}

/** Virtual time. `advance()` lets the code under test run between two sleepers' instants. */
export class FakeClock implements Clock {
  #nowMs: number;
  #monotonicMs = 1_000;
  #sleepers: Sleeper[] = [];

  constructor(nowMs: number = Date.UTC(2026, 10, 23)) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Set by a test that puts the host to sleep. */
  sleptMs = 0;

  asleepMs(): number {
    return this.sleptMs;
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const stop = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.after(ms, () => {
        signal.removeEventListener("abort", stop);
        resolve();
      });
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  after(ms: number, call: () => void): () => void {
    const forget = () => {
      this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    };
    const wake = () => {
      forget();
      call();
    };
    const sleeper = { wakeMs: this.#monotonicMs + Math.max(0, ms), wake };
    this.#sleepers.push(sleeper);
    return forget;
  }

  /** How many are asleep, which says whether the code under test has come to rest. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** When the next sleeper wakes, in ms from now; `undefined` if nobody sleeps. */
  get nextWakeInMs(): number | undefined {
    if (this.#sleepers.length === 0) return undefined;
    return Math.min(...this.#sleepers.map((sleeper) => sleeper.wakeMs)) - this.#monotonicMs;
  }

  /** Sets the wall clock, as a person or NTP would; monotonic time does not notice. */
  setNow(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Moves both clocks on, waking whoever is due on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settle();
    while (true) {
      const due = this.#sleepers
        .filter((sleeper) => sleeper.wakeMs <= endMs)
        .sort((a, b) => a.wakeMs - b.wakeMs)[0];
      if (!due) break;
      this.#moveTo(due.wakeMs);
      due.wake();
      await settle();
    }
    this.#moveTo(endMs);
  }

  #moveTo(monotonicMs: number): void {
    const step = Math.max(0, monotonicMs - this.#monotonicMs);
    this.#monotonicMs += step;
    this.#nowMs += step;
  }
}

/** Lets every promise that can go on go on, however many follow each other. No real time is waited for. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Lets `ms` pass while `work` runs, and returns what it comes to. */
export async function whileTimePasses<T>(
  clock: FakeClock,
  work: () => Promise<T>,
  ms = 1_000,
): Promise<T> {
  const result = work();
  result.catch(() => {}); // The caller meets it after the time.
  await clock.advance(ms);
  return await result;
}

/** Does `work` every 5 s until `signal` is given, as the agent looks after its state directory. */
export async function everyFiveSeconds(
  clock: FakeClock,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const isDue = () => clock.sleep(5_000, signal).then(() => true, () => false);
  while (await isDue()) await work();
}
