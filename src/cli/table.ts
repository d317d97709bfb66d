/** Rows as a table that fits the terminal: columns are aligned, the widest are cut. Pure. */

import stringWidth from "string-width";

/** A column's heading, and whether its cells stand on the right. */
export interface Column {
  readonly title: string;
  readonly alignRight?: boolean;
}

const GAP = "  ";

/** A column is never cut narrower than this, so that what is left still says something. */
const NARROWEST = 6;

/** The lines of a table, none wider than `width` columns unless even the narrowest form is. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string[] {
  const titles = columns.map(({ title }) => title);
  const cells = [titles, ...rows].map((row) => row.map(plain));
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => stringWidth(row[index] ?? "")))
  );
  shrink(widths, width - GAP.length * (columns.length - 1));
  return cells.map((row) =>
    columns.map((column, index) => {
      const cell = cutToWidth(row[index] ?? "", widths[index] ?? 0);
      const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell)));
      return column.alignRight ? padding + cell : cell + padding;
    }).join(GAP).trimEnd()
  );
}

/** Takes from the widest column, one by one, until all fit. */
function shrink(widths: number[], room: number): void {
  let total = widths.reduce((sum, width) => sum + width, 0);
  while (total > room) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= NARROWEST) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    total -= 1;
  }
}

/** Cuts a text to a width in terminal columns; a cut one ends in `~`. */
export function cutToWidth(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let cut = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(cut + segment) > width - 1) break;
    cut += segment;
  }
  return `${cut}~`;
}

/** What comes from outside must not be able to steer the terminal. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "");
}
