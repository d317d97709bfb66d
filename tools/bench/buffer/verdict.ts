/** What the buffer's benchmark found, as lines to print, each beside its target. Pure. */

import { formatTable } from "../../../src/cli/table.ts";

/** One figure. */
export interface Finding {
  readonly what: string;
  /** With its unit, as a person reads it. */
  readonly found: string;
  /** Left out: it is told for its own sake. */
  readonly target?: { readonly text: string; readonly isMet: boolean };
}

/** By how much `subject` is faster than `baseline` (1: as fast), round by round. */
export function speedRatios(subject: readonly number[], baseline: readonly number[]): number[] {
  return subject.map((value, round) => baseline[round]! / value);
}

/** The table's lines, and whether all targets are met. */
export function report(findings: readonly Finding[]): { lines: string[]; areAllMet: boolean } {
  const rows = findings.map(({ what, found, target }) => [
    what,
    found,
    target?.text ?? "",
    target === undefined ? "" : target.isMet ? "yes" : "NO",
  ]);
  const columns = ["", "found", "target", "holds"]
    .map((title, column) => ({ title, alignRight: column > 0 }));
  const lines = formatTable(columns, rows, Infinity);
  return { lines, areAllMet: findings.every(({ target }) => target?.isMet ?? true) };
}
