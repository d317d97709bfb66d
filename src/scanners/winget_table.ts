/** Reads the tables in winget's output, by the places of their columns and no word in them. */

import { type Columns, cutAt, findColumns, wordsOf } from "./winget_columns.ts";
import { isDebris, plainText } from "./winget_lines.ts";

/** The line between a heading and its rows, as wide as the table. */
const RULE = /^-{8,}$/;

/** winget prints three; more are a sign that these are none of its own. */
const MOST_TABLES = 8;

/** What winget puts at the end of a cell that it cut. */
const CUT = "…";

/** Names are wider or narrower here than in winget's eyes by so much at most. */
const SHIFTS = [0, 1, -1, 2, -2, 3, -3, 4, -4];

/** A row that does not fit its columns is looked at closely only within these bounds. */
const LONGEST_ODD_LINE = 2_000;
const MOST_ODD_LINES = 200;
const MOST_ODD_WORDS = 100;

/** Lines that the line ends within one name may have made of a row. */
const MOST_PIECES = 4;

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
  /** Index of the first line after the last row, also if that row could not be read. */
  readonly endsAt: number;
  /** `undefined`: a table whose columns are in doubt. */
  readonly rows: readonly WingetRow[] | undefined;
  /** Lines among the rows that could not be read: rows, or pieces of rows whose rest was read. */
  readonly unreadable: number;
}

/** `upgrades`: each row says what is available; `installed`: it may not. */
export type TableKind = "upgrades" | "installed";

/** Whether a cell, or a row in a cell that matters, was cut. */
export function isCut(cell: string): boolean {
  return cell.endsWith(CUT);
}

/** Whether `cell`, which may have been cut, can be what is left of `whole`. */
export function isBeginningOf(cell: string, whole: string): boolean {
  return isCut(cell) ? whole.startsWith(cell.slice(0, -CUT.length).trimEnd()) : cell === whole;
}

/**
 * The tables in `lines`, in order. winget prints names and versions as their installers registered
 * them, blanks and line ends included: a line that is no row ends no table, and the next row is read.
 */
export function readTables(lines: readonly string[], kind: TableKind): WingetTable[] {
  const tables: WingetTable[] = [];
  for (const [at, rule] of lines.entries()) {
    const heading = lines[at - 1];
    if (heading === undefined || !RULE.test(rule) || isDebris(heading)) continue;
    if (tables.length === MOST_TABLES) break;
    const isFree = tables.every(({ endsAt }) => endsAt <= at - 1);
    if (isFree) tables.push(readTable(lines, at, kind));
  }
  return tables;
}

function readTable(lines: readonly string[], ruleAt: number, kind: TableKind): WingetTable {
  const from = ruleAt + 1;
  const heading = lines[ruleAt - 1] ?? "";
  const block = lines.slice(from, blockEnd(lines, from, () => false));
  const columns = findColumns(heading, lines[ruleAt] ?? "", block);
  const startsAt = ruleAt - 1;
  if (!columns || (kind === "upgrades" && !columns.fields.includes("available"))) {
    return { startsAt, endsAt: from + block.length, rows: undefined, unreadable: 0 };
  }
  const table = { columns, kind };
  const end = blockEnd(lines, from, (line) => isPlausible(readAligned(line, table)));
  const found = readRows(lines.slice(from, end), table);
  // A name may hold a blank line: rows behind one belong to this table if there is no doubt of them.
  const tail = lines.slice(end, tableEnd(lines, end));
  const isMore = tail.some((line) => isPlausible(readAligned(line, table)));
  const { rows, unreadable, length } = isMore
    ? readRows(lines.slice(from, tableEnd(lines, end)), table)
    : found;
  return { startsAt, endsAt: from + length, rows, unreadable };
}

/** The index of the first blank line, or of the heading of the next table. */
function blockEnd(
  lines: readonly string[],
  from: number,
  isRow: (line: string) => boolean,
): number {
  let end = from;
  while ((lines[end] ?? "").trim() !== "") {
    if (RULE.test(lines[end + 1] ?? "") && !isRow(lines[end] ?? "")) break;
    end++;
  }
  return end;
}

/** The index of the next table's heading, or of the end. */
function tableEnd(lines: readonly string[], from: number): number {
  let end = from;
  while (end < lines.length && !RULE.test(lines[end + 1] ?? "")) end++;
  return end;
}

/** A table whose columns are known. */
interface KnownTable {
  readonly columns: Columns;
  readonly kind: TableKind;
}

