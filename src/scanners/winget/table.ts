/** Reads the tables in winget's output, by the places of their columns and no word in them. */

import { type Columns, cutAt, findColumns, wordsOf } from "./columns.ts";
import { isDebris, plainText } from "./lines.ts";

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

/** Rules below the first row that are looked at closely. */
const MOST_RULES = 8;

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
  const startsAt = ruleAt - 1;
  const block = lines.slice(from, blockEnd(lines, from, () => true));
  const columns = columnsOf(lines, ruleAt, block) ??
    columnsOf(lines, ruleAt, lines.slice(from, blockEnd(lines, from, () => false)));
  if (!columns || (kind === "upgrades" && !columns.fields.includes("available"))) {
    return { startsAt, endsAt: from + block.length, rows: undefined, unreadable: 0 };
  }
  const table: OpenTable = { columns, kind, lines, from, heading: lines[startsAt] ?? "" };
  const rules = new Map<number, boolean>();
  const isNext = (at: number) => {
    // What comes of so many rules is no table of winget's.
    const is = rules.get(at) ?? (rules.size >= MOST_RULES || startsTable(table, at));
    rules.set(at, is);
    return is;
  };
  const end = blockEnd(lines, from, isNext);
  const limit = tableEnd(lines, end, isNext);
  const isRowPiece = ([at, is]: [number, boolean]) => !is && at < limit;
  // A name may hold a blank line: rows behind one belong to this table if there is no doubt of them.
  const isMore = lines.slice(end, limit).some((line) => isPlausible(readAligned(line, table))) ||
    [...rules].some((rule) => rule[0] > end && isRowPiece(rule));
  const { rows, unreadable, length } = readRows(lines.slice(from, isMore ? limit : end), table);
  // A rule that is a piece of a row begins no table, though nothing behind it could be read.
  const inner = [...rules].filter(isRowPiece).map(([at]) => at + 1);
  const endsAt = Math.max(from + length, ...inner);
  return { startsAt, endsAt, rows: [...rows.values()], unreadable };
}

/** The columns by the lines that may be rows; a rule is none. */
function columnsOf(
  lines: readonly string[],
  ruleAt: number,
  block: readonly string[],
): Columns | undefined {
  const rows = block.filter((line) => !RULE.test(line));
  return findColumns(lines[ruleAt - 1] ?? "", lines[ruleAt] ?? "", rows);
}

/** A table that is being read, and where its first row is. */
interface OpenTable extends KnownTable {
  readonly lines: readonly string[];
  readonly from: number;
  readonly heading: string;
}

/**
 * Whether the rule at `ruleAt`, below the rows of `table`, has a table of its own, and is no piece of a
 * name or a version that holds line ends and dashes: the lines below it say so, which are rows of the
 * one or of the other.
 */
function startsTable(table: OpenTable, ruleAt: number): boolean {
  const { lines, from, kind } = table;
  const heading = lines[ruleAt - 1] ?? "";
  if (isPlausible(readAligned(heading, table))) return false;
  const end = blockEnd(lines, ruleAt + 1, () => true);
  const below = lines.slice(ruleAt + 1, end);
  const columns = columnsOf(lines, ruleAt, below);
  const own = columns ? readRows(below, { columns, kind }).rows.size : 0;
  // A row that the rule is a piece of begins no further up.
  const first = Math.max(from, ruleAt - MOST_PIECES);
  const rows = readRows(lines.slice(first, end), table).rows;
  const others = [...rows.keys()].filter((at) => first + at > ruleAt).length;
  if (others > own) return !columns && wordsIn(heading) === wordsIn(table.heading);
  // winget puts a blank line, or a sentence and one, before each of its tables.
  return own > 0 || lines.slice(from, ruleAt).some((line) => line.trim() === "");
}

function wordsIn(heading: string): string {
  return wordsOf(heading).map(({ text }) => text).join(" ");
}

/** The index of the first blank line, or of the heading of the next table. */
function blockEnd(
  lines: readonly string[],
  from: number,
  isNext: (ruleAt: number) => boolean,
): number {
  let end = from;
  while ((lines[end] ?? "").trim() !== "" && !isHeading(lines, end, isNext)) end++;
  return end;
}

/** The index of the next table's heading, or of the end. */
function tableEnd(
  lines: readonly string[],
  from: number,
  isNext: (ruleAt: number) => boolean,
): number {
  let end = from;
  while (end < lines.length && !isHeading(lines, end, isNext)) end++;
  return end;
}

function isHeading(
  lines: readonly string[],
  at: number,
  isNext: (ruleAt: number) => boolean,
): boolean {
  return RULE.test(lines[at + 1] ?? "") && isNext(at + 1);
}

