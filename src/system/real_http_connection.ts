/** One connection that carries one request after another. */

import { Buffer } from "node:buffer";
import { HTTPParser } from "http-parser-js";
import { HttpError } from "./http.ts";
import { concatenate, tooLarge } from "./real_http_inflate.ts";

/** An answer as it came. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Whether the connection may carry another request. */
  readonly keepAlive: boolean;
}

const READ_BYTES = 16_384;

/** A stream of bytes both ways: TCP, or TLS on it. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "close">;

/** The end of the input, or an error that came while nobody was reading. */
type Read = { readonly bytes: Uint8Array | null } | { readonly error: unknown };

export class HttpConnection {
  /** What makes another request fit on it: origin, certificates, proxy. */
  readonly key: string;
  readonly #stream: Stream;
  #isClosed = false;
  #pending: Promise<Read> | null = null;

  constructor(stream: Stream, key: string) {
    this.#stream = stream;
    this.key = key;
  }

  /** Writes a request and reads its answer whole. */
  async exchange(
    request: Uint8Array,
    maxBytes: number,
  ): Promise<RawResponse | "closed before an answer"> {
    const answer = new AnswerReader(maxBytes);
    try {
      await this.#write(request);
    } catch (error) {
      if (isClosedByPeer(error)) return "closed before an answer";
      throw error;
    }
    let isFirst = true;
    while (!answer.isComplete) {
      const read = await this.#read();
      if ("error" in read) {
        if (isFirst && isClosedByPeer(read.error)) return "closed before an answer";
        throw read.error;
      }
      if (read.bytes === null && isFirst) return "closed before an answer";
      answer.take(read.bytes);
      isFirst = false;
    }
    return answer.response();
  }

  /** Reads ahead while idle: a server that closes, or speaks unasked, makes it useless. */
  watch(onUseless: () => void): void {
    this.#pending = this.#readNow();
    this.#pending.then(() => onUseless());
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

  async #write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) written += await this.#stream.write(bytes.subarray(written));
  }

  #read(): Promise<Read> {
    const read = this.#pending ?? this.#readNow();
    this.#pending = null;
    return read;
  }

  async #readNow(): Promise<Read> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      const length = await this.#stream.read(buffer);
      return { bytes: length === null ? null : buffer.subarray(0, length) };
    } catch (error) {
      return { error };
    }
  }
}

function isClosedByPeer(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.UnexpectedEof;
}

/** Puts an answer together from the parser's calls. */
class AnswerReader {
  readonly #maxBytes: number;
  readonly #parser = new HTTPParser(HTTPParser.RESPONSE);
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #status = 0;
  #headers: Record<string, string> = {};
  #keepAlive = false;
  #complete = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#parser[HTTPParser.kOnHeadersComplete] = (info) => {
      this.#status = info.statusCode ?? 0;
      this.#headers = readHeaders(info.headers);
      this.#keepAlive = info.shouldKeepAlive;
      // No body follows these, whatever length they state (RFC 9112, section 6.3).
      return this.#status === 204 || this.#status === 304 ? 1 : 0;
    };
    this.#parser[HTTPParser.kOnBody] = (bytes, offset, length) => {
      this.#length += length;
      this.#chunks.push(new Uint8Array(bytes.subarray(offset, offset + length)));
    };
    this.#parser[HTTPParser.kOnMessageComplete] = () => {
      // 1xx only announce the answer (RFC 9110, section 15.2).
      if (this.#status >= 200) this.#complete = true;
    };
  }

  get isComplete(): boolean {
    return this.#complete;
  }

  /** Takes what was read; `null` is the end of the input. */
  take(bytes: Uint8Array | null): void {
    const outcome = bytes === null
      ? this.#parser.finish()
      : this.#parser.execute(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    if (this.#length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    if (this.#complete) return;
    if (bytes === null) throw new HttpError("its answer was cut off", { reason: "cut_off" });
    if (outcome instanceof Error) {
      throw new HttpError(`that is not HTTP (${outcome.message})`, { reason: "malformed" });
    }
  }

  response(): RawResponse {
    return {
      status: this.#status,
      headers: this.#headers,
      body: concatenate(this.#chunks, this.#length),
      keepAlive: this.#keepAlive,
    };
  }
}

/** From a flat list of names and values; a repeated header's values are joined. */
function readHeaders(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = (flat[index] ?? "").toLowerCase();
    const value = flat[index + 1] ?? "";
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}
