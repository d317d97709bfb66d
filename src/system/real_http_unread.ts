/**
 * Counts requests that a peer has not read although their connection was closed. Deno 2.6.8 keeps the
 * socket of a write that the peer does not take until the peer reads, closes or is gone; neither
 * `close`, `closeWrite` nor taking the socket away for TLS ends it. Deno 2.9.6 ends it with `close`.
 */

import { HttpError } from "./http.ts";

/** Such sockets at a time; each holds up to 64 KiB here and a few MB in the system's send buffer. */
export const MOST_UNREAD = 4;

/** A request that the system takes as a whole, whether the peer reads or not, on a new connection. */
export const ALWAYS_TAKEN_BYTES = 16_384;

export class UnreadRequests {
  #count = 0;

  /** Whether there are as many as may be: then no connection is used again. */
  get isFull(): boolean {
    return this.#count >= MOST_UNREAD;
  }

  /** Counts one until `writing` has ended, which must not reject. */
  add(writing: Promise<unknown>): void {
    this.#count += 1;
    void writing.then(() => this.#count -= 1);
  }

  /**
   * Lets a request pass unless it could become one too many. One of at most 16 KiB never does on a
   * new connection, so check-ins go on.
   *
   * @throws {HttpError} `timeout`
   */
  admit(sizeBytes: number): void {
    if (!this.isFull || sizeBytes <= ALWAYS_TAKEN_BYTES) return;
    throw new HttpError(
      `${this.#count} earlier requests were not read and still hold their connections`,
      { reason: "timeout" },
    );
  }
}
