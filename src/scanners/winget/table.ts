/** Reads the tables in the output of winget by the positions of their columns, in any language. */

import { type Columns, cutAt, findColumns, isDebris, plainText, wordsOf } from "./layout.ts";

/** The line of dashes between a heading and its rows, as wide as the table. */
const RULE = /^-{8,}$/;

/** winget prints three tables; more are not its own. */
const MAX_TABLES = 8;

/** The mark at the end of a truncated cell. */
const ELLIPSIS = "…";

/** Possible differences between the width of a name here and for winget. */
const SHIFTS = [0, 1, -1, 2, -2, 3, -3, 4, -4];

/** A line that does not fit the columns is analysed only within these limits. */
const MAX_MISFIT_LENGTH = 2_000;
const MAX_MISFIT_LINES = 200;
const MAX_MISFIT_WORDS = 100;

/** Rules below the first row that are analysed. */
const MAX_RULES = 8;

/** Lines of one row before its last line, from line ends within a name. */
const MAX_PIECES = 4;

/** One row: cells without surrounding blanks and without control characters. */
export interface WingetRow {
  readonly name: string;
  readonly id: string;
  /** `Unknown` if winget does not know it; can begin with `< ` or `> `, and contain blanks. */
  readonly version: string;
  /** Empty if there is no newer version, which does not occur in a table of upgrades. */
  readonly available: string;
  /** `null`: the table has no such column, because only one source was asked. */
  readonly source: string | null;
}

/** One table, and the indices of its lines. */
export interface WingetTable {
  readonly startsAt: number;
  /** Index of the line after the last row, including an unreadable row. */
  readonly endsAt: number;
  /** `undefined` if the columns are in doubt. */
  readonly rows: readonly WingetRow[] | undefined;
  /** Unreadable lines among the rows: rows, or pieces of rows whose rest was read. */
  readonly unreadable: number;
}

/** `upgrades`: each row has an available version; `installed`: some rows have none. */
type TableKind = "upgrades" | "installed";

export function isTruncated(cell: string): boolean {
  return cell.endsWith(ELLIPSIS);
}

/** Whether `cell` can be `whole`, truncated or not. */
export function isTruncationOf(cell: string, whole: string): boolean {
  return isTruncated(cell)
    ? whole.startsWith(cell.slice(0, -ELLIPSIS.length).trimEnd())
    : cell === whole;
}

/**
 * Reads the tables in `lines`, in order. winget prints names and versions as their installers
 * registered them, including blanks and line ends: a line that is not a row does not end a table.
 */
export function readTables(lines: readonly string[], kind: TableKind): WingetTable[] {
  const tables: WingetTable[] = [];
  for (const [at, rule] of lines.entries()) {
    const heading = lines[at - 1];
    if (heading === undefined || !RULE.test(rule) || isDebris(heading)) continue;
    if (tables.length === MAX_TABLES) break;
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
    // winget prints no output with so many rules.
    const isTable = rules.get(at) ?? (rules.size >= MAX_RULES || startsTable(table, at));
    rules.set(at, isTable);
    return isTable;
  };
  const end = blockEnd(lines, from, isNext);
  const limit = blockEnd(lines, end, isNext, { withBlank: true });
  const isRowPiece = ([at, isTable]: [number, boolean]) => !isTable && at < limit;
  // A name can contain a blank line: unmistakable rows after one belong to this table.
  const isMore =
    lines.slice(end, limit).some((line) => isPlausible(rowOf(alignedCells(line, table), table))) ||
    [...rules].some((rule) => rule[0] > end && isRowPiece(rule));
  const { rows, unreadable, length } = readRows(lines.slice(from, isMore ? limit : end), table);
  // A rule that is a piece of a row begins no table, even if no line after it is readable.
  const inner = [...rules].filter(isRowPiece).map(([at]) => at + 1);
  const endsAt = Math.max(from + length, ...inner);
  return { startsAt, endsAt, rows: [...rows.values()], unreadable };
}

