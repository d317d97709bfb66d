/**
 * JSON in the one form that a RedFlag server signs: as Go's `encoding/json` writes a decoded value.
 *
 * Keys are sorted by their UTF-8 bytes at every level, and nothing separates the tokens. Checked against
 * Go 1.26; before 1.22 Go wrote U+0008 and U+000C as `\u0008` and `\u000c`.
 */

import { ANSWER_LIMITS, type Decoded, type JsonLimits, parseJson } from "../json.ts";

/**
 * Rewrites a JSON text in the canonical form. Fails if the text is not JSON or exceeds a limit, which
 * bounds the recursion too. Never throws. The worst 64 KiB take 18 ms (Deno 2.6.8 with the V8 flags of
 * the executable).
 *
 * Like Go, it reads numbers as IEEE 754 doubles: `9007199254740993` becomes `9007199254740992`, and `-0`
 * stays `-0`. PostgreSQL, which holds the value between signing and delivery, stores decimal numbers
 * exactly, so a double returns as the same double; its only losses are `-0`, which it stores as `0`, and
 * U+0000 and lone surrogates, which it refuses. A lone surrogate becomes U+FFFD, and of two members with
 * one key the last one stays, as in Go.
 */
export function canonicalJson(text: string, limits: JsonLimits = ANSWER_LIMITS): Decoded<string> {
  const parsed = parseJson(text, limits);
  return parsed.ok ? { ok: true, value: new CanonicalWriter(text).write() } : parsed;
}

/**
 * Walks over a valid text instead of a parsed value. The keys of a parsed value can be wrong: V8 14.5 and
 * 15.0 compare an escaped key as it is written with the key that an earlier object had in its place, so
 * that `{"p":0,"a\n":1}` parsed after `{"p":0,"a\\":1}` has the key `a\`.
 */
class CanonicalWriter {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next value in the canonical form. */
  write(): string {
    switch (this.#next()) {
      case "{":
        return this.#object();
      case "[": {
        const items: string[] = [];
        this.#each("]", () => items.push(this.write()));
        return `[${items.join(",")}]`;
      }
      case '"':
        return writeString(this.#string());
      default:
        return this.#word();
    }
  }

  #object(): string {
    // Go replaces lone surrogates before it compares keys, so that two keys can become one.
    const members = new Map<string, string>();
    this.#each("}", () => {
      const key = this.#string();
      this.#skip(":");
      members.set(key, this.write());
    });
    const keys = [...members.keys()];
    // Without surrogates, the order of UTF-16 units is that of UTF-8 bytes, and sorting is fast.
    const sorted = keys.some((key) => SURROGATE.test(key)) ? keys.sort(compareUtf8) : keys.sort();
    return `{${sorted.map((key) => `${writeString(key)}:${members.get(key)}`).join(",")}}`;
  }

  /** Calls `read` at each item or member between the next bracket and its counterpart. */
  #each(closing: string, read: () => void): void {
    this.#at += 1;
    if (this.#next() === closing) return this.#skip(closing);
    while (true) {
      read();
      const isLast = this.#next() === closing;
      this.#at += 1;
      if (isLast) return;
      this.#next();
    }
  }

  /** The string that begins here, well-formed. */
  #string(): string {
    STRING.lastIndex = this.#at + 1;
    const start = STRING.lastIndex;
    while (STRING.test(this.#text) && this.#text[STRING.lastIndex - 1] !== '"') {
      STRING.lastIndex += 1; // The character after a backslash.
    }
    this.#at = STRING.lastIndex;
    return resolveEscapes(this.#text.slice(start, this.#at - 1)).toWellFormed();
  }

  /** A number, `true`, `false` or `null`. */
  #word(): string {
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? "";
    this.#at += word.length;
    const number = Number(word);
    if (Number.isNaN(number)) return word;
    // The shortest digits, with an exponent below 1e-6 and from 1e21 on: in Go as in JavaScript.
    return Object.is(number, -0) ? "-0" : String(number);
  }

  /** Skips white space; returns the first character after it. */
  #next(): string | undefined {
    while (BLANKS.has(this.#text[this.#at])) this.#at += 1;
    return this.#text[this.#at];
  }

  /** Skips a token and the white space around it. */
  #skip(token: string): void {
    if (this.#next() === token) this.#at += 1;
    this.#next();
  }
}

const BLANKS: ReadonlySet<string | undefined> = new Set(" \n\r\t");

/** Up to the next quote or backslash. */
const STRING = /["\\]/g;

const WORD = /[^\s,\]}]+/y;

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** The content of a valid JSON string, without its escapes. */
function resolveEscapes(content: string): string {
  return content.replace(
    /\\(?:u(....)|(.))/g,
    (_, hex?: string, short = "") =>
      hex === undefined ? ESCAPES[short] ?? short : String.fromCharCode(parseInt(hex, 16)),
  );
}

const SURROGATE = /[\ud800-\udfff]/;

/** What Go escapes and JavaScript does not: characters that end a script in HTML or in JavaScript. */
const ESCAPED = /[<>&\u2028\u2029]/g;

function writeString(text: string): string {
  return JSON.stringify(text).replace(
    ESCAPED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Orders well-formed texts as their UTF-8 bytes, which is by code point, not by UTF-16 unit. */
function compareUtf8(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at++) {
    const difference = rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** A UTF-16 unit, with surrogates after all others: they stand for the code points after U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
