/** Cuts winget's output into the lines that a terminal would show, without progress bars' remains. */

import { stripControls } from "../../strip_controls.ts";

/** Longer lines belong to no table of winget's; its own are a few hundred characters wide. */
const MAX_LINE_LENGTH = 16_384;

/** A table has a line a package; no host has so many. */
const MOST_LINES = 20_000;

/** Steers a terminal's colours, cursor (CSI) and title or taskbar (OSC); takes no room in a row. */
// deno-lint-ignore no-control-regex
const STEERING = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x08/g;

/** A spinner that stood still, a bar, or nothing. */
const DEBRIS = /^[\s\\|/-]*$|[\u2588-\u2593]/;

/** Lines of an output, and how many had to be left out. */
export interface WingetLines {
  readonly lines: readonly string[];
  /** Lines that were too long or too many, or that the output ends in the middle of. */
  readonly dropped: number;
}

/**
 * The lines of `text`: of each only what follows its last carriage return, for what stood before
 * was written over. Other control characters stay, since they have a place in the row's columns.
 *
 * A last line without an end was cut off: a version or a name in it may be only its beginning.
 */
export function wingetLines(text: string): WingetLines {
  const all = text.replace(/^\ufeff/, "").split("\n");
  const rest = all.pop();
  const shown = all.slice(0, MOST_LINES).map(lastWritten);
  const lines = shown.filter((line) => line.length <= MAX_LINE_LENGTH)
    .map((line) => line.replace(STEERING, ""));
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}

/** Whether a line says nothing: it is blank, or what is left of a spinner or a progress bar. */
export function isDebris(line: string): boolean {
  return DEBRIS.test(line);
}

/** A cell or a sentence without what steers a terminal, and without blanks around it. */
export function plainText(text: string): string {
  return stripControls(text.replaceAll("\t", " ")).trim();
}

/** A spinner of two minutes is one line of a hundred thousand characters. */
function lastWritten(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === "\r") end--;
  return line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
}
