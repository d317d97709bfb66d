/** One connection that carries one request after another, and the sockets that it may leave open. */

import { HttpError } from "../../http.ts";
import { realClock } from "../clock.ts";
import { AnswerReader, type WholeAnswer } from "./answer.ts";
import { LONGEST_INPUT_BYTES } from "./parser.ts";

/** A stream of bytes both ways: TCP, or TLS on it. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "close">;

/** The result of one read: bytes, `null` at the end of the input, or an error. */
type Read = { readonly bytes: Uint8Array | null } | { readonly error: unknown };

/** One write. A closed socket holds it until the peer reads it (Deno 2.6.8). */
const WRITE_BYTES = 65_536;

/** Requests that are not read; each holds up to 64 KiB here and a few MB in the system's buffer. */
export const MOST_UNREAD = 4;

/** A request that the system accepts whole on a new connection, whether the peer reads or not. */
export const ALWAYS_TAKEN_BYTES = 16_384;

/** Unanswered handshakes. The system drops a silent peer after 2 h, or 120 attempts of 1 min. */
export const MOST_HANDSHAKES = 128;

/** The connection was closed before a byte of the answer came. */
export interface Unanswered {
  /** No byte of the request left this process: the server cannot have acted on it. */
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

  /** How it ended; `null`: it goes on. Waits one turn of the event loop for it to end. */
  async settled(): Promise<Written | null> {
    if (this.#written === null) await realClock.turn();
    return this.#written;
  }
}

export class HttpConnection {
  /** Identifies the requests that can use it: origin, certificates, proxy. */
  readonly key: string;
  readonly #stream: Stream;
  readonly #abandoned: AbandonedSockets;
  /** Shared by all reads: they run one at a time, and each is parsed before the next. */
  readonly #buffer = new Uint8Array(LONGEST_INPUT_BYTES);
  #isClosed = false;
  #answers = 0;
  #pending: Promise<Read> | null = null;
  /** Whether a read has ended since the last answer. */
  #isReadAhead = false;
  #unsent: Uint8Array = new Uint8Array(0);
  #writing: Writing | null = null;

  /** `abandoned` counts it if it is closed while the peer does not read a request. */
  constructor(stream: Stream, key: string, abandoned: AbandonedSockets) {
    this.#stream = stream;
    this.key = key;
    this.#abandoned = abandoned;
  }

  /**
   * Writes a request and reads the whole answer, with a body of at most `maxBodyBytes`. It reads while
   * it writes: a server that refuses a request may answer before it has read it, and close (RFC 9112,
   * section 9.5). Such an answer counts, and the connection is not used again.
   */
  async exchange(request: Uint8Array, maxBodyBytes: number): Promise<WholeAnswer | Unanswered> {
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
        this.#answers += 1;
        return { ...answer, keepAlive: answer.keepAlive && isWritten };
      }
      if (written?.error !== undefined && !isClosedByPeer(written.error)) throw written.error;
      // A write that goes on has begun: the peer may have received some of it.
      const isUnwritten = written !== null && this.#unsent.length === request.length;
      return { isUnwritten };
    } finally {
      reader.close();
    }
  }

  /** Reads ahead while idle: after a close or unrequested bytes the connection is useless. */
  watch(onUseless: () => void): void {
    this.#isReadAhead = false;
    this.#pending = this.#readNow();
    this.#pending.then(() => onUseless());
  }

  /** How many requests it has carried to a whole answer. */
  get answers(): number {
    return this.#answers;
  }

  /** Whether nothing is known to have arrived while it was idle. */
  get isQuiet(): boolean {
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
      // The peer has closed it.
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
        // A server that closes before it has read the whole request resets the connection.
        if (!reader.isRefusal) throw read.error;
        await reader.push(null);
      } else {
        if (read.bytes === null && isFirst) return "closed before an answer";
        if (read.bytes === null && !reader.isRefusal) {
          // The system reports a reset once: if the write got it, the read gets an end of input.
          const written = await writing.settled();
          if (written?.error !== undefined) throw written.error;
        }
        await reader.push(read.bytes);
      }
      isFirst = false;
    }
    return await reader.answer();
  }

  /** Writes what is unsent. */
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
      this.#isReadAhead = true;
      return { bytes: length === null ? null : this.#buffer.subarray(0, length) };
    } catch (error) {
      this.#isReadAhead = true;
      return { error };
    }
  }
}

function isClosedByPeer(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.UnexpectedEof;
}

/**
 * Counts sockets that cannot be freed although no caller waits for them, and limits their number:
 * sockets that are never freed would use up the process's descriptors in a few days.
 *
 * A write that the peer does not read keeps its socket open on Deno 2.6.8: neither `close`, `closeWrite`
 * nor passing the socket to TLS ends it (on 2.9.6 `close` does). A TLS stream that is closed during its
 * handshake stays open on both. Such a socket is freed when the peer reads, answers, closes or, by the
 * system's own timers, is found dead.
 */
export class AbandonedSockets {
  #writes = 0;
  #handshakes = 0;

  /** Whether the limit of unread requests is reached: then no idle connection is used again. */
  get isFull(): boolean {
    return this.#writes >= MOST_UNREAD;
  }

  /** Counts a write until it ends; it must not reject. */
  addWrite(writing: Promise<unknown>): void {
    this.#writes += 1;
    void writing.then(() => this.#writes -= 1);
  }

  /** Counts a handshake until it ends; the caller closes its stream then. */
  addHandshake(shaking: Promise<unknown>): void {
    this.#handshakes += 1;
    const end = () => void (this.#handshakes -= 1);
    shaking.then(end, end);
  }

  /**
   * Throws if a request could leave one socket too many. A request of at most 16 KiB on a new connection
   * never does, so check-ins go on.
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
