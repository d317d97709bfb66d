/** Prints tables by winget's own rules, so that what is read can be held against what was written. */

import stringWidth from "string-width";

/** What a table is printed with. */
export interface TableOptions {
  /** Display columns that a table may take; older versions take 119 where there is no console. */
  readonly limit?: number;
  /** Rows that the widths are taken from. @default all */
  readonly measured?: number;
  /** How wide a text is. @default as a terminal shows it */
  readonly widthOf?: (text: string) => number;
}

/** As winget counts: each character as wide as its first code point, and never narrower than 1. */
export function wingetWidth(text: string): number {
  const characters = [...new Intl.Segmenter().segment(text)];
  return sum(characters.map(({ segment }) => {
    const [first = ""] = segment;
    return Math.max(1, stringWidth(first));
  }));
}

/** Lines of a table: a heading, a rule, rows. Columns without a cell are left out. */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  { limit = Infinity, measured = rows.length, widthOf = stringWidth }: TableOptions = {},
): string[] {
  const used = titles.map((_, column) => column)
    .filter((column) => rows.some((row) => row[column] !== ""));
  const cells = [titles, ...rows].map((row) => used.map((column) => row[column] ?? ""));
  const widths = used.map((_, column) =>
    Math.max(...cells.slice(0, measured + 1).map((row) => widthOf(row[column] ?? "")))
  );
  while (sum(widths) + widths.length - 1 > limit) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  const [heading = "", ...body] = cells.map((row) => renderRow(row, widths, widthOf));
  return [heading, "-".repeat(sum(widths) + widths.length - 1), ...body];
}

/** The last column is not padded. */
function renderRow(
  row: readonly string[],
  widths: readonly number[],
  widthOf: (text: string) => number,
): string {
  return row.map((cell, column) => {
    const width = widths[column] ?? 0;
    const shown = widthOf(cell) <= width ? cell : cutCell(cell, width);
    const padding = " ".repeat(Math.max(0, width - widthOf(shown)));
    return column === row.length - 1 ? shown : shown + padding;
  }).join(" ");
}

/** A cell in `width` columns, as winget cuts it. */
export function cutCell(cell: string, width: number): string {
  if (stringWidth(cell) <= width) return cell;
  let shown = "";
  for (const { segment } of new Intl.Segmenter().segment(cell)) {
    if (stringWidth(shown + segment) > width - 1) break;
    shown += segment;
  }
  return `${shown}…`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