/** Finds the columns by the lines that can be rows; a rule cannot. */
function columnsOf(
  lines: readonly string[],
  ruleAt: number,
  block: readonly string[],
): Columns | undefined {
  const rows = block.filter((line) => !RULE.test(line));
  return findColumns(lines[ruleAt - 1] ?? "", lines[ruleAt] ?? "", rows);
}

/** A table that is being read; `from` is the index of its first row. */
interface OpenTable extends KnownTable {
  readonly lines: readonly string[];
  readonly from: number;
  readonly heading: string;
}

/**
 * Whether the rule at `ruleAt`, below the rows of `table`, begins another table, and is not a piece of
 * a name or a version with line ends and dashes. The lines below it decide: they are rows of one or the
 * other table.
 */
function startsTable(table: OpenTable, ruleAt: number): boolean {
  const { lines, from, kind } = table;
  const heading = lines[ruleAt - 1] ?? "";
  if (isPlausible(rowOf(alignedCells(heading, table), table))) return false;
  const end = blockEnd(lines, ruleAt + 1, () => true);
  const below = lines.slice(ruleAt + 1, end);
  const columns = columnsOf(lines, ruleAt, below);
  const own = columns ? readRows(below, { columns, kind }).rows.size : 0;
  // A row that contains the rule begins no earlier.
  const first = Math.max(from, ruleAt - MAX_PIECES);
  const rows = readRows(lines.slice(first, end), table).rows;
  const ofTable = [...rows.keys()].filter((at) => first + at > ruleAt).length;
  if (ofTable > own) return !columns && wordsIn(heading) === wordsIn(table.heading);
  // winget puts a blank line, or a sentence and one, before each of its tables.
  return own > 0 || lines.slice(from, ruleAt).some((line) => line.trim() === "");
}

function wordsIn(heading: string): string {
  return wordsOf(heading).map(({ text }) => text).join(" ");
}

/** The index of the next heading, of the end or, unless `withBlank`, of the first blank line. */
function blockEnd(
  lines: readonly string[],
  from: number,
  isNext: (ruleAt: number) => boolean,
  { withBlank = false } = {},
): number {
  for (let end = from; end < lines.length; end++) {
    if (!withBlank && lines[end]?.trim() === "") return end;
    if (RULE.test(lines[end + 1] ?? "") && isNext(end + 1)) return end;
  }
  return Math.max(from, lines.length);
}

interface KnownTable {
  readonly columns: Columns;
  readonly kind: TableKind;
}

/** Reads rows by the index of their last line. `length`: the lines up to the last one of the table. */
function readRows(
  below: readonly string[],
  table: KnownTable,
): { rows: ReadonlyMap<number, WingetRow>; unreadable: number; length: number } {
  const rows = new Map<number, WingetRow>();
  const unread = new Set<number>();
  let misfits = 0;
  let pieces: string[] = [];
  for (const [at, line] of below.entries()) {
    const isAnalysed = misfits < MAX_MISFIT_LINES && line.length <= MAX_MISFIT_LENGTH;
    let row = rowOf(alignedCells(line, table), table);
    if (!row && isAnalysed && pieces.length > 0) {
      row = readJoined([...pieces, line], table);
      if (row) { for (let piece = 1; piece <= pieces.length; piece++) unread.delete(at - piece); }
    }
    if (!row && isAnalysed) {
      // A row whose cells begin with blanks.
      row = rowOf(cutAt(line, table.columns.starts), table);
      if (!isPlausible(row)) row = readShifted(line, table);
    }
    if (row) {
      rows.set(at, row);
      pieces = [];
      continue;
    }
    misfits++;
    unread.add(at);
    pieces = pieces.length < MAX_PIECES ? [...pieces, line] : [line];
  }
  let last = [...rows.keys()].at(-1) ?? -1;
  // An unreadable row can be the last one.
  for (const at of unread) {
    if (at === last + 1 && looksLikeRow(below[at] ?? "")) last = at;
  }
  const lost = [...unread].filter((at) => at < last + 1 && !isDebris(below[at] ?? ""));
  return { rows, unreadable: lost.length, length: last + 1 };
}

/**
 * Reads a row of several lines. To winget, a line end is as wide as a blank. It can stand in a name; a
 * version with a line end is not accepted, because its real text is unknown.
 */
