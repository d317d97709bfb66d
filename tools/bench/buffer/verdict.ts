/** What the buffer's benchmark found, as lines to print, each beside its target. Pure. */

/** One figure. */
export interface Finding {
  readonly what: string;
  /** With its unit, as a person reads it. */
  readonly found: string;
  /** Left out: it is told for its own sake. */
  readonly target?: { readonly text: string; readonly isMet: boolean };
}

/** The middle one, or the mean of the middle two. Throws on none. */
export function median(values: readonly number[]): number {
  return quartiles(values)[1];
}

/** The values that a quarter, a half and three quarters are below. Throws on none. */
export function quartiles(values: readonly number[]): [number, number, number] {
  if (values.length === 0) throw new Error("Cannot take quartiles: no values");
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => {
    const place = part * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return below + (above - below) * (place % 1);
  };
  return [at(0.25), at(0.5), at(0.75)];
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
  const table = [["", "found", "target", "holds"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
  return { lines, areAllMet: findings.every(({ target }) => target?.isMet ?? true) };
}
