/** A limit on how often something happens per hour, for what a flapping part could cause without end. Pure but for its clock. */

import type { Clock } from "./system/system.ts";

const HOUR_MS = 3_600_000;

/** A token bucket that is full at first: so many at once, and as many in each hour. */
export class HourlyLimit {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #mostPerHour: number;
  #left: number;
  #leftAtMs: number;

  constructor(clock: Pick<Clock, "monotonicMs">, mostPerHour: number) {
    this.#clock = clock;
    this.#mostPerHour = mostPerHour;
    this.#left = mostPerHour;
    this.#leftAtMs = clock.monotonicMs();
  }

  /** Whether it may happen now; then it counts as having happened. */
  take(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const more = (nowMs - this.#leftAtMs) / HOUR_MS * this.#mostPerHour;
    this.#left = Math.min(this.#mostPerHour, this.#left + more);
    this.#leftAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
