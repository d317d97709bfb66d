/**
 * Parses one HTTP answer with llhttp, the parser of Node, in its strict mode and as WebAssembly.
 * This file alone decides the framing of an answer; its caller limits the sizes.
 */

import llhttp from "llhttp";
import { HttpError } from "../../http.ts";

/** What the parser reports while it executes. Bytes are views that are valid only during the call. */
interface ParserEvents {
  /** A part of a header's (or trailer's) name; a name may come in several parts. */
  onHeaderName(bytes: Uint8Array): void;
  /** A part of a header's (or trailer's) value. */
  onHeaderValue(bytes: Uint8Array): void;
  /** The head of an answer, an interim (1xx) one included, is complete. */
  onHead(status: number, keepAlive: boolean): void;
  /** All body bytes of one input, joined, after the other events of that input. */
  onBody(bytes: Uint8Array): void;
  /** Whether the answer that is complete now is the last one, so that the parser stops. */
  isFinal(): boolean;
}

/** The longest input of one call. */
export const LONGEST_INPUT_BYTES = 16_384;

/** `llhttp_type_t` and `llhttp_errno_t`: https://github.com/nodejs/llhttp/blob/main/src/llhttp/constants.ts. */
const RESPONSE = 2;
const OK = 0;
const INVALID_EOF_STATE = 14;
const PAUSED = 21;

/** Returned by a callback to make the parser stop with an error. */
const STOP = -1;

interface Exports {
  readonly memory: WebAssembly.Memory;
  malloc(size: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_execute(parser: number, at: number, length: number): number;
  llhttp_finish(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
  llhttp_get_http_major(parser: number): number;
}

interface Instance {
  readonly exports: Exports;
  /** The address of the input in its memory. */
  readonly inputAt: number;
  /** The address where the body bytes of the input are joined. */
  readonly bodyAt: number;
}

/** The parser that executes now: callbacks from WebAssembly do not identify it. */
let active: ResponseParser | null = null;

/** Body bytes of the input that `active` executes. */
let bodyLength = 0;

/** A view of the parser's memory, replaced when the memory has grown. */
let allBytes: Uint8Array = new Uint8Array(0);

let loaded: Instance | undefined;

function instance(): Instance {
  return loaded ??= load();
}

/** Size of the parser's memory, which is outside the garbage-collected heap. */
export function parserMemoryBytes(): number {
  return instance().exports.memory.buffer.byteLength;
}

function load(): Instance {
  const span = (onBytes: (events: ParserEvents, bytes: Uint8Array) => void) => {
    return (_pointer: number, at: number, length: number) =>
      report(({ events }) => onBytes(events, bytesAt(at, length)));
  };
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(llhttp), {
    env: {
      wasm_on_message_begin: () => OK,
      wasm_on_url: () => OK,
      wasm_on_status: () => OK,
      wasm_on_header_field: span((events, bytes) => events.onHeaderName(bytes)),
      wasm_on_header_value: span((events, bytes) => events.onHeaderValue(bytes)),
      wasm_on_body: (_pointer: number, at: number, length: number) => joinBody(at, length),
      wasm_on_headers_complete: (
        _pointer: number,
        status: number,
        _upgrade: number,
        keepAlive: number,
      ) => report((parser) => parser.onHead(status, keepAlive !== 0)),
      wasm_on_message_complete: () => {
        const stopped = report((parser) => parser.onMessageComplete());
        return stopped !== OK ? stopped : active?.isComplete ? PAUSED : OK;
      },
    },
  });
  // The module's own interface: https://github.com/nodejs/undici/blob/main/lib/llhttp/wasm_build_env.txt.
  const exports = wasm.exports as unknown as Exports;
  const inputAt = exports.malloc(LONGEST_INPUT_BYTES);
  return { exports, inputAt, bodyAt: exports.malloc(LONGEST_INPUT_BYTES) };
}

/** Joins body bytes by a copy inside the memory: an object for each of thousands of chunks costs more. */
function joinBody(at: number, length: number): number {
  const { exports: { memory: { buffer } }, bodyAt } = instance();
  if (allBytes.buffer !== buffer) allBytes = new Uint8Array(buffer);
  allBytes.copyWithin(bodyAt + bodyLength, at, at + length);
  bodyLength += length;
  return OK;
}

/** Stores an exception until the parser has returned: it must not unwind the stack of WebAssembly. */
function report(work: (parser: ResponseParser) => void): number {
  if (active === null) return STOP;
  try {
    work(active);
    return OK;
  } catch (error) {
    active.failure = { error };
    return STOP;
  }
}

function bytesAt(at: number, length: number): Uint8Array {
  return new Uint8Array(instance().exports.memory.buffer, at, length);
}

/** Parses one answer. The caller must `free` it: its state is outside the garbage-collected heap. */
export class ResponseParser {
  readonly events: ParserEvents;
  /** What an event threw. */
  failure: { readonly error: unknown } | null = null;
  isComplete = false;
  #pointer: number | null;

