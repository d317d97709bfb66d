/** Prints tables by the rules of winget, so that tests can compare the result of reading with the input. */

import stringWidth from "string-width";

/** Options of printing. */
export interface TableOptions {
  /** Display columns of a table; older versions use 119 without a console. */
  readonly limit?: number;
  /** Number of rows that determine the widths. @default all */
  readonly measured?: number;
  /** The width of a text. @default as in a terminal */
  readonly widthOf?: (text: string) => number;
}

/** The width for winget: each character is as wide as its first code point, and at least 1. */
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

/** A cell in `width` columns, truncated as winget does. */
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
