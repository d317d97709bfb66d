/** Rows as a table that fits the terminal: what matters least is left out, then the widest cut. Pure. */

import stringWidth from "string-width";
import { stripControls } from "../strip_controls.ts";

/** A column's heading, and whether its cells stand on the right. */
export interface Column {
  readonly title: string;
  readonly alignRight?: boolean;
  /** Cut narrower than this, its cells say too little. @default `NARROWEST` */
  readonly narrowest?: number;
  /** Left out where not all fit, the lowest first. @default never */
  readonly spare?: number;
  /**
   * Index of a column whose cell in the same row must not look the same when both are cut, though both
   * begin alike: two versions of one package.
   */
  readonly differsFrom?: number;
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
  const cells = [titles, ...rows].map((row) => row.map((cell) => stripControls(cell)));
  const all = columns.map((column, index) => ({
    ...column,
    index,
    width: Math.max(...cells.map((row) => stringWidth(row[index] ?? ""))),
  }));
  const shown = shrink(leaveOut(all, width), width);
  return cells.map((row) =>
    shown.map(({ index, width, alignRight, differsFrom }) => {
      const other = differsFrom === undefined ? undefined : row[differsFrom];
      const cell = cutToWidth(row[index] ?? "", width, other);
      const padding = " ".repeat(Math.max(0, width - stringWidth(cell)));
      return alignRight ? padding + cell : cell + padding;
    }).join(GAP).trimEnd()
  );
}

/** A column as it is to be shown. */
interface Shown extends Column {
  readonly index: number;
  readonly width: number;
}

/** Leaves out spare columns until the rest fits without being cut too narrow. */
function leaveOut(columns: readonly Shown[], width: number): readonly Shown[] {
  const least = columns.map((column) => Math.min(column.width, column.narrowest ?? column.width));
  if (total(least) <= width) return columns;
  const [first] = columns.filter(({ spare }) => spare !== undefined)
    .toSorted((a, b) => (a.spare ?? 0) - (b.spare ?? 0));
  return first ? leaveOut(columns.filter((column) => column !== first), width) : columns;
}

/** Takes from the widest column, one by one, until all fit; none below its narrowest before it must. */
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

/** Stands where something was cut off. No version and no package name holds it. */
const ELLIPSIS = "\u2026";

/**
 * Cuts a text to a width in terminal columns. With `other`, what both begin with is cut off as well
 * where the part in which they differ would not be seen otherwise.
 */
export function cutToWidth(text: string, width: number, other?: string): string {
  if (stringWidth(text) <= width) return text;
  const common = other === undefined ? 0 : commonLength(text, other);
  // One column for the ellipsis, and one for the character that differs.
  if (common <= width - 2 || width < 3) return cutEnd(text, width);
  // What is left is shown from the difference on, or as much of the end as there is room for.
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

/** How many characters two texts begin with in common, all of them ASCII: others may be wider. */
function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length] && /[ -~]/.test(a[length] ?? "")) length += 1;
  return length;
}
