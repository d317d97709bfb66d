/**
 * Finds where the tokens of a JSON text (RFC 8259) begin and end, in UTF-8, without checking syntax.
 *
 * Loops look up each byte in a table: with the V8 flags of the executable, which limit inlining, a
 * function call per byte makes a loop over 4 MiB up to twice as slow.
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
