/** One connection that carries one request after another. */

import { AnswerReader, type WholeAnswer } from "./real_http_answer.ts";
import { LONGEST_INPUT_BYTES } from "./real_http_parser.ts";

/** A stream of bytes both ways: TCP, or TLS on it. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "close">;

/** The end of the input, or an error that came while no request waited for it. */
type Read = { readonly bytes: Uint8Array | null } | { readonly error: unknown };

export class HttpConnection {
  /** What makes another request fit on it: origin, certificates, proxy. */
  readonly key: string;
  readonly #stream: Stream;
  /** One for all reads: there is never more than one at a time, and each is parsed before the next. */
  readonly #buffer = new Uint8Array(LONGEST_INPUT_BYTES);
  #isClosed = false;
  #pending: Promise<Read> | null = null;

  constructor(stream: Stream, key: string) {
    this.#stream = stream;
    this.key = key;
  }

  /** Writes a request and reads its answer whole; a body of at most `maxBodyBytes`. */
  async exchange(
    request: Uint8Array,
    maxBodyBytes: number,
  ): Promise<WholeAnswer | "closed before an answer"> {
    try {
      await writeAll(this.#stream, request);
    } catch (error) {
      if (isClosedByPeer(error)) return "closed before an answer";
      throw error;
    }
    const reader = new AnswerReader(maxBodyBytes);
    try {
      return await this.#readAnswer(reader);
    } finally {
      reader.close();
    }
  }

  /** Reads ahead while idle: a server that closes, or speaks unasked, makes it useless. */
  watch(onUseless: () => void): void {
    this.#pending = this.#readNow();
    this.#pending.then(() => onUseless());
  }

  /**
   * Whether nothing has come while it was idle: not its end, and no bytes that would be taken for
   * the answer to the next request. What the system has received already is noticed within a turn of
   * the event loop.
   */
  async isQuiet(): Promise<boolean> {
    const turn = new Promise<"quiet">((resolve) => setTimeout(resolve, 0, "quiet"));
    return await Promise.race([this.#pending, turn]) === "quiet";
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#stream.close();
    } catch {
      // The other side was faster.
    }
  }

  async #readAnswer(reader: AnswerReader): Promise<WholeAnswer | "closed before an answer"> {
    let isFirst = true;
    while (!reader.isComplete) {
      const read = await this.#read();
      if ("error" in read) {
        if (isFirst && isClosedByPeer(read.error)) return "closed before an answer";
        throw read.error;
      }
      if (read.bytes === null && isFirst) return "closed before an answer";
      await reader.take(read.bytes);
      isFirst = false;
    }
    return await reader.answer();
  }

  #read(): Promise<Read> {
    const read = this.#pending ?? this.#readNow();
    this.#pending = null;
    return read;
  }

  async #readNow(): Promise<Read> {
    try {
      const length = await this.#stream.read(this.#buffer);
      return { bytes: length === null ? null : this.#buffer.subarray(0, length) };
    } catch (error) {
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
