/** A table of words and figures: as plain text for a terminal, as Markdown for a page. */

import { formatTable } from "../../src/cli/table.ts";

/** The first column is of words and leans left, the others are of figures and lean right. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Lines of plain text. */
export function textTable(table: Table): string {
  const columns = table.head.map((title, column) => ({ title, alignRight: column > 0 }));
  const rule = widthsOf(table).map((width) => "-".repeat(width));
  return formatTable(columns, [rule, ...table.rows], Infinity).join("\n");
}

/** Lines of Markdown, laid out as `deno fmt` wants them. */
export function markdownTable(table: Table): string {
  const widths = widthsOf(table).map((width) => Math.max(4, width));
  const padded = (cells: readonly string[]) =>
    widths.map((width, column) =>
      column === 0 ? (cells[column] ?? "").padEnd(width) : (cells[column] ?? "").padStart(width)
    );
  const line = (cells: readonly string[]) => `| ${padded(cells).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [table.head, rule, ...table.rows].map(line).join("\n");
}

function widthsOf({ head, rows }: Table): number[] {
  return head.map((_, column) =>
    Math.max(...[head, ...rows].map((cells) => cells[column]?.length ?? 0))
  );
}
