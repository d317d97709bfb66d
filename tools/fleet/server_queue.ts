/**
 * The server: one queue, first come first served, of limited length and speed, and dead for a while.
 * What becomes of a request is settled the moment it arrives.
 */

/** What `/health` costs, where a check-in costs 1. */
export const HEALTH_WORK = 0.1;

/** The queue holds what the server serves in this time; beyond that a connection is refused. */
const QUEUE_S = 10;

/** What became of a request: `dead` in the outage or cut by it, the others while the server is up. */
export type Outcome = "answered" | "dead" | "refused" | "timed_out";

/** How much a server can do, and when it is dead. */
export interface ServerOptions {
  /** Check-ins a second. */
  readonly capacity: number;
  readonly deadFromMs: number;
  readonly deadUntilMs: number;
}

export class ServerQueue {
  readonly #options: ServerOptions;
  readonly #workMs: number;
  /** When each request in the queue will be done, oldest first, in a ring. */
  readonly #doneMs: Float64Array;
  #oldest = 0;
  #length = 0;
  #busyUntilMs = 0;
  #endMs = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#workMs = 1_000 / options.capacity;
    this.#doneMs = new Float64Array(Math.max(1, Math.round(options.capacity * QUEUE_S)));
  }

  /** When the client of the request last taken knew what became of it. */
  get endMs(): number {
    return this.#endMs;
  }

  /**
   * Takes a request of so much work, whose client waits for `limitMs` and no longer. The work of one
   * that gave up is done all the same.
   */
  take(atMs: number, work: number, limitMs: number): Outcome {
    const { deadFromMs, deadUntilMs } = this.#options;
    this.#endMs = atMs;
    if (atMs >= deadFromMs && atMs < deadUntilMs) {
      this.#lose();
      return "dead";
    }
    const patientUntilMs = atMs + limitMs;
    const doneMs = this.#enqueue(atMs, work);
    if (doneMs === null) return "refused";
    this.#endMs = Math.min(doneMs, patientUntilMs);
    if (atMs < deadFromMs && this.#endMs > deadFromMs) {
      this.#endMs = deadFromMs;
      return "dead";
    }
    return doneMs <= patientUntilMs ? "answered" : "timed_out";
  }

  /** When the work will be done; `null`: the queue is full. */
  #enqueue(atMs: number, work: number): number | null {
    const places = this.#doneMs.length;
    while (this.#length > 0 && this.#doneMs[this.#oldest]! <= atMs) {
      this.#oldest = (this.#oldest + 1) % places;
      this.#length -= 1;
    }
    if (this.#length === places) return null;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, atMs) + work * this.#workMs;
    this.#doneMs[(this.#oldest + this.#length) % places] = this.#busyUntilMs;
    this.#length += 1;
    return this.#busyUntilMs;
  }

  /** A dead server keeps no queue. */
  #lose(): void {
    this.#length = 0;
    this.#busyUntilMs = 0;
  }
}
