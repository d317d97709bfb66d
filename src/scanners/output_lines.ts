/** Cuts a program's output into lines that are safe to read and to show. */

/** Longer lines belong to no format that is read here. */
const MAX_LINE_LENGTH = 65_536;

/** Lines of an output, and how many had to be left out. */
export interface OutputLines {
  readonly lines: readonly string[];
  /** Lines that were too long, or that the output ends in the middle of. */
  readonly dropped: number;
}

/** Characters that move a cursor, ring a bell or turn the writing around. */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** The same but for the end of a line: most outputs have none, and then no line is looked through. */
// deno-lint-ignore no-control-regex
const RARE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;

/**
 * The lines of `text`, whether they end in LF, CRLF or CR, without control characters but the tab.
 *
 * A last line without an end was cut off: a version or a name in it may be only its beginning.
 */
export function outputLines(text: string): OutputLines {
  const whole = text.startsWith("\ufeff") ? text.slice(1) : text;
  const isPlain = !RARE.test(whole);
  const all = whole.split(isPlain ? "\n" : /\r\n|\n|\r/);
  const rest = all.pop();
  const short = all.filter((line) => line.length <= MAX_LINE_LENGTH);
  const lines = isPlain ? short : short.map(withoutControls);
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}

/** `text` without the characters that are not safe to show. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, "");
}
