/** Reads which dnf this is: 4 and 5 are asked, and answer, differently. */

import { outputLines } from "../output_lines.ts";

/** A version of dnf: `[4, 14, 0]`, `[5, 2, 6, 2]`. */
export type DnfVersion = readonly number[];

/** Reads `dnf --version`: a bare number from dnf 4, `dnf5 version …` from dnf 5. */
export function parseDnfVersion(text: string): DnfVersion | undefined {
  for (const line of outputLines(text).lines) {
    const number = /^(?:dnf5 version )?(\d{1,5}(?:\.\d{1,5}){1,3})$/.exec(line.trim())?.[1];
    if (number !== undefined) return number.split(".").map(Number);
  }
  return undefined;
}

/** Whether `version` is `least` or later. */
export function isAtLeast(version: DnfVersion, least: DnfVersion): boolean {
  for (const [index, needed] of least.entries()) {
    const part = version[index] ?? 0;
    if (part > needed) return true;
    if (part < needed) return false;
  }
  return true;
}
