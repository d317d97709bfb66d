/** Virtual time for one host: what is due happens in order, and nothing waits for real. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../src/system/system.ts";

interface Due {
  atMs: number;
  order: number;
  fire: (() => void) | null;
  /** Of the world: it comes whether the host sleeps or not. */
  readonly isWorld: boolean;
}

/** Lets everything that can go on go on: `setImmediate` fires when no promise is left to go on. */
export async function comeToRest(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** The true time since the beginning, and the host's own clocks, which sleep and are set. */
export class SimClock implements Clock {
  /** Of the world; a server's clock shows this. */
  trueMs = 0;
  /** By how much the host's wall clock is wrong. */
  wallOffsetMs = 0;
  #sleptMs = 0;
  #order = 0;
  #heap: Due[] = [];
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** What a right clock shows. */
  get serverNowMs(): number {
    return this.#startMs + this.trueMs;
  }

  nowMs(): number {
    return Math.round(this.serverNowMs + this.wallOffsetMs);
  }

  monotonicMs(): number {
    return this.trueMs - this.#sleptMs + 1_000;
  }

  asleepMs(): number {
    return this.#sleptMs;
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

  /** Calls `fire` after so long of the host's waking time. */
  after(ms: number, fire: () => void): () => void {
    const due = this.#add(ms, fire, false);
    return () => void (due.fire = null);
  }

  /** Calls `fire` after so long of true time. */
  inWorld(ms: number, fire: () => void): void {
    this.#add(ms, fire, true);
  }

  #add(ms: number, fire: () => void, isWorld: boolean): Due {
    // Rounded up to what a real timer can tell apart: a wait that is too short would never end.
    const atMs = Math.ceil((this.trueMs + Math.max(0, ms)) * 1_000 + 0.001) / 1_000;
    const due = { atMs, order: this.#order++, fire, isWorld };
    push(this.#heap, due);
    return due;
  }

  /** The host sleeps: what it waits for comes so much later, the world goes on. */
  suspend(ms: number): void {
    this.#sleptMs += ms;
    this.trueMs += ms;
    const waiting = this.#heap;
    this.#heap = [];
    for (const due of waiting) {
      if (!due.isWorld) due.atMs += ms;
      push(this.#heap, due);
    }
  }

  /** How many timers have fired. */
  fired = 0;

  /** Ends a run before its time. */
  isStopped = false;

  /** Lives until `untilMs` of true time. */
  async run(untilMs: number): Promise<void> {
    const most = this.fired + 5_000 + (untilMs - this.trueMs) / 100;
    await comeToRest();
    while (!this.isStopped) {
      const [next] = this.#heap;
      if (next === undefined || next.atMs > untilMs) break;
      pop(this.#heap);
      if (next.fire === null) continue;
      this.trueMs = Math.max(this.trueMs, next.atMs);
      this.fired += 1;
      if (this.fired > most) throw new Error("it runs in circles");
      next.fire();
      await comeToRest();
    }
    this.trueMs = Math.max(this.trueMs, untilMs);
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Due[], due: Due): void {
  let index = heap.length;
  heap.push(due);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(due, heap[parent]!)) break;
    heap[index] = heap[parent]!;
    index = parent;
  }
  heap[index] = due;
}

function pop(heap: Due[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let index = 0;
  while (true) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
    if (!isBefore(heap[child]!, last)) break;
    heap[index] = heap[child]!;
    index = child;
  }
  heap[index] = last;
}