  constructor(events: ParserEvents) {
    this.events = events;
    this.#pointer = instance().exports.llhttp_alloc(RESPONSE);
  }

  /**
   * Parses the next bytes, at most `LONGEST_INPUT_BYTES` of them. Returns how many belong to the answer:
   * all of them, unless the answer ended.
   *
   * @throws {HttpError} `malformed` if they break the protocol, or what an event threw
   */
  execute(bytes: Uint8Array): number {
    const { exports: { memory, llhttp_execute, llhttp_get_error_pos }, inputAt, bodyAt } =
      instance();
    if (bytes.length > LONGEST_INPUT_BYTES) {
      throw new RangeError("Cannot parse the input: it is too long");
    }
    new Uint8Array(memory.buffer, inputAt, bytes.length).set(bytes);
    const pointer = this.#open();
    const code = this.#run(() => llhttp_execute(pointer, inputAt, bytes.length));
    if (bodyLength > 0) this.events.onBody(bytesAt(bodyAt, bodyLength));
    if (code === OK) return bytes.length;
    if (code === PAUSED && this.isComplete) return llhttp_get_error_pos(pointer) - inputAt;
    throw this.#malformed();
  }

  /**
   * Ends the input. That completes an answer whose body extends to the end of the connection.
   *
   * @throws {HttpError} `cut_off` if the answer is incomplete
   */
  finish(): void {
    const pointer = this.#open();
    const code = this.#run(() => instance().exports.llhttp_finish(pointer));
    if (this.isComplete) return;
    if (code === OK || code === INVALID_EOF_STATE) {
      throw new HttpError("its answer was cut off", { reason: "cut_off" });
    }
    throw this.#malformed();
  }

  free(): void {
    if (this.#pointer !== null) instance().exports.llhttp_free(this.#pointer);
    this.#pointer = null;
  }

  onHead(status: number, keepAlive: boolean): void {
    // llhttp also parses the status lines of HTTP/0.9 and 2.0.
    if (instance().exports.llhttp_get_http_major(this.#open()) !== 1) {
      throw new HttpError("that is not HTTP/1.1", { reason: "malformed" });
    }
    this.events.onHead(status, keepAlive);
  }

  onMessageComplete(): void {
    this.isComplete = this.events.isFinal();
  }

  #open(): number {
    if (this.#pointer === null) throw new TypeError("Cannot use the parser: it was freed");
    return this.#pointer;
  }

  #run(work: () => number): number {
    active = this;
    bodyLength = 0;
    let code: number;
    try {
      code = work();
    } finally {
      active = null;
    }
    if (this.failure !== null) throw this.failure.error;
    return code;
  }

  #malformed(): HttpError {
    const { memory, llhttp_get_error_reason } = instance().exports;
    const at = llhttp_get_error_reason(this.#open());
    const text = new Uint8Array(memory.buffer, at, 100);
    const fact = new TextDecoder().decode(text.subarray(0, Math.max(0, text.indexOf(0))));
    return new HttpError(`that is not HTTP (${fact || "no reason given"})`, {
      reason: "malformed",
    });
  }
}
