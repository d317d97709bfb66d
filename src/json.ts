/**
 * Reads JSON from outside within limits: `parseJson` runs a linear scan, without recursion and without
 * building anything, before `JSON.parse`; `JsonOutline` walks over a text without parsing it. Bytes are
 * checked before they are decoded.
 *
 * No other file in `src/` calls `JSON.parse`; `tests/architecture_test.ts` checks that.
 */

import * as v from "valibot";

/**
 * The tokens of a JSON text (RFC 8259). Loops look up each byte in a table: with the V8 flags of the
 * executable, which limit inlining, a function call per byte makes a loop over 4 MiB up to twice as slow.
 */
const QUOTE = 1;
const OPENING = 2;
const CLOSING = 3;
const COMMA = 4;
const COLON = 5;
const BLANK = 6;

/** The token that begins with a byte, by the byte's value; 0 for a number, a word or anything else. */
const TOKENS: Uint8Array = new Uint8Array(256);

const BEGINNINGS: readonly (readonly [characters: string, token: number])[] = [
  ['"', QUOTE],
  ["[{", OPENING],
  ["]}", CLOSING],
  [",", COMMA],
  [":", COLON],
  [" \n\r\t", BLANK],
];
for (const [characters, token] of BEGINNINGS) {
  for (const character of characters) TOKENS[character.charCodeAt(0)] = token;
}

/** A JSON text, or its UTF-8. */
export type JsonText = string | Uint8Array;

/** Limits of one JSON text. A text that exceeds one of them is refused before anything is built. */
export interface JsonLimits {
  /** Length of the text, in UTF-16 units; of its UTF-8, in bytes. */
  readonly maxLength: number;
  /** Nesting depth of arrays and objects. */
  readonly maxDepth: number;
  /** Total number of strings, numbers, booleans, nulls, arrays, objects and keys. */
  readonly maxValues: number;
}

/**
 * Limits for an answer of the server and for the agent's own small files. A legitimate answer has up
 * to 100 KB and a few hundred values.
 *
 * Measured on Deno 2.6.8 and 2.9.6 with the V8 flags of the executable: the worst texts within these
 * limits (escaped keys, one shape per object, strings with colliding hashes) take up to 25 ms to scan
 * and parse, and 6 MiB of memory. With 50,000 values they take up to 100 ms.
 */
export const ANSWER_LIMITS: JsonLimits = { maxLength: 1_048_576, maxDepth: 32, maxValues: 10_000 };

/** Limits for large texts of this host: output of package managers, events, reported updates. */
export const LOCAL_LIMITS: JsonLimits = {
  maxLength: 33_554_432,
  maxDepth: 32,
  maxValues: 2_000_000,
};

/** The value, or the reason why there is none, which completes "Cannot read it: ...". */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string };

/** Parses a text within limits. Every number in the value is finite. Never throws. */
export function parseJson(text: JsonText, limits: JsonLimits = ANSWER_LIMITS): Decoded<unknown> {
  const why = findExcess(text, limits);
  if (why !== null) return { ok: false, why };
  try {
    const decoded = typeof text === "string" ? text : UTF8.decode(text);
    return { ok: true, value: JSON.parse(decoded) };
  } catch {
    // The error's own message quotes the text.
    return { ok: false, why: NO_JSON };
  }
}

/**
 * Parses a text within limits and validates the value. The reason for a refusal names the fields and
 * repeats only the messages of the schema's `check` actions: the others quote the value, which may be
 * a secret. Never throws.
 */
export function decodeJson<T>(
  schema: v.GenericSchema<unknown, T>,
  text: JsonText,
  limits: JsonLimits = ANSWER_LIMITS,
): Decoded<T> {
  const parsed = parseJson(text, limits);
  if (!parsed.ok) return parsed;
  const { success, output, issues } = v.safeParse(schema, parsed.value);
  if (success) return { ok: true, value: output };
  const faults = issues.map((issue) => {
    const fault = issue.type === "check" ? issue.message : "cannot be used";
    return `${v.getDotPath(issue) ?? "all of it"} ${fault}`;
  });
  return { ok: false, why: [...new Set(faults)].slice(0, MOST_FAULTS).join(", ") };
}

/** Invalid fields that a reason names. */
const MOST_FAULTS = 5;

/** Stops at the first byte that is not UTF-8; replacing each would take many times as long. */
const UTF8 = new TextDecoder("utf-8", { fatal: true });

const LENIENT_UTF8 = new TextDecoder();

