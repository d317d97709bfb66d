/** Cuts a program's output into lines that are safe to read and to show. */

import { hasControls, stripControls } from "../strip_controls.ts";

/** Longer lines belong to no format that is read here. */
const MAX_LINE_LENGTH = 65_536;

/** Lines of an output, and how many had to be left out. */
export interface OutputLines {
  readonly lines: readonly string[];
  /** Lines that were too long, or that the output ends in the middle of. */
  readonly dropped: number;
}

/**
 * The lines of `text`, whether they end in LF, CRLF or CR, without control characters but the tab, and
 * without the mark that a text may begin with.
 *
 * A last line without an end was cut off: a version or a name in it may be only its beginning.
 */
export function outputLines(text: string): OutputLines {
  // Most outputs have nothing but the ends of lines, and then no line is looked through.
  const isPlain = !hasControls(text, "\n\t");
  const all = text.split(isPlain ? "\n" : /\r\n|\n|\r/);
  const rest = all.pop();
  const short = all.filter((line) => line.length <= MAX_LINE_LENGTH);
  const lines = isPlain ? short : short.map((line) => stripControls(line, "\t"));
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}
