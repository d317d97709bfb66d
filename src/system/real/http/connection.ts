/** One connection that carries one request after another. */

import { realClock } from "../clock.ts";
import { AnswerReader, type WholeAnswer } from "./answer.ts";
import { LONGEST_INPUT_BYTES } from "./parser.ts";
import type { AbandonedSockets } from "./abandoned.ts";

/** A stream of bytes both ways: TCP, or TLS on it. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "close">;

/** The end of the input, or an error that came while no request waited for it. */
type Read = { readonly bytes: Uint8Array | null } | { readonly error: unknown };

/** What is written at once. A socket that is closed keeps it until the peer takes it (Deno 2.6.8). */
const WRITE_BYTES = 65_536;

/** When a read last ended, on any connection: then the system was asked what had come in on all. Monotonic. */
let askedMs = -Infinity;

/** What comes in later than this before a request is sent may be noticed too late, as on the network. */
const UNNOTICED_MS = 5;

/** The connection was closed before a byte of the answer came. */
export interface Unanswered {
  /** Not a byte of the request left this process: the server cannot have acted on it. */
  readonly isUnwritten: boolean;
}

/** How writing a request ended. */
type Written = { readonly error?: unknown };

/** A request that is being written. */
class Writing {
  readonly done: Promise<Written>;
  #written: Written | null = null;

  constructor(done: Promise<Written>) {
    this.done = done;
    void done.then((written) => this.#written = written);
  }

  /** How it ended; `null`: it goes on. Whatever has ended in this turn of the event loop has. */
  async settled(): Promise<Written | null> {
    if (this.#written !== null) return this.#written;
    let timer;
    const turn = new Promise<null>((resolve) => timer = setTimeout(resolve, 0, null));
    try {
      return await Promise.race([this.done, turn]);
    } finally {
      clearTimeout(timer);
    }
  }
}

export class HttpConnection {
  /** What makes another request fit on it: origin, certificates, proxy. */
  readonly key: string;
  readonly #stream: Stream;
  readonly #abandoned: AbandonedSockets;
  /** One for all reads: there is never more than one at a time, and each is parsed before the next. */
  readonly #buffer = new Uint8Array(LONGEST_INPUT_BYTES);
  #isClosed = false;
  #pending: Promise<Read> | null = null;
  /** Whether a read has ended since the last answer. */
  #isReadAhead = false;
  #unsent: Uint8Array = new Uint8Array(0);
  #writing: Writing | null = null;

  /** `abandoned` counts it if it is closed while the peer does not take a request. */
  constructor(stream: Stream, key: string, abandoned: AbandonedSockets) {
    this.#stream = stream;
    this.key = key;
    this.#abandoned = abandoned;
  }

  /**
   * Writes a request and reads its answer whole; a body of at most `maxBodyBytes`. It reads while it
   * writes: a server that refuses a request may answer before it has read it, and close (RFC 9112,
   * section 9.5). Such an answer is taken, and the connection is not used again.
   */
  async exchange(
    request: Uint8Array,
    maxBodyBytes: number,
  ): Promise<WholeAnswer | Unanswered> {
    this.#unsent = request;
    const writing = new Writing(this.#write());
    this.#writing = writing;
    void writing.done.then(() => this.#writing = null);
    const reader = new AnswerReader(maxBodyBytes);
    try {
      const answer = await this.#readAnswer(reader, writing);
      const written = await writing.settled();
      if (answer !== "closed before an answer") {
        const isWritten = written !== null && written.error === undefined;
        return { ...answer, keepAlive: answer.keepAlive && isWritten };
      }
      if (written?.error !== undefined && !isClosedByPeer(written.error)) throw written.error;
      // A write that goes on has begun: some of it may be with the peer.
      const isUnwritten = written !== null && this.#unsent.length === request.length;
      return { isUnwritten };
    } finally {
      reader.close();
    }
  }

  /** Reads ahead while idle: a server that closes, or speaks unasked, makes it useless. */
  watch(onUseless: () => void): void {
    this.#isReadAhead = false;
    this.#pending = this.#readNow();
    this.#pending.then(() => onUseless());
  }

  /**
   * Whether nothing has come while it was idle: not its end, and no bytes that would be taken for
   * the answer to the next request. What the system has received already is noticed within a turn of
   * the event loop; in the middle of a drain that has just turned.
   */
  async isQuiet(): Promise<boolean> {
    if (performance.now() - askedMs > UNNOTICED_MS) await realClock.turn();
    return !this.#isReadAhead;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsent = new Uint8Array(0);
    if (this.#writing !== null) this.#abandoned.addWrite(this.#writing.done);
    try {
      this.#stream.close();
    } catch {
      // The other side was faster.
    }
  }

  async #readAnswer(
    reader: AnswerReader,
    writing: Writing,
  ): Promise<WholeAnswer | "closed before an answer"> {
    let isFirst = true;
    while (!reader.isComplete) {
      const read = await this.#read();
      if ("error" in read) {
        if (!isClosedByPeer(read.error)) throw read.error;
        if (isFirst) return "closed before an answer";
        // A server that closes with a part of the request unread resets the connection by that.
        if (!reader.isRefusal) throw read.error;
        await reader.take(null);
      } else {
        if (read.bytes === null && isFirst) return "closed before an answer";
        if (read.bytes === null && !reader.isRefusal) {
          // The system reports a reset once: where it did to the write, it reports an end here.
          const written = await writing.settled();
          if (written?.error !== undefined) throw written.error;
        }
        await reader.take(read.bytes);
      }
      isFirst = false;
    }
    return await reader.answer();
  }

  /** Writes what is unsent; answers what went wrong. */
  async #write(): Promise<Written> {
    try {
      while (this.#unsent.length > 0) {
        const written = await this.#stream.write(this.#unsent.slice(0, WRITE_BYTES));
        this.#unsent = this.#unsent.subarray(written);
      }
      return {};
    } catch (error) {
      return { error };
    }
  }

  #read(): Promise<Read> {
    const read = this.#pending ?? this.#readNow();
    this.#pending = null;
    return read;
  }

  async #readNow(): Promise<Read> {
    try {
      const length = await this.#stream.read(this.#buffer);
      askedMs = performance.now();
      this.#isReadAhead = true;
      return { bytes: length === null ? null : this.#buffer.subarray(0, length) };
    } catch (error) {
      this.#isReadAhead = true;
      return { error };
    }
  }
}

/** Writes all of it: a socket may take a part only. */
export async function writeAll(stream: Pick<Stream, "write">, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await stream.write(bytes.subarray(written));
}

function isClosedByPeer(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.UnexpectedEof;
}