/** Longer keys, in bytes, are passed to callbacks as `""`. */
const LONGEST_KEY = 100;

const NO_JSON = "it is not valid JSON";

/** Longest number, in digits; the largest finite number has 309. */
const LONGEST_NUMBER = 400;

/**
 * Returns the limit that a text exceeds, or `null`. `JSON.parse` checks the syntax afterwards: up to
 * the first syntax error it builds no more than was counted here.
 */
function findExcess(text: JsonText, { maxLength, maxDepth, maxValues }: JsonLimits): string | null {
  const isText = typeof text === "string";
  if (text.length > maxLength) {
    return `it has more than ${maxLength} ${isText ? "characters" : "bytes"}`;
  }
  const bytes = isText ? new TextEncoder().encode(text) : withoutMark(text);
  let depth = 0;
  let values = 0;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at] ?? 0;
    const token = TOKENS[byte];
    if (token === CLOSING) depth -= 1;
    if (token !== 0 && token !== OPENING && token !== QUOTE) {
      at += 1;
      continue;
    }
    values += 1;
    if (values > maxValues) return `it contains more than ${maxValues} values`;
    if (token === OPENING) {
      depth += 1;
      at += 1;
      if (depth > maxDepth) return `it is nested deeper than ${maxDepth} levels`;
    } else if (token === QUOTE) at = endOfText(bytes, at);
    else {
      const start = at;
      at = endOfWord(bytes, at);
      if (!isNumberOrWord(byte)) return NO_JSON;
      if (!isInRange(bytes.subarray(start, at))) return "it contains a number that is out of range";
    }
  }
  return null;
}

/** Skips a byte order mark: some servers begin with one, and `TextDecoder` drops it too. */
function withoutMark(bytes: Uint8Array): Uint8Array {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return isMarked ? bytes.subarray(3) : bytes;
}

/** Whether a number, `true`, `false` or `null` begins with a byte: an HTML page ends at its `<`. */
function isNumberOrWord(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39 || [0x2d, 0x74, 0x66, 0x6e].includes(byte);
}

/** Whether a number is finite: `JSON.parse` turns one that is too large into `Infinity`. */
function isInRange(word: Uint8Array): boolean {
  if (word.length < "1e999".length) return true;
  if (word.length > LONGEST_NUMBER) return false;
  return Math.abs(Number(String.fromCharCode(...word))) !== Infinity;
}

/** The end of the string whose opening quote is at `start`; without a closing quote, of all bytes. */
function endOfText(bytes: Uint8Array, start: number): number {
  const { length } = bytes;
  for (let at = start + 1; at < length; at++) {
    const byte = bytes[at];
    if (byte === 0x22) return at + 1;
    // A backslash and the character that it escapes.
    if (byte === 0x5c) at += 1;
  }
  return length;
}

/** The end of the number, `true`, `false` or `null` that begins at `start`. */
function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && TOKENS[bytes[at] ?? 0] === 0) at += 1;
  return at;
}

/** Brackets, keys and commas are not those of JSON; the message completes "Cannot read it: ...". */
export class JsonOutlineError extends Error {
  override readonly name = "JsonOutlineError";
}

/** The type of a value, by its first character. */
export type JsonKind = "a string" | "an array" | "an object" | "null" | "a number" | "a boolean";

/** A part of the text, as byte offsets in its UTF-8 form. */
export interface JsonRange {
  readonly start: number;
  readonly end: number;
}

/** A value that was skipped; its content is unchecked. */
export interface JsonSpan extends JsonRange {
  readonly kind: JsonKind;
}

/** The remaining items or members of an array or object, skipped together. */
interface JsonSurplus extends JsonRange {
  readonly count: number;
}

/**
 * Walks over a JSON text value by value without parsing it, so that the caller can limit each part
 * separately: a part that is too large or malformed does not affect the others. Starts at the beginning
 * of the text. Methods throw `JsonOutlineError`.
 */
export class JsonOutline {
  readonly #bytes: Uint8Array;
  #at = 0;

  /** Bytes are not copied and not decoded: each part is when it is asked for. */
  constructor(text: JsonText) {
    this.#bytes = typeof text === "string" ? new TextEncoder().encode(text) : withoutMark(text);
  }

  /** Size of the whole text in UTF-8. */
  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** Byte offset of the cursor. */
  get at(): number {
    return this.#at;
  }

