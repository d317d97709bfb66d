/**
 * Parses JSON from outside within limits: a linear scan, without recursion and without building
 * anything, checks the text before `JSON.parse` runs. Bytes are checked before they are decoded.
 *
 * No other file in `src/` calls `JSON.parse`; `tests/architecture_test.ts` checks that.
 */

import * as v from "valibot";

/**
 * The tokens of a JSON text (RFC 8259). Loops look up each byte in a table: with the V8 flags of the
 * executable, which limit inlining, a function call per byte makes a loop over 4 MiB up to twice as slow.
 */
export const QUOTE = 1;
export const OPENING = 2;
export const CLOSING = 3;
export const COMMA = 4;
export const COLON = 5;
export const BLANK = 6;

/** The token that begins with a byte, by the byte's value; 0 for a number, a word or anything else. */
export const TOKENS: Uint8Array = new Uint8Array(256);

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

/**
 * Limits for large texts that programs on this host wrote: the output of a package manager, the body
 * of an event, the list of reported updates. These may take longer to parse than an answer.
 */
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

const NO_JSON = "it is not valid JSON";

/** Longest number, in digits; the largest finite number has 309. */
const LONGEST_NUMBER = 400;

/** Length of the shortest number that is out of range: `1e999`. */
const SHORTEST_OUT_OF_RANGE = 5;

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
export function withoutMark(bytes: Uint8Array): Uint8Array {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return isMarked ? bytes.subarray(3) : bytes;
}

/** Whether a number, `true`, `false` or `null` begins with a byte: an HTML page ends at its `<`. */
function isNumberOrWord(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39 || [0x2d, 0x74, 0x66, 0x6e].includes(byte);
}

/** Whether a number is finite: `JSON.parse` turns one that is too large into `Infinity`. */
function isInRange(word: Uint8Array): boolean {
  if (word.length < SHORTEST_OUT_OF_RANGE) return true;
  if (word.length > LONGEST_NUMBER) return false;
  return Math.abs(Number(String.fromCharCode(...word))) !== Infinity;
}

/** The end of the string whose opening quote is at `start`; without a closing quote, of all bytes. */
export function endOfText(bytes: Uint8Array, start: number): number {
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
export function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && TOKENS[bytes[at] ?? 0] === 0) at += 1;
  return at;
}
