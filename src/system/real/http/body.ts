/** Collects the body of an answer, decompressed where it is compressed, and never past its limit. */

import { HttpError } from "../../http.ts";
import type { Turns } from "../turns.ts";

/** Takes a body piece by piece. */
export interface BodySink {
  /** Keeps a copy. Throws `HttpError` `too_large`, or `malformed` where the compression does not hold. */
  write(bytes: Uint8Array): Promise<void>;
  /** The whole body; throws as `write` does. */
  end(): Promise<Uint8Array>;
  /** Gives up; what was collected is dropped. */
  abort(): void;
}

/** DEFLATE makes at most 1,032 bytes of one, so one slice inflates to 0.8 MB at the most. */
const GZIP_SLICE_BYTES = 768;

const FIRST_CAPACITY_BYTES = 4_096;

/**
 * Chooses a sink by the `Content-Encoding` of an answer. Inflating yields to the event loop by `turns`.
 *
 * @throws {HttpError} `malformed` for an encoding that was not asked for
 */
export function sinkFor(
  contentEncoding: string | undefined,
  maxBytes: number,
  turns: Turns,
): BodySink {
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

  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.abort();
    return bytes;
  }

  end(): Promise<Uint8Array> {
    return Promise.resolve(this.take());
  }

  abort(): void {
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }

  #grow(length: number): void {
    const doubled = Math.max(length, 2 * this.#bytes.length, FIRST_CAPACITY_BYTES);
    // Frees the old array at once; left to the garbage collector, they add up to another body.
    this.#bytes = new Uint8Array(
      this.#bytes.buffer.transfer(Math.min(this.#maxBytes, doubled)),
    );
  }
}

/** Gives memory back at once; left to the garbage collector, a body's pieces add up to another body. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Inflates in slices so small that none can produce much more than the limit before it is noticed. */
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
      // A copy: the stream may hold on to what it was given.
      await this.#settle(this.#writer.write(bytes.slice(at, at + GZIP_SLICE_BYTES)));
      await this.#turns.yieldIfLong();
    }
  }

  async end(): Promise<Uint8Array> {
    if (this.#isEmpty) this.abort();
    else await this.#settle(this.#writer.close().then(() => this.#inflating));
    return this.#plain.take();
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
      free(value);
    }
  }

  /** Waits for `step`, but no longer than the other half of the stream works. */
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

/** The answer is longer than the caller takes. */
export function tooLarge(maxBytes: number): HttpError {
  return new HttpError(`its answer is longer than ${maxBytes} bytes`, { reason: "too_large" });
}