/** A table whose columns are known. */
interface KnownTable {
  readonly columns: Columns;
  readonly kind: TableKind;
}

/**
 * Reads every row that can be read, by the place of its last line; `length` counts the lines up to the
 * last one of the table.
 */
function readRows(
  below: readonly string[],
  table: KnownTable,
): { rows: ReadonlyMap<number, WingetRow>; unreadable: number; length: number } {
  const rows = new Map<number, WingetRow>();
  const unread = new Set<number>();
  let odd = 0;
  let pieces: string[] = [];
  for (const [at, line] of below.entries()) {
    const isClose = odd < MOST_ODD_LINES && line.length <= LONGEST_ODD_LINE;
    let row = readAligned(line, table);
    if (!row && isClose && pieces.length > 0) {
      row = readJoined([...pieces, line], table);
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
  return { rows, unreadable: lost.length, length: last + 1 };
}

/**
 * Reads a row of several lines. A line end is as wide as a blank to winget, and may be one in a name. A
 * version that holds one is no version: what it is without it is not known.
 */
function readJoined(pieces: readonly string[], table: KnownTable): WingetRow | undefined {
  const joined = pieces.join(" ");
  if (joined.length > LONGEST_ODD_LINE) return undefined;
  const loose = looseCells(joined, table);
  const cells = alignedCells(joined, table) ??
    (isPlausible(loose && rowOf(loose, table)) ? loose : undefined);
  if (!cells) return undefined;
  const ends = pieces.slice(0, -1).map((_, at) => pieces.slice(0, at + 1).join(" ").length);
  let from = 0;
  for (const [column, cell] of cells.entries()) {
    const field = table.columns.fields[column];
    const isBroken = ends.some((end) => isInside(cell, end - from));
    if (isBroken && field !== "name") return undefined;
    from += cell.length;
  }
  return rowOf(cells, table);
}

/** Whether there is text in a cell on both sides of this place. */
function isInside(cell: string, at: number): boolean {
  return at > 0 && cell.slice(0, at).trim() !== "" && cell.slice(at).trim() !== "";
}

/** Reads a row that fits the columns, as almost every one does. */
function readAligned(line: string, table: KnownTable): WingetRow | undefined {
  const cells = alignedCells(line, table);
  return cells && rowOf(cells, table);
}

function alignedCells(line: string, table: KnownTable): string[] | undefined {
  const { starts } = table.columns;
  for (const shift of shiftsFor(line)) {
    const cells = cutAt(line, shifted(starts, shift));
    if (!cells || isLoose(cells.slice(0, -1)) || !rowOf(cells, table)) continue;
    if (shift === 0 || isAscii(cells.slice(1).join(""))) return cells;
  }
  return undefined;
}

/** Reads a row whose cells begin with blanks of their own. */
function readLoose(line: string, table: KnownTable): WingetRow | undefined {
  const cells = looseCells(line, table);
  return cells && rowOf(cells, table);
}

function looseCells(line: string, table: KnownTable): string[] | undefined {
  const cells = cutAt(line, table.columns.starts);
  return cells && rowOf(cells, table) ? cells : undefined;
}

/**
 * Reads a row by its right-hand cells, which stand as far from each other as in every other row,
 * wherever the name, whose width is in dispute, makes them begin.
 */
function readShifted(line: string, table: KnownTable): WingetRow | undefined {
  const { columns } = table;
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
    const row = rowOf(cells, table);
    if (isPlausible(row)) found.set(JSON.stringify(row), row);
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

/** An id is one word, and nothing is missing that each row of the table has. */
function rowOf(
  cells: readonly string[],
  { columns, kind }: KnownTable,
): WingetRow | undefined {
  const none = { name: "", id: "", version: "", available: "", source: null };
  const clean = cells.map(plainText);
  const told = columns.fields.map((field, column) => [field, clean[column] ?? ""]);
  const row: WingetRow = { ...none, ...Object.fromEntries(told) };
  return /^\S+$/.test(row.id) && isComplete(row, kind) ? row : undefined;
}

/** Whether a row has what each row of its table has. */
function isComplete({ version, available, source }: WingetRow, kind: TableKind): boolean {
  return kind === "installed" || (version !== "" && available !== "" && source !== "");
}

function plausible(row: WingetRow | undefined): WingetRow | undefined {
  return isPlausible(row) ? row : undefined;
}

/**
 * Whether a row that does not stand in its place is one for sure, and no sentence. Where a name ends in
 * what might be an id, the id that follows must not pass for a version.
 */
function isPlausible(row: WingetRow | undefined): row is WingetRow {
  return row !== undefined && isId(row.id) && !isId(row.version) && !isId(row.available) &&
    /^(?:[<>] )?\S*\d|^Unknown$/.test(row.version) &&
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
