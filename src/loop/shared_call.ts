/**
 * A call that several may want at once: the first one begins it, the others wait for the same answer.
 * It is cut off when nobody waits for it any more, and not before.
 */

import type { Answer } from "../server/answer.ts";

interface Flight<T> {
  readonly answer: Promise<Answer<T>>;
  readonly cut: AbortController;
  waiting: number;
}

export class SharedCall<T> {
  readonly #call: (signal: AbortSignal) => Promise<Answer<T>>;
  #flight: Flight<T> | null = null;

  /** `call` is to end when its signal is given. */
  constructor(call: (signal: AbortSignal) => Promise<Answer<T>>) {
    this.#call = call;
  }

  /** The answer of the call that is under way, or of a new one; `aborted` as soon as `over` is given. */
  wait(over: AbortSignal): Promise<Answer<T>> {
    if (over.aborted) return Promise.resolve({ kind: "aborted" });
    const flight = this.#flight ??= this.#begin();
    flight.waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        resolve({ kind: "aborted" });
        flight.waiting -= 1;
        if (flight.waiting > 0) return;
        this.#land(flight);
        flight.cut.abort(over.reason);
      };
      const stay = () => over.removeEventListener("abort", leave);
      over.addEventListener("abort", leave, { once: true });
      flight.answer.finally(stay).then(resolve, reject);
    });
  }

  #begin(): Flight<T> {
    const cut = new AbortController();
    const answer = this.#call(cut.signal).finally(() => this.#land(flight));
    const flight: Flight<T> = { answer, cut, waiting: 0 };
    return flight;
  }

  /** Whoever comes from now on begins a new one. */
  #land(flight: Flight<T>): void {
    if (this.#flight === flight) this.#flight = null;
  }
}
