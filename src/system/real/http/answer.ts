/** Assembles one answer from the bytes of a connection, and holds every part of it to a limit. */

import { HttpError, type HttpResponse } from "../../http.ts";
import { Turns } from "../clock.ts";
import { ResponseParser } from "./parser.ts";

/**
 * Bytes of an answer that are not its body: status lines, headers, trailers, interim answers, the
 * sizes and extensions of chunks. Proxies usually limit a head to 4 to 16 KiB; a body allows a
 * quarter of its own length more, so chunks have 24 bytes or more on average.
 */
export const OVERHEAD_BYTES = 32_768;
const OVERHEAD_PER_BODY_BYTE = 0.25;

/** Interim (1xx) answers before the answer (RFC 9110, section 15.2). The parser refuses 101. */
export const MOST_INTERIM_ANSWERS = 20;

/** Headers and trailers of an answer, those of interim answers included. */
export const MOST_HEADERS = 200;

/** A body of at most this costs its reader next to nothing. */
const SHORT_BODY_BYTES = 16_384;

/** DEFLATE expands at most 1,032-fold, so one slice inflates to 0.8 MB at the most. */
const GZIP_SLICE_BYTES = 768;

const FIRST_CAPACITY_BYTES = 4_096;

/**
 * Every byte is a character of a header (RFC 9110, section 5.5). For such short texts this takes a
 * third of the time of a `TextDecoder`, whose "latin1" is windows-1252 besides.
 */
function decodeLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** An answer that arrived whole. */
export interface WholeAnswer extends HttpResponse {
  /** Whether the connection may carry another request. */
  readonly keepAlive: boolean;
}

export class AnswerReader {
  readonly #maxBodyBytes: number;
  readonly #parser: ResponseParser;
  readonly #turns = new Turns();
  /** Body bytes of the latest input, not yet in the sink; in one array that all inputs use. */
  #fresh = new Uint8Array(0);
  #freshLength = 0;
  #sink: BodySink | null = null;
  #inputBytes = 0;
  #bodyBytes = 0;
  #interimAnswers = 0;
  #headerCount = 0;
  #name = "";
  #value = "";
  #isInValue = false;
  #headers: Record<string, string> = emptyHeaders();
  #status = 0;
  #keepAlive = false;
  #hasSurplus = false;

  /** `maxBodyBytes` limits the body as it is sent and as it is decompressed. */
  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#parser = new ResponseParser({
      onHeaderName: (bytes) => this.#onHeaderName(bytes),
      onHeaderValue: (bytes) => this.#onHeaderValue(bytes),
      onHead: (status, keepAlive) => this.#onHead(status, keepAlive),
      onBody: (bytes) => this.#onBody(bytes),
      isFinal: () => this.#status >= 200,
    });
  }

  /** Whether the status is an error, so that the body is no more than an explanation. */
  get isRefusal(): boolean {
    return this.#status >= 400;
  }

  get isComplete(): boolean {
    return this.#parser.isComplete;
  }

  /**
   * Parses what was read; `null` is the end of the input.
   *
   * @throws {HttpError} `malformed`, `too_large` or `cut_off`
   */
  async push(bytes: Uint8Array | null): Promise<void> {
    if (bytes === null) return this.#parser.finish();
    this.#inputBytes += bytes.length;
    const consumed = this.#parser.execute(bytes);
    // A server that sends more than it was asked for is not trusted with another request.
    if (this.isComplete && consumed < bytes.length) this.#hasSurplus = true;
    const overhead = this.#inputBytes - (bytes.length - consumed) - this.#bodyBytes;
    if (overhead > OVERHEAD_BYTES + OVERHEAD_PER_BODY_BYTE * this.#bodyBytes) {
      throw new HttpError("its answer has too much around its body", { reason: "too_large" });
    }
    const fresh = this.#fresh.subarray(0, this.#freshLength);
    this.#freshLength = 0;
    if (fresh.length > 0) await this.#sink?.write(fresh);
    // Bytes that have arrived already are read within the same turn of the event loop.
    await this.#turns.yieldIfLong();
  }

  /** The answer, once it is complete. The caller's work on a long body begins in a new turn. */
  async answer(): Promise<WholeAnswer> {
    const body = await this.#sink?.end() ?? new Uint8Array(0);
    if (body.length > SHORT_BODY_BYTES) await this.#turns.yield();
    return {
      status: this.#status,
      headers: this.#headers,
      body,
      keepAlive: this.#keepAlive && !this.#hasSurplus,
    };
  }

  /** Frees the parser; to be called once, also for an incomplete answer. */
  close(): void {
    this.#parser.free();
    if (!this.isComplete) this.#sink?.abort();
  }

  #onHeaderName(bytes: Uint8Array): void {
    if (this.#isInValue) this.#endHeader();
    this.#name += decodeLatin1(bytes);
  }

  #onHeaderValue(bytes: Uint8Array): void {
    this.#isInValue = true;
    this.#value += decodeLatin1(bytes);
  }

  #endHeader(): void {
    this.#headerCount += 1;
    if (this.#headerCount > MOST_HEADERS) {
      throw new HttpError(`its answer has more than ${MOST_HEADERS} headers`, {
        reason: "too_large",
      });
    }
    const name = this.#name.toLowerCase();
    const value = this.#value;
    this.#name = "";
    this.#value = "";
    this.#isInValue = false;
    if (this.#sink !== null) return; // A trailer, which is not used.
    const known = this.#headers[name];
    this.#headers[name] = known === undefined ? value : `${known}, ${value}`;
  }

  #onHead(status: number, keepAlive: boolean): void {
    if (this.#name !== "") this.#endHeader();
    if (status < 200) return this.#skipInterim();
    this.#status = status;
    this.#keepAlive = keepAlive;
    this.#checkFraming();
    this.#sink = createSink(this.#headers["content-encoding"], this.#maxBodyBytes, this.#turns);
  }

  #skipInterim(): void {
    this.#interimAnswers += 1;
    if (this.#interimAnswers > MOST_INTERIM_ANSWERS) {
      throw new HttpError("it sends interim answers without end", { reason: "malformed" });
    }
    this.#headers = emptyHeaders();
  }

  /** The parser has checked each of both headers, and that they do not contradict each other. */
  #checkFraming(): void {
    const coding = this.#headers["transfer-encoding"];
    if (coding !== undefined && coding.trim().toLowerCase() !== "chunked") {
      throw new HttpError("its transfer encoding is not chunked", { reason: "malformed" });
    }
    const isBodyless = this.#status === 204 || this.#status === 304;
    const length = Number(this.#headers["content-length"] ?? 0);
    if (!isBodyless && length > this.#maxBodyBytes) throw tooLarge(this.#maxBodyBytes);
  }

  #onBody(bytes: Uint8Array): void {
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes > this.#maxBodyBytes) throw tooLarge(this.#maxBodyBytes);
    if (this.#fresh.length < bytes.length) this.#fresh = new Uint8Array(bytes.length);
    this.#fresh.set(bytes);
    this.#freshLength = bytes.length;
  }
}

