/** A table of words and figures: as plain text for a terminal, as Markdown for a page. */

/** The first column is of words and leans left, the others are of figures and lean right. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Lines of plain text. */
export function textTable(table: Table): string {
  const widths = widthsOf(table);
  const line = (cells: readonly string[]) => padded(cells, widths).join("  ").trimEnd();
  return [table.head, widths.map((width) => "-".repeat(width)), ...table.rows].map(line).join("\n");
}

/** Lines of Markdown, laid out as `deno fmt` wants them. */
export function markdownTable(table: Table): string {
  const widths = widthsOf(table).map((width) => Math.max(4, width));
  const line = (cells: readonly string[]) => `| ${padded(cells, widths).join(" | ")} |`;
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

function padded(cells: readonly string[], widths: readonly number[]): string[] {
  return widths.map((width, column) => {
    const cell = cells[column] ?? "";
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
}
