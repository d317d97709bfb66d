/** Reads the tables in winget's output, by the places of their columns and no word in them. */

import { type Columns, cutAt, findColumns } from "./winget_columns.ts";
import { isDebris, plainText } from "./winget_lines.ts";

/** The line between a heading and its rows, as wide as the table. */
const RULE = /^-{8,}$/;

/** winget prints three; more are a sign that these are none of its own. */
const MOST_TABLES = 8;

/** What winget puts at the end of a cell that it cut. */
const CUT = "…";

/** Names are wider or narrower here than in winget's eyes by so much at most. */
const SHIFTS = [0, 1, -1, 2, -2, 3, -3, 4, -4];

/** One row: cells without the blanks around them and without control characters. */
export interface WingetRow {
  readonly name: string;
  readonly id: string;
  /** `Unknown` where winget does not know; may begin with `< ` or `> `, and hold blanks. */
  readonly version: string;
  /** Empty where there is no newer one, which a table of upgrades does not have. */
  readonly available: string;
  /** `null`: the table has no such column, since only one source took part. */
  readonly source: string | null;
}

/** One table, and where its lines are. */
export interface WingetTable {
  /** Index of the heading's line. */
  readonly startsAt: number;
  /** Index of the first line after the last row. */
  readonly endsAt: number;
  /** `undefined`: a table whose columns are in doubt. */
  readonly rows: readonly WingetRow[] | undefined;
}

/** Whether a cell, or a row in a cell that matters, was cut. */
export function isCut(cell: string): boolean {
  return cell.endsWith(CUT);
}

/** Whether `cell`, which may have been cut, can be what is left of `whole`. */
export function isBeginningOf(cell: string, whole: string): boolean {
  return isCut(cell) ? whole.startsWith(cell.slice(0, -CUT.length).trimEnd()) : cell === whole;
}

/**
 * The tables in `lines`, in order. `upgrades`: each row says what is available; `installed`: it may
 * not. The first line that does not fit the columns ends a table: it is the sentence after it.
 */
export function readTables(
  lines: readonly string[],
  kind: "upgrades" | "installed",
): WingetTable[] {
  const tables: WingetTable[] = [];
  for (const [at, rule] of lines.entries()) {
    const heading = lines[at - 1];
    if (heading === undefined || !RULE.test(rule) || isDebris(heading)) continue;
    if (tables.length === MOST_TABLES) break;
    const below = bodyOf(lines, at + 1);
    const rows = readRows(findColumns(heading.trimEnd(), rule, below), below, kind);
    tables.push({ startsAt: at - 1, endsAt: at + 1 + (rows ?? below).length, rows });
  }
  return tables;
}

function readRows(
  columns: Columns | undefined,
  below: readonly string[],
  kind: "upgrades" | "installed",
): WingetRow[] | undefined {
  if (!columns || (kind === "upgrades" && !columns.fields.includes("available"))) return undefined;
  const rows: WingetRow[] = [];
  for (const line of below) {
    const row = readRow(line, columns);
    if (!row || (kind === "upgrades" && row.available === "")) break;
    rows.push(row);
  }
  return rows;
}

/** The lines up to a blank one or to the heading of the next table. */
function bodyOf(lines: readonly string[], from: number): readonly string[] {
  let end = from;
  while ((lines[end] ?? "").trim() !== "" && !RULE.test(lines[end + 1] ?? "")) end++;
  return lines.slice(from, end);
}

function readRow(line: string, { starts, fields }: Columns): WingetRow | undefined {
  for (const shift of shiftsFor(line)) {
    const shifted = starts.map((start, column) => column === 0 ? start : start + shift);
    const cells = cutAt(line, shifted);
    const row = cells && rowOf(cells, fields);
    if (row && (shift === 0 || isAscii(cells.slice(1).join("")))) return row;
  }
  return undefined;
}

/** How wide an emoji is, or what was no valid text, is a matter of opinion, and moves what follows. */
function shiftsFor(line: string): readonly number[] {
  return isAscii(line) ? [0] : SHIFTS;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e…]*$/.test(text);
}

/** Cells stand on the left; an id is one word. */
function rowOf(cells: readonly string[], fields: Columns["fields"]): WingetRow | undefined {
  const isLoose = cells.slice(0, -1).some((cell) => cell.startsWith(" ") && cell.trim() !== "");
  if (isLoose) return undefined;
  const row = { name: "", id: "", version: "", available: "", source: null };
  const clean = cells.map(plainText);
  const told = Object.fromEntries(fields.map((field, column) => [field, clean[column] ?? ""]));
  return /^\S+$/.test(told["id"] ?? "") ? { ...row, ...told } : undefined;
}
