/**
 * Makes text from outside safe to show: nothing that steers a terminal, hides, reorders or breaks a
 * line. For every place where such text enters, and once more where it leaves. Pure.
 */

/**
 * What has no picture of its own: controls and format characters (bidirectional ones and joiners are
 * among these), line and paragraph separators, lone surrogates, what Unicode says to ignore where it is
 * not known (fillers, tags), and what is no character. Variation selectors stay: a picture in colour,
 * or a name's own form of a letter, is all that they choose.
 *
 * Everything else stays: letters and marks of every script, spaces, symbols, emoji. A joined emoji
 * falls apart into those it is made of. https://www.unicode.org/reports/tr44/#Property_Index
 */
const UNSAFE =
  /^[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}]--\p{Variation_Selector}]$/v;

/** What may be left: in a text of several lines, their ends; in columns, tabs. */
export type Kept = "" | "\t" | "\n" | "\n\t";

/** `text` without what is not safe to show; `kept` stays. Takes linear time, some 10 ms for a million. */
export function stripControls(text: string, kept: Kept = ""): string {
  let safe = "";
  let from = 0;
  while (from < text.length) {
    const at = nextUnsafe(text, kept, from);
    if (from === 0 && at === text.length) return text;
    if (at > from) safe += text.slice(from, at);
    // A run of them at once: millions in a row must not cost a call each.
    for (from = at; from < text.length && isUnsafeAt(text, kept, from);) {
      from += isPair(text, from) ? 2 : 1;
    }
  }
  return safe;
}

/**
 * The beginning of what `stripControls` leaves of a text: all of it, or more than `limit` characters
 * (UTF-16). It goes on piece by piece until it has those, since the text may be long and from outside.
 */
export function stripPrefix(text: string, limit: number, kept: Kept = ""): string {
  let safe = "";
  for (let from = 0; from < text.length && safe.length <= limit;) {
    const to = endOfPiece(text, from);
    safe += stripControls(text.slice(from, to), kept);
    from = to;
  }
  return safe;
}

const PIECE_LENGTH = 4_096;

/** Where a piece ends that begins at `from`: not between the halves of a surrogate pair. */
export function endOfPiece(text: string, from: number): number {
  const end = from + PIECE_LENGTH;
  return (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end + 1 : end;
}

/** Whether there is something to strip. */
export function hasControls(text: string, kept: Kept = ""): boolean {
  return nextUnsafe(text, kept, 0) < text.length;
}

/**
 * A value as JSON that is safe to show and means the same: what could steer is escaped. Lines end where
 * `indent` has them end, and nowhere else.
 */
export function safeJson(value: unknown, indent = 0): string {
  return replaceUnsafe(JSON.stringify(value, null, indent), "\n", (character) => {
    let escaped = "";
    for (let index = 0; index < character.length; index++) {
      escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}

function replaceUnsafe(text: string, kept: Kept, replace: (character: string) => string): string {
  let safe = "";
  let from = 0;
  while (true) {
    const at = nextUnsafe(text, kept, from);
    if (at >= text.length) return from === 0 ? text : safe + text.slice(from);
    const end = at + (isPair(text, at) ? 2 : 1);
    safe += text.slice(from, at) + replace(text.slice(at, end));
    from = end;
  }
}

/** Where the next character is that is not safe; the text's length if there is none. */
function nextUnsafe(text: string, kept: Kept, from: number): number {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // Most texts are ASCII: they are not looked up.
    if (code >= 0x20 && code < 0x7f) continue;
    if (isUnsafeAt(text, kept, index)) return index;
    if (isPair(text, index)) index += 1;
  }
  return text.length;
}

function isUnsafeAt(text: string, kept: Kept, index: number): boolean {
  const code = text.charCodeAt(index);
  if (code === 0x0a && kept.startsWith("\n") || code === 0x09 && kept.endsWith("\t")) return false;
  return isUnsafe(isPair(text, index) ? text.codePointAt(index) ?? code : code);
}

function isPair(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800 &&
    (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}

/**
 * Asking the pattern costs far more than looking up what it said: 1 is safe, 2 is not. One byte per
 * code point, of which the system gives only those pages that are used.
 */
const verdicts = new Uint8Array(0x11_0000);

function isUnsafe(codePoint: number): boolean {
  verdicts[codePoint] ||= UNSAFE.test(String.fromCodePoint(codePoint)) ? 2 : 1;
  return verdicts[codePoint] === 2;
}
