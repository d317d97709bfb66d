/**
 * Makes text from outside safe to show: removes what controls a terminal, or hides, reorders or breaks
 * lines. Every place where such text enters or leaves the agent uses this. Pure.
 */

/**
 * Characters without a glyph: controls and format characters (including bidirectional ones and joiners),
 * line and paragraph separators, lone surrogates, default ignorable code points (fillers, tags), and
 * noncharacters. Variation selectors stay: they only choose a colour or a form of a letter.
 *
 * Everything else stays: letters and marks of every script, spaces, symbols, emoji. A joined emoji is
 * split into its parts. https://www.unicode.org/reports/tr44/#Property_Index
 */
const UNSAFE =
  /^[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}]--\p{Variation_Selector}]$/v;

/** Controls that stay: line breaks in a text of several lines, tabs in columns. */
export type Allowed = "" | "\t" | "\n" | "\n\t";

/** Removes what is not safe to show, except `allowed`. Takes linear time: 10 ms for a million characters. */
export function stripControls(text: string, allowed: Allowed = ""): string {
  let safe = "";
  let from = 0;
  while (from < text.length) {
    const at = nextUnsafe(text, allowed, from);
    if (from === 0 && at === text.length) return text;
    if (at > from) safe += text.slice(from, at);
    // A run at once: millions of unsafe characters in a row must not cost a call each.
    for (from = at; from < text.length && isUnsafeAt(text, allowed, from);) {
      from += isPair(text, from) ? 2 : 1;
    }
  }
  return safe;
}

/** What switches a colour on and off again (SGR: ECMA-48, 8.3.117): a few parameters, no other control. */
// deno-lint-ignore no-control-regex
const COLOUR = /(\x1b\[(?:\d{1,2}(?:;\d{1,2}){0,2})m)/;

/** `stripControls` for text that the agent has coloured: colours stay, line breaks and tabs too. */
export function stripAllButColours(text: string): string {
  return text.split(COLOUR)
    .map((part, index) => index % 2 === 1 ? part : stripControls(part, "\n\t")).join("");
}

/** The start of the result of `stripControls`: all, or more than `limit` UTF-16 characters. */
export function stripPrefix(text: string, limit: number, allowed: Allowed = ""): string {
  let safe = "";
  for (let from = 0; from < text.length && safe.length <= limit;) {
    const to = endOfPiece(text, from);
    safe += stripControls(text.slice(from, to), allowed);
    from = to;
  }
  return safe;
}

const PIECE_LENGTH = 4_096;

/** The end of the piece that begins at `from`; never between the halves of a surrogate pair. */
export function endOfPiece(text: string, from: number): number {
  const end = from + PIECE_LENGTH;
  return (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end + 1 : end;
}

/** Whether `stripControls` would remove something. */
export function hasControls(text: string, allowed: Allowed = ""): boolean {
  return nextUnsafe(text, allowed, 0) < text.length;
}

/** Formats a value as JSON, with unsafe characters escaped. Only `indent` adds line breaks. */
export function safeJson(value: unknown, indent = 0): string {
  const text = JSON.stringify(value, null, indent);
  let safe = "";
  let from = 0;
  while (true) {
    let at = nextUnsafe(text, "\n", from);
    if (at >= text.length) return from === 0 ? text : safe + text.slice(from);
    safe += text.slice(from, at);
    for (from = at + (isPair(text, at) ? 2 : 1); at < from; at += 1) {
      safe += `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`;
    }
  }
}

/** The index of the next unsafe character; the text's length if there is none. */
function nextUnsafe(text: string, allowed: Allowed, from: number): number {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // Most texts are ASCII and need no lookup.
    if (code >= 0x20 && code < 0x7f) continue;
    if (isUnsafeAt(text, allowed, index)) return index;
    if (isPair(text, index)) index += 1;
  }
  return text.length;
}

function isUnsafeAt(text: string, allowed: Allowed, index: number): boolean {
  const code = text.charCodeAt(index);
  if (code === 0x0a && allowed.startsWith("\n") || code === 0x09 && allowed.endsWith("\t")) {
    return false;
  }
  return isUnsafe(isPair(text, index) ? text.codePointAt(index) ?? code : code);
}

function isPair(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800 &&
    (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}

/** Results of the slow pattern by code point: 1 is safe, 2 is not. Unused pages cost no memory. */
const verdicts = new Uint8Array(0x11_0000);

function isUnsafe(codePoint: number): boolean {
  verdicts[codePoint] ||= UNSAFE.test(String.fromCodePoint(codePoint)) ? 2 : 1;
  return verdicts[codePoint] === 2;
}
