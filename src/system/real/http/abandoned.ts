/**
 * Counts sockets that cannot be freed although nobody waits for them any more, and holds them to a
 * limit: what is never freed would use up the descriptors of the process in a few days.
 *
 * A write that the peer does not take keeps its socket on Deno 2.6.8: neither `close`, `closeWrite`
 * nor taking the socket away for TLS ends it (on 2.9.6 `close` does). A TLS stream that is closed
 * before its handshake is over stays open on both. Such a socket is free once the peer reads, answers,
 * closes or, by the system's own timers, is gone.
 */

import { HttpError } from "../../http.ts";

/** Requests that are not read; each holds up to 64 KiB here and a few MB in the system's buffer. */
export const MOST_UNREAD = 4;

/** A request that the system takes as a whole, whether the peer reads or not, on a new connection. */
export const ALWAYS_TAKEN_BYTES = 16_384;

/**
 * Handshakes without an answer. The system needs two hours to notice that a silent peer is gone; an
 * attempt every minute makes 120 by then.
 */
export const MOST_HANDSHAKES = 128;

export class AbandonedSockets {
  #writes = 0;
  #handshakes = 0;

  /** Whether as many requests are unread as may be: then no connection is used again. */
  get isFull(): boolean {
    return this.#writes >= MOST_UNREAD;
  }

  /** Counts a write until it ends; it must not reject. */
  addWrite(writing: Promise<unknown>): void {
    this.#writes += 1;
    void writing.then(() => this.#writes -= 1);
  }

  /** Counts a handshake until it ends; whoever began it closes its stream then. */
  addHandshake(shaking: Promise<unknown>): void {
    this.#handshakes += 1;
    const end = () => void (this.#handshakes -= 1);
    shaking.then(end, end);
  }

  /**
   * Lets a request pass unless it could leave one socket too many. One of at most 16 KiB never leaves
   * a write on a new connection, so check-ins go on.
   *
   * @throws {HttpError} `timeout`
   */
  admit(sizeBytes: number): void {
    if (!this.isFull || sizeBytes <= ALWAYS_TAKEN_BYTES) return;
    throw new HttpError(
      `${this.#writes} earlier requests were not read and still hold their connections`,
      { reason: "timeout" },
    );
  }

  /** As `admit`, for a connection that begins with a handshake. */
  admitHandshake(): void {
    if (this.#handshakes < MOST_HANDSHAKES) return;
    throw new HttpError(
      `${this.#handshakes} earlier TLS handshakes were not answered and still hold their connections`,
      { reason: "timeout" },
    );
  }
}
