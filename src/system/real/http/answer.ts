/** Puts one answer together from the bytes of a connection, and holds every part of it to a limit. */

import { HttpError, type HttpResponse } from "../../http.ts";
import { type BodySink, sinkFor, tooLarge } from "./body.ts";
import { ResponseParser } from "./parser.ts";
import { Turns } from "../turns.ts";

/**
 * Bytes of an answer that are not its body: status lines, headers, trailers, interim answers, the
 * sizes and extensions of chunks. Proxies hold a head to 4 to 16 KiB as a rule; a body may bring
 * along a quarter of its own length more, so chunks have 24 bytes or more on average.
 */
export const OVERHEAD_BYTES = 32_768;
export const OVERHEAD_PER_BODY_BYTE = 0.25;

/**
 * Interim (1xx) answers before the answer itself (RFC 9110, section 15.2). The parser refuses 101,
 * which would lead to another protocol.
 */
export const MOST_INTERIM_ANSWERS = 20;

/** Headers and trailers of an answer, those of interim answers included. */
export const MOST_HEADERS = 200;

/** A body of at most this costs its reader next to nothing. */
const SHORT_BODY_BYTES = 16_384;

/** An answer that arrived whole. */
export interface WholeAnswer extends HttpResponse {
  /** Whether the connection may carry another request. */
  readonly keepAlive: boolean;
}

export class AnswerReader {
  readonly #maxBodyBytes: number;
  readonly #parser: ResponseParser;
  readonly #latin1 = new TextDecoder("latin1");
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

  /** `maxBodyBytes` holds for the body as it is sent and as it is decompressed. */
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

  /** Whether the head is that of an answer which says no, so that its body is no more than words. */
  get isRefusal(): boolean {
    return this.#status >= 400;
  }

  get isComplete(): boolean {
    return this.#parser.isComplete;
  }

  /**
   * Takes what was read; `null` is the end of the input.
   *
   * @throws {HttpError} `malformed`, `too_large` or `cut_off`
   */
  async take(bytes: Uint8Array | null): Promise<void> {
    if (bytes === null) return this.#parser.finish();
    this.#inputBytes += bytes.length;
    const { consumed, isComplete } = this.#parser.execute(bytes);
    // A connection that says more than it was asked for is not trusted with another request.
    if (isComplete && consumed < bytes.length) this.#hasSurplus = true;
    const overhead = this.#inputBytes - (bytes.length - consumed) - this.#bodyBytes;
    if (overhead > OVERHEAD_BYTES + OVERHEAD_PER_BODY_BYTE * this.#bodyBytes) {
      throw new HttpError("its answer has too much around its body", { reason: "too_large" });
    }
    const fresh = this.#fresh.subarray(0, this.#freshLength);
    this.#freshLength = 0;
    if (fresh.length > 0) await this.#sink?.write(fresh);
    // Bytes that are there already are read within the same turn of the event loop.
    await this.#turns.yieldIfLong();
  }

  /** The answer, once it is complete; what the caller makes of it begins in a new turn. */
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

  /** Lets go of the parser; to be called once, whatever came of the answer. */
  close(): void {
    this.#parser.free();
    if (!this.isComplete) this.#sink?.abort();
  }

  #onHeaderName(bytes: Uint8Array): void {
    if (this.#isInValue) this.#endHeader();
    this.#name += this.#latin1.decode(bytes);
  }

  #onHeaderValue(bytes: Uint8Array): void {
    this.#isInValue = true;
    this.#value += this.#latin1.decode(bytes);
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
    if (this.#sink !== null) return; // A trailer; nothing of it is used.
    const known = this.#headers[name];
    this.#headers[name] = known === undefined ? value : `${known}, ${value}`;
  }

  #onHead(status: number, keepAlive: boolean): void {
    if (this.#name !== "") this.#endHeader();
    if (status < 200) return this.#skipInterim();
    this.#status = status;
    this.#keepAlive = keepAlive;
    this.#checkFraming();
    this.#sink = sinkFor(this.#headers["content-encoding"], this.#maxBodyBytes, this.#turns);
  }

  #skipInterim(): void {
    this.#interimAnswers += 1;
    if (this.#interimAnswers > MOST_INTERIM_ANSWERS) {
      throw new HttpError("it announces an answer without end", { reason: "malformed" });
    }
    this.#headers = emptyHeaders();
  }

  /** The parser has checked both headers by themselves and against each other. */
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