/** Without a prototype, so that no header's name is a property that every object has. */
function emptyHeaders(): Record<string, string> {
  return Object.create(null);
}

/** Collects a body piece by piece. */
interface BodySink {
  /** Copies `bytes`. Throws `HttpError`: `too_large`, or `malformed` where decompression fails. */
  write(bytes: Uint8Array): Promise<void>;
  /** The whole body; throws as `write` does. */
  end(): Promise<Uint8Array>;
  /** Drops what was collected. */
  abort(): void;
}

/**
 * Creates a sink for the `Content-Encoding` of an answer. Inflating yields to the event loop by `turns`.
 *
 * @throws {HttpError} `malformed` for an encoding that was not requested
 */
function createSink(contentEncoding: string | undefined, maxBytes: number, turns: Turns): BodySink {
  switch (contentEncoding?.trim().toLowerCase() ?? "identity") {
    case "identity":
    case "":
      return new PlainBody(maxBytes);
    case "gzip":
    case "x-gzip":
      return new GzipBody(maxBytes, turns);
    default:
      throw new HttpError("its answer has an encoding that was not asked for", {
        reason: "malformed",
      });
  }
}

/** Bytes in one array that doubles as it fills, up to a limit. */
class PlainBody implements BodySink {
  readonly #maxBytes: number;
  #bytes = new Uint8Array(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    if (length > this.#bytes.length) this.#grow(length);
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.append(bytes);
    return Promise.resolve();
  }

  end(): Promise<Uint8Array> {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.abort();
    return Promise.resolve(bytes);
  }

  abort(): void {
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }

  #grow(length: number): void {
    const doubled = Math.max(length, 2 * this.#bytes.length, FIRST_CAPACITY_BYTES);
    // Frees the old array at once; left to the garbage collector, they add up to another body.
    this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.min(this.#maxBytes, doubled)));
  }
}

/** Inflates in slices so small that none can exceed the limit by much before it is noticed. */
class GzipBody implements BodySink {
  readonly #plain: PlainBody;
  readonly #writer: WritableStreamDefaultWriter<BufferSource>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #inflating: Promise<void>;
  readonly #turns: Turns;
  #isEmpty = true;

  constructor(maxBytes: number, turns: Turns) {
    this.#turns = turns;
    const stream = new DecompressionStream("gzip");
    this.#plain = new PlainBody(maxBytes);
    this.#writer = stream.writable.getWriter();
    this.#reader = stream.readable.getReader();
    this.#inflating = this.#inflate();
    this.#inflating.catch(() => {}); // `write` or `end` reports it.
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) this.#isEmpty = false;
    for (let at = 0; at < bytes.length; at += GZIP_SLICE_BYTES) {
      // A copy, since the stream may go on using its input.
      await this.#settle(this.#writer.write(bytes.slice(at, at + GZIP_SLICE_BYTES)));
      await this.#turns.yieldIfLong();
    }
  }

  async end(): Promise<Uint8Array> {
    if (this.#isEmpty) this.abort();
    else await this.#settle(this.#writer.close().then(() => this.#inflating));
    return await this.#plain.end();
  }

  abort(): void {
    this.#writer.abort().catch(() => {});
    this.#reader.cancel().catch(() => {});
    this.#plain.abort();
  }

  async #inflate(): Promise<void> {
    while (true) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#plain.append(value);
      // Frees memory at once; left to the garbage collector, a body's pieces add up to another body.
      if (value.buffer instanceof ArrayBuffer) value.buffer.transfer(0);
    }
  }

  /** Waits for `step`, but fails as soon as the other half of the stream does. */
  async #settle(step: Promise<void>): Promise<void> {
    step.catch(() => {}); // The other half may fail first.
    const failed = this.#inflating.then(() => step);
    try {
      await Promise.race([step, failed]);
    } catch (error) {
      this.abort();
      if (error instanceof HttpError) throw error;
      throw new HttpError("its answer cannot be decompressed", {
        reason: "malformed",
        cause: error,
      });
    }
  }
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(`its answer is longer than ${maxBytes} bytes`, { reason: "too_large" });
}