  peek(): JsonKind {
    const token = this.#next();
    const byte = this.#bytes[this.#at];
    if (token === QUOTE) return "a string";
    if (token === OPENING) return byte === 0x5b ? "an array" : "an object";
    if (byte === 0x74 || byte === 0x66) return "a boolean";
    return byte === 0x6e ? "null" : "a number";
  }

  skip(): JsonSpan {
    const kind = this.peek();
    const start = this.#at;
    if (kind === "a string") this.#at = endOfText(this.#bytes, start);
    else if (kind === "an array" || kind === "an object") {
      this.#at += 1;
      this.#skipRest();
    } else if (this.#next() !== 0) throw this.#malformed();
    else this.#at = endOfWord(this.#bytes, start);
    return { kind, start, end: this.#at };
  }

  /** The first `maxBytes` of a part of the text, as written. */
  slice({ start, end }: JsonRange, maxBytes = Infinity): string {
    return LENIENT_UTF8.decode(this.#bytes.subarray(start, Math.min(end, start + maxBytes)));
  }

  /** A part of the text, as written; `null` if it is not UTF-8. */
  text({ start, end }: JsonRange): string | null {
    try {
      return UTF8.decode(this.#bytes.subarray(start, end));
    } catch {
      return null;
    }
  }

  /** The string that a span holds; `null` if it holds none, or one longer than `maxBytes` as written. */
  wordOf(span: JsonSpan, maxBytes: number): string | null {
    if (span.kind !== "a string" || span.end - span.start > maxBytes) return null;
    const written = this.slice(span);
    // Most strings have no escapes; parsing each of thousands would take several ms more.
    if (!written.includes("\\")) return written.slice(1, -1);
    const parsed = parseJson(written);
    return parsed.ok && typeof parsed.value === "string" ? parsed.value : null;
  }

  /**
   * Enters the object that is the next value, and calls `read` with the key of each member. A value
   * that `read` does not consume is skipped. Members after the first `most` are skipped together.
   */
  members(most: number, read: (key: string) => void): JsonSurplus | null {
    return this.#each(most, () => {
      const key = this.skip();
      if (key.kind !== "a string" || !this.#skipIf(COLON)) throw this.#malformed();
      const name = this.wordOf(key, LONGEST_KEY) ?? "";
      this.#read(() => read(name));
    });
  }

  /** Enters the array that is the next value, and calls `read` at each item, as `members` does. */
  items(most: number, read: () => void): JsonSurplus | null {
    return this.#each(most, () => this.#read(read));
  }

  /** Throws unless only white space is left. */
  end(): void {
    if (this.#next() !== null) throw this.#malformed();
  }

  #read(read: () => void): void {
    this.#next();
    const before = this.#at;
    read();
    if (this.#at === before) this.skip();
  }

  #each(most: number, readOne: () => void): JsonSurplus | null {
    if (this.#next() !== OPENING) throw this.#malformed();
    this.#at += 1;
    let isLast = this.#next() === CLOSING;
    for (let count = 0; !isLast; count++) {
      if (count === most) {
        const start = this.#at;
        return { count: this.#skipRest(), start, end: this.#at - 1 };
      }
      readOne();
      isLast = !this.#skipIf(COMMA);
      this.#next();
    }
    if (this.#next() !== CLOSING) throw this.#malformed();
    this.#at += 1;
    return null;
  }

  /** Skips the rest of the innermost array or object; returns how many items or members that is. */
  #skipRest(): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    let items = 1;
    let depth = 1;
    let at = this.#at;
    for (; at < length && depth > 0; at++) {
      switch (TOKENS[bytes[at] ?? 0]) {
        case QUOTE:
          // The loop adds one.
          at = endOfText(bytes, at) - 1;
          break;
        case OPENING:
          depth += 1;
          break;
        case CLOSING:
          depth -= 1;
          break;
        case COMMA:
          if (depth === 1) items += 1;
      }
    }
    this.#at = at;
    if (depth > 0) throw this.#malformed();
    return items;
  }

  #skipIf(token: number): boolean {
    if (this.#next() !== token) return false;
    this.#at += 1;
    return true;
  }

  /** Skips white space; returns the next token, or `null` at the end. */
  #next(): number | null {
    const bytes = this.#bytes;
    while (TOKENS[bytes[this.#at] ?? 0] === BLANK) this.#at += 1;
    const byte = bytes[this.#at];
    return byte === undefined ? null : TOKENS[byte] ?? 0;
  }

  #malformed(): JsonOutlineError {
    return new JsonOutlineError(`${NO_JSON} (byte ${this.#at + 1})`);
  }
}
