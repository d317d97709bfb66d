/** Splits long work into turns of the event loop, so that timers and signals are served in between. */

import { realClock } from "./clock.ts";

/** Work goes on in the same turn for this long, in ms. */
const LONGEST_TURN_MS = 10;

/** One piece of work. Awaiting results that are there already does not let the event loop turn. */
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
