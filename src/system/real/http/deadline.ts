/**
 * The time limits of one exchange and the caller's signal. Whichever ends first closes the socket and
 * ends the waiting, since closing alone does not end it: a write that the peer does not take goes on
 * in a closed socket (Deno 2.6.8).
 */

/** What ended an exchange before its own end; `null`: nothing did. */
export type EndedBy = "timeout" | "abort" | null;

interface Limits {
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly signal?: AbortSignal;
}

export class Deadline {
  readonly #limits: Limits;
  readonly #timer: ReturnType<typeof setTimeout>;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #close: () => void = () => {};
  #endedBy: EndedBy = null;
  readonly #ended = Promise.withResolvers<never>();
  readonly #onAbort = () => this.#end("abort");

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#ended.promise.catch(() => {}); // Whoever waits for it handles it.
    this.#timer = setTimeout(() => this.#end("timeout"), limits.timeoutMs);
    if (limits.signal?.aborted) this.#end("abort");
    limits.signal?.addEventListener("abort", this.#onAbort);
  }

  get endedBy(): EndedBy {
    return this.#endedBy;
  }

  /** Closes what is in use when the time is over; at once if it is over already. */
  guard(close: () => void): void {
    this.#close = close;
    if (this.#endedBy !== null) close();
  }

  /** Waits for a connection within its own limit; one that comes too late is closed. */
  async connecting<T extends { close(): void }>(connect: Promise<T>): Promise<T> {
    const { connectTimeoutMs } = this.#limits;
    this.#connectTimer = setTimeout(() => this.#end("timeout"), connectTimeoutMs);
    connect.then((connection) => {
      if (this.#endedBy !== null) connection.close();
    }, () => {});
    try {
      return await this.race(connect);
    } finally {
      clearTimeout(this.#connectTimer);
    }
  }

  /** Waits for `work` until the time is over; work that is not done by then is left alone. */
  async race<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#ended.promise]);
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#connectTimer);
    this.#limits.signal?.removeEventListener("abort", this.#onAbort);
  }

  #end(by: Exclude<EndedBy, null>): void {
    if (this.#endedBy !== null) return;
    this.#endedBy = by;
    this.#ended.reject(new Error(by));
    this.#close();
  }
}