/** Reads every row that can be read; `length` counts the lines up to the last one of the table. */
function readRows(
  below: readonly string[],
  table: KnownTable,
): { rows: WingetRow[]; unreadable: number; length: number } {
  const rows = new Map<number, WingetRow>();
  const unread = new Set<number>();
  let odd = 0;
  let pieces: string[] = [];
  for (const [at, line] of below.entries()) {
    const isClose = odd < MOST_ODD_LINES && line.length <= LONGEST_ODD_LINE;
    const joined = [...pieces, line].join(" ");
    let row = readAligned(line, table);
    if (!row && isClose && pieces.length > 0 && joined.length <= LONGEST_ODD_LINE) {
      // A line end within a name is as wide as a blank to winget.
      row = readAligned(joined, table) ?? plausible(readLoose(joined, table));
      if (row) { for (let piece = 1; piece <= pieces.length; piece++) unread.delete(at - piece); }
    }
    if (!row && isClose) row = plausible(readLoose(line, table)) ?? readShifted(line, table);
    if (row) {
      rows.set(at, row);
      pieces = [];
      continue;
    }
    odd++;
    unread.add(at);
    pieces = pieces.length < MOST_PIECES ? [...pieces, line] : [line];
  }
  let last = [...rows.keys()].at(-1) ?? -1;
  // A row that could not be read may be the last one.
  for (const at of unread) {
    if (at === last + 1 && looksLikeRow(below[at] ?? "")) last = at;
  }
  const lost = [...unread].filter((at) => at < last + 1 && !isDebris(below[at] ?? ""));
  return { rows: [...rows.values()], unreadable: lost.length, length: last + 1 };
}

/** Reads a row that fits the columns, as almost every one does. */
function readAligned(line: string, { columns, kind }: KnownTable): WingetRow | undefined {
  const { starts, fields } = columns;
  for (const shift of shiftsFor(line)) {
    const cells = cutAt(line, shifted(starts, shift));
    const row = cells && !isLoose(cells.slice(0, -1)) ? rowOf(cells, fields) : undefined;
    if (!row || !isComplete(row, kind)) continue;
    if (shift === 0 || isAscii(cells?.slice(1).join("") ?? "")) return row;
  }
  return undefined;
}

/** Reads a row whose cells begin with blanks of their own. */
function readLoose(line: string, { columns, kind }: KnownTable): WingetRow | undefined {
  const cells = cutAt(line, columns.starts);
  const row = cells && rowOf(cells, columns.fields);
  return row && isComplete(row, kind) ? row : undefined;
}

/**
 * Reads a row by its right-hand cells, which stand as far from each other as in every other row,
 * wherever the name, whose width is in dispute, makes them begin.
 */
function readShifted(line: string, { columns, kind }: KnownTable): WingetRow | undefined {
  const [, second = 0] = columns.starts;
  const found = new Map<string, WingetRow>();
  for (const { text, at } of wordsOf(line).slice(0, MOST_ODD_WORDS)) {
    if (!isId(text)) continue;
    // The name may be gone altogether.
    const starts = at === 0
      ? columns.starts.slice(1).map((start) => start - second)
      : shifted(columns.starts, at - second);
    const cut = cutAt(line, starts);
    const cells = cut && at === 0 ? ["", ...cut] : cut;
    if (!cells || isLoose(cells.slice(1, -1))) continue;
    const row = rowOf(cells, columns.fields);
    if (row && isComplete(row, kind) && isPlausible(row)) found.set(JSON.stringify(row), row);
  }
  return found.size === 1 ? [...found.values()][0] : undefined;
}

function shifted(starts: readonly number[], by: number): readonly number[] {
  return by === 0 ? starts : starts.map((start, column) => column === 0 ? start : start + by);
}

/** How wide an emoji is, or what was no valid text, is a matter of opinion, and moves what follows. */
function shiftsFor(line: string): readonly number[] {
  return isAscii(line) ? [0] : SHIFTS;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e…]*$/.test(text);
}

/** winget's own cells stand on the left; those of a sentence begin anywhere. */
function isLoose(cells: readonly string[]): boolean {
  return cells.some((cell) => cell.startsWith(" ") && cell.trim() !== "");
}

/** An id is one word. */
function rowOf(cells: readonly string[], fields: Columns["fields"]): WingetRow | undefined {
  const row = { name: "", id: "", version: "", available: "", source: null };
  const clean = cells.map(plainText);
  const told = Object.fromEntries(fields.map((field, column) => [field, clean[column] ?? ""]));
  return /^\S+$/.test(told["id"] ?? "") ? { ...row, ...told } : undefined;
}

/** Whether a row has what each row of its table has. */
function isComplete({ version, available, source }: WingetRow, kind: TableKind): boolean {
  return kind === "installed" || (version !== "" && available !== "" && source !== "");
}

function plausible(row: WingetRow | undefined): WingetRow | undefined {
  return isPlausible(row) ? row : undefined;
}

/** Whether a row that does not stand in its place is one for sure, and no sentence. */
function isPlausible(row: WingetRow | undefined): row is WingetRow {
  return row !== undefined && isId(row.id) && /^(?:[<>] )?\S*\d|^Unknown$/.test(row.version) &&
    /^(?:(?:[<>] )?\S*\d|$)/.test(row.available) && /^\S*$/.test(row.source ?? "");
}

/** `Publisher.Package` or `ARP\...`, and no version. */
function isId(word: string): boolean {
  return /^[^\s.\\]+(?:[.\\][^\s.\\]+)+…?$/.test(word) && /\p{L}/u.test(word) &&
    !/^v?\d+\.\d/.test(word);
}

/** Whether a line that is no row may be what is left of one: it has gaps, or an id. */
function looksLikeRow(line: string): boolean {
  return /\S {2,}\S/.test(line) || line.startsWith("  ") || line.split(/ +/).some(isId);
}
