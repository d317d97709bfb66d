/**
 * A call that several callers share: the first one begins it, the others wait for the same answer. It
 * is aborted when its last caller stops waiting, and not before.
 */

import type { Answer } from "../server/answer.ts";

interface RunningCall<T> {
  readonly answer: Promise<Answer<T>>;
  readonly abandoned: AbortController;
  waiting: number;
}

export class SharedCall<T> {
  readonly #call: (signal: AbortSignal) => Promise<Answer<T>>;
  #running: RunningCall<T> | null = null;

  /** `call` has to end when its signal is aborted. */
  constructor(call: (signal: AbortSignal) => Promise<Answer<T>>) {
    this.#call = call;
  }

  /** The answer of the running call, or of a new one; `aborted` as soon as `signal` is aborted. */
  wait(signal: AbortSignal): Promise<Answer<T>> {
    if (signal.aborted) return Promise.resolve({ kind: "aborted" });
    const running = this.#running ??= this.#begin();
    running.waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        resolve({ kind: "aborted" });
        running.waiting -= 1;
        if (running.waiting > 0) return;
        this.#end(running);
        running.abandoned.abort(signal.reason);
      };
      const stay = () => signal.removeEventListener("abort", leave);
      signal.addEventListener("abort", leave, { once: true });
      running.answer.finally(stay).then(resolve, reject);
    });
  }

  #begin(): RunningCall<T> {
    const abandoned = new AbortController();
    const answer = this.#call(abandoned.signal).finally(() => this.#end(running));
    const running: RunningCall<T> = { answer, abandoned, waiting: 0 };
    return running;
  }

  /** The next caller begins a new call. */
  #end(running: RunningCall<T>): void {
    if (this.#running === running) this.#running = null;
  }
}
