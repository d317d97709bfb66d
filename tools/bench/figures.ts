/** What idling costs, as a table: each figure beside its baseline and its target. */

/** One line of the table. */
export interface Figure {
  readonly what: string;
  readonly unit: "%" | "s" | "MB";
  readonly agent: number;
  /** The same of a process that does nothing. */
  readonly baseline: number;
  /** The agent's figure stays below this; left out: it is told for its own sake. */
  readonly target?: number;
}

const TITLES = ["", "agent", "baseline", "ratio", "target", "holds"];

/** The lines of the table. */
export function idleTable(figures: readonly Figure[]): string[] {
  const rows = [TITLES, ...figures.map(rowOf)];
  const widths = TITLES.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => {
      const width = widths[column]!;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ").trimEnd()
  );
}

/** Whether every figure that has a target keeps it. */
export function allHold(figures: readonly Figure[]): boolean {
  return figures.every(({ agent, target }) => target === undefined || agent < target);
}

function rowOf({ what, unit, agent, baseline, target }: Figure): string[] {
  const digits = unit === "%" ? 2 : 1;
  const show = (value: number) => `${value.toFixed(digits)} ${unit}`;
  return [
    what,
    show(agent),
    show(baseline),
    // A process that does nothing may cost less than the kernel's clock can tell.
    baseline === 0 ? "-" : `${(agent / baseline).toFixed(1)} x`,
    target === undefined ? "" : `< ${target} ${unit}`,
    target === undefined ? "" : agent < target ? "yes" : "NO",
  ];
}
