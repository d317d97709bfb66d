/** Splits the output of a program into lines that are safe to parse and to print. */

import { hasControls, stripControls } from "../strip_controls.ts";

/** Longer lines belong to no format of a package manager. */
const MAX_LINE_LENGTH = 65_536;

/**
 * Splits `text` at LF, CRLF or CR, and removes a byte order mark and all control characters except
 * tabs.
 *
 * A last line without an end is dropped: it can hold only the beginning of a name or a version.
 * `dropped` counts such lines, and lines that are too long.
 */
export function outputLines(text: string): { lines: readonly string[]; dropped: number } {
  // Most outputs have no other control characters; then no line needs to be cleaned.
  const isPlain = !hasControls(text, "\n\t");
  const all = text.split(isPlain ? "\n" : /\r\n|\n|\r/);
  const rest = all.pop();
  const short = all.filter((line) => line.length <= MAX_LINE_LENGTH);
  const lines = isPlain ? short : short.map((line) => stripControls(line, "\t"));
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}
