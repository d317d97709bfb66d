/** Prints rows as a table that fits a width: spare columns are left out, then the widest are cut. Pure. */

import stringWidth from "string-width";
import { stripControls } from "../strip_controls.ts";

/** A column of a table. */
export interface Column {
  /** The heading. */
  readonly title: string;
  /** Aligns the cells at the right, for numbers. @default false */
  readonly alignRight?: boolean;
  /** The width below which a cut cell says too little. @default `NARROWEST` */
  readonly narrowest?: number;
  /** Left out if not all columns fit, the lowest number first. @default never */
  readonly spare?: number;
  /**
   * Index of a column whose cell in the same row must not look the same after cutting, although both
   * begin alike: two versions of one package.
   */
  readonly differsFrom?: number;
  /**
   * Colours a cell after it has been cut to the column's width. Gets the cell as shown, and as given; the
   * heading does not pass it. @default no colour
   */
  readonly paint?: (shown: string, cell: string) => string;
}

const GAP = "  ";

/** No column is cut below this width. */
const NARROWEST = 6;

/** The lines of a table, at most `width` columns wide if the narrowest form allows it. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string[] {
  const titles = columns.map(({ title }) => title);
  const cells = [titles, ...rows].map((row) => row.map((cell) => stripControls(cell)));
  const all = columns.map((column, index) => ({
    ...column,
    index,
    width: Math.max(...cells.map((row) => stringWidth(row[index] ?? ""))),
  }));
  const shown = shrink(leaveOut(all, width), width);
  return cells.map((row, rowIndex) =>
    shown.map(({ index, width, alignRight, differsFrom, paint }) => {
      const other = differsFrom === undefined ? undefined : row[differsFrom];
      const cut = cutToWidth(row[index] ?? "", width, other);
      const padding = " ".repeat(Math.max(0, width - stringWidth(cut)));
      const cell = rowIndex === 0 || !paint ? cut : paint(cut, row[index] ?? "");
      return alignRight ? padding + cell : cell + padding;
    }).join(GAP).trimEnd()
  );
}

/** A column with its place in the rows and its width. */
interface Shown extends Column {
  readonly index: number;
  readonly width: number;
}

/** Leaves out spare columns until the others fit with their narrowest widths. */
function leaveOut(columns: readonly Shown[], width: number): readonly Shown[] {
  const least = columns.map((column) => Math.min(column.width, column.narrowest ?? column.width));
  if (total(least) <= width) return columns;
  const [first] = columns.filter(({ spare }) => spare !== undefined)
    .toSorted((a, b) => (a.spare ?? 0) - (b.spare ?? 0));
  return first ? leaveOut(columns.filter((column) => column !== first), width) : columns;
}

/** Narrows the widest column step by step until all fit, below `narrowest` only if it must. */
function shrink(columns: readonly Shown[], width: number): readonly Shown[] {
  const widths = columns.map((column) => column.width);
  for (const least of [columns.map(({ narrowest }) => narrowest ?? NARROWEST), []]) {
    while (total(widths) > width) {
      const spare = widths.map((one, index) => one > (least[index] ?? NARROWEST) ? one : -1);
      const widest = spare.indexOf(Math.max(...spare));
      if ((spare[widest] ?? -1) < 0) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  }
  return columns.map((column, index) => ({ ...column, width: widths[index] ?? 0 }));
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

/** Marks a cut. No version and no package name contains it. */
const ELLIPSIS = "\u2026";

/**
 * Cuts a text to a width in terminal columns. With `other`, the common beginning is cut as well if the
 * part in which the two differ would not be visible otherwise.
 */
export function cutToWidth(text: string, width: number, other?: string): string {
  if (stringWidth(text) <= width) return text;
  const common = other === undefined ? 0 : commonLength(text, other);
  // One column for the ellipsis, and one for the character that differs.
  if (common <= width - 2 || width < 3) return cutEnd(text, width);
  // The text is shown from the difference on, or as much of its end as fits.
  const from = Math.min(common, text.length - width + 1);
  return cutEnd(ELLIPSIS + text.slice(from), width);
}

function cutEnd(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let cut = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(cut + segment) > width - 1) break;
    cut += segment;
  }
  return cut + ELLIPSIS;
}

/** The length of the common ASCII beginning of two texts; other characters may be wider. */
function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length] && /[ -~]/.test(a[length] ?? "")) length += 1;
  return length;
}
