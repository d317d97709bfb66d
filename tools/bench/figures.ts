/** What was measured, as a table: each figure beside a baseline of the same run, and its target. */

import { formatTable } from "../../src/cli/table.ts";

/** One line of the table. */
export interface Figure {
  readonly what: string;
  readonly unit: "%" | "s" | "ms" | "MB" | "/s" | "";
  readonly agent: number;
  /** The same of something that everybody knows. */
  readonly baseline: { readonly name: string; readonly value: number };
  /**
   * The agent's figure, or its ratio to the baseline, is at most this. Left out: the figure is printed
   * for its own sake.
   */
  readonly target?: { readonly most: number } | { readonly mostRatio: number };
}

const TITLES = ["", "agent", "baseline", "", "ratio", "target", "holds"];

/** Columns of words, which begin at the left. */
const WORDS = new Set([0, 3]);

/** The lines of the table. */
export function figureTable(figures: readonly Figure[]): string[] {
  const columns = TITLES.map((title, column) => ({ title, alignRight: !WORDS.has(column) }));
  return formatTable(columns, figures.map(rowOf), Infinity);
}

/** Whether every figure that has a target keeps it. */
export function allHold(figures: readonly Figure[]): boolean {
  return figures.every(holds);
}

function holds({ agent, baseline, target }: Figure): boolean {
  if (target === undefined) return true;
  return "most" in target ? agent <= target.most : agent <= target.mostRatio * baseline.value;
}

function rowOf(figure: Figure): string[] {
  const { what, unit, agent, baseline, target } = figure;
  const digits = unit === "%" || unit === "" ? 2 : 1;
  const show = (value: number) => `${value.toFixed(digits)} ${unit}`.trimEnd();
  return [
    what,
    show(agent),
    show(baseline.value),
    baseline.name,
    // A process that does nothing may cost less than the kernel's clock can tell.
    baseline.value === 0 ? "-" : `${(agent / baseline.value).toFixed(2)} x`,
    target === undefined
      ? ""
      : "most" in target
      ? `${target.most} ${unit}`
      : `${target.mostRatio} x`,
    target === undefined ? "" : holds(figure) ? "yes" : "NO",
  ];
}
