/**
 * Walks over a JSON text from outside value by value without parsing it, so that the caller can apply
 * separate limits to each part: a part that is too large or malformed does not affect the others.
 */

import {
  BLANK,
  CLOSING,
  COLON,
  COMMA,
  endOfText,
  endOfWord,
  type JsonText,
  OPENING,
  parseJson,
  QUOTE,
  TOKENS,
  withoutMark,
} from "../json.ts";

/** Brackets, keys and commas are not those of JSON; the message completes "Cannot read it: ...". */
export class JsonOutlineError extends Error {
  override readonly name = "JsonOutlineError";
}

/** The type of a value, by its first character. */
export type JsonKind = "a string" | "an array" | "an object" | "null" | "a number" | "a boolean";

const DECODER = new TextDecoder();
const UTF8 = new TextDecoder("utf-8", { fatal: true });

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
export interface JsonSurplus extends JsonRange {
  readonly count: number;
}

/** Longer keys, in bytes, are passed to callbacks as `""`. */
const LONGEST_KEY = 100;

/** A cursor at the beginning of a text. Methods throw `JsonOutlineError`. */
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

  /** The type of the next value. */
  peek(): JsonKind {
    const token = this.#next();
    const byte = this.#bytes[this.#at];
    if (token === QUOTE) return "a string";
    if (token === OPENING) return byte === 0x5b ? "an array" : "an object";
    if (byte === 0x74 || byte === 0x66) return "a boolean";
    return byte === 0x6e ? "null" : "a number";
  }

  /** Skips the next value. */
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
    return DECODER.decode(this.#bytes.subarray(start, Math.min(end, start + maxBytes)));
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
    return new JsonOutlineError(`it is not valid JSON (byte ${this.#at + 1})`);
  }
}