function readJoined(pieces: readonly string[], table: KnownTable): WingetRow | undefined {
  const joined = pieces.join(" ");
  if (joined.length > MAX_MISFIT_LENGTH) return undefined;
  const loose = cutAt(joined, table.columns.starts);
  const cells = alignedCells(joined, table) ??
    (isPlausible(rowOf(loose, table)) && !mayBeSplit(rowOf(loose, table)) ? loose : undefined);
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

/** Whether the available version of a row may begin with the end of the installed one ("1.0 beta"). */
function mayBeSplit(row: WingetRow | undefined): boolean {
  return row !== undefined && !/^(?:[<>] )?\S*(?: \(.*\))?$/.test(row.available);
}

/** Whether a cell has text on both sides of this position. */
function isInside(cell: string, at: number): boolean {
  return at > 0 && cell.slice(0, at).trim() !== "" && cell.slice(at).trim() !== "";
}

/** The cells of a row that fits the columns, as almost all rows do. */
function alignedCells(line: string, table: KnownTable): string[] | undefined {
  const { starts } = table.columns;
  for (const shift of shiftsFor(line)) {
    const cells = cutAt(line, shifted(starts, shift));
    if (!cells || isLoose(cells.slice(0, -1)) || !rowOf(cells, table)) continue;
    if (shift === 0 || isAscii(cells.slice(1).join(""))) return cells;
  }
  return undefined;
}

/** Reads a row by its right-hand cells, whose distances are the same even if an ambiguous name shifts them. */
function readShifted(line: string, table: KnownTable): WingetRow | undefined {
  const { columns } = table;
  const [, second = 0] = columns.starts;
  const found = new Map<string, WingetRow>();
  for (const { text, at } of wordsOf(line).slice(0, MAX_MISFIT_WORDS)) {
    if (!isId(text)) continue;
    // The name can be missing.
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

/** The width of an emoji, or of invalid text, is ambiguous, and shifts the cells after it. */
function shiftsFor(line: string): readonly number[] {
  return isAscii(line) ? [0] : SHIFTS;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e…]*$/.test(text);
}

/** The cells of winget are left-aligned; those of a sentence begin anywhere. */
function isLoose(cells: readonly string[]): boolean {
  return cells.some((cell) => cell.startsWith(" ") && cell.trim() !== "");
}

/** The row of these cells; `undefined` if the id is not one word, or if a required cell is empty. */
function rowOf(
  cells: readonly string[] | undefined,
  { columns, kind }: KnownTable,
): WingetRow | undefined {
  if (!cells) return undefined;
  const none = { name: "", id: "", version: "", available: "", source: null };
  const clean = cells.map(plainText);
  const filled = columns.fields.map((field, column) => [field, clean[column] ?? ""]);
  const row: WingetRow = { ...none, ...Object.fromEntries(filled) };
  const isComplete = kind === "installed" ||
    (row.version !== "" && row.available !== "" && row.source !== "");
  return /^\S+$/.test(row.id) && isComplete ? row : undefined;
}

/** Whether a row out of alignment is certainly a row: no sentence, and no id that is read as a version. */
function isPlausible(row: WingetRow | undefined): row is WingetRow {
  return row !== undefined && isId(row.id) && !isId(row.version) && !isId(row.available) &&
    /^(?:[<>] )?\S*\d|^Unknown$/.test(row.version) &&
    /^(?:(?:[<>] )?\S*\d|$)/.test(row.available) && /^\S*$/.test(row.source ?? "");
}

/** `Publisher.Package` or `ARP\...`, and not a version. */
function isId(word: string): boolean {
  return /^[^\s.\\]+(?:[.\\][^\s.\\]+)+…?$/.test(word) && /\p{L}/u.test(word) &&
    !/^v?\d+\.\d/.test(word);
}

/** Whether a line that is not a row can be the rest of one: it has gaps, or an id. */
function looksLikeRow(line: string): boolean {
  return /\S {2,}\S/.test(line) || line.startsWith("  ") || line.split(/ +/).some(isId);
}
