/**
 * The output of winget as a terminal shows it: its lines without the remains of progress bars, and the
 * columns of a table, found by their positions in any language.
 */

import stringWidth from "string-width";
import { stripControls } from "../../strip_controls.ts";

/** Longer lines belong to no table of winget, whose lines have a few hundred characters. */
const MAX_LINE_LENGTH = 16_384;

/** A table has one line per package; no host has so many. */
const MAX_LINES = 20_000;

/** Escape sequences for colours and cursor (CSI) and for title or taskbar (OSC); they have no width. */
// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x08/g;

/** A spinner, a progress bar, or nothing. */
const DEBRIS = /^[\s\\|/-]*$|[\u2588-\u2593]/;

/**
 * Splits `text` into lines. Of each line only the part after its last carriage return is visible. Other
 * control characters stay, because they occupy display columns.
 *
 * A last line without an end is dropped: it can hold only the beginning of a name or a version.
 * `dropped` counts such lines, and lines that are too long or too many.
 */
export function wingetLines(text: string): { lines: readonly string[]; dropped: number } {
  const all = text.replace(/^\ufeff/, "").split("\n");
  const rest = all.pop();
  const shown = all.slice(0, MAX_LINES).map(lastWritten);
  const lines = shown.filter((line) => line.length <= MAX_LINE_LENGTH)
    .map((line) => line.replace(ESCAPES, ""));
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}

/** Whether a line has no content: it is blank, or the rest of a spinner or a progress bar. */
export function isDebris(line: string): boolean {
  return DEBRIS.test(line);
}

/** Removes control characters, and blanks around the text. */
export function plainText(text: string): string {
  return stripControls(text.replaceAll("\t", " ")).trim();
}

/** Scans backwards: a spinner of two minutes is one line of 100,000 characters. */
function lastWritten(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === "\r") end--;
  return line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
}

/**
 * The headings in the languages of winget, in its order: name, id, installed version, available
 * version, source. From its resources (`Localization/Resources` in microsoft/winget-cli).
 */
const HEADINGS: readonly (readonly string[])[] = [
  ["Name", "Id", "Version", "Available", "Source"],
  ["Name", "ID", "Version", "Verfügbar", "Quelle"],
  ["Nom", "ID", "Version", "Disponible", "Source"],
  ["名前", "ID", "バージョン", "利用可能", "ソース"],
  ["Nombre", "Id", "Versión", "Disponible", "Origen"],
  ["Nome", "Id", "Versione", "Disponibile", "Origine"],
  ["Nome", "ID", "Versão", "Disponível", "Origem"],
  ["Имя", "ИД", "Версия", "Доступно", "Источник"],
  ["이름", "장치 ID", "버전", "사용 가능", "원본"],
  ["名称", "ID", "版本", "可用", "源"],
  ["名稱", "識別碼", "版本", "可用", "來源"],
];

/** The fields of the columns, in winget's order. */
const FIELDS = ["name", "id", "version", "available", "source"] as const;

/** Where the columns of a table begin, in display columns from the left, and their fields. */
export interface Columns {
  readonly starts: readonly number[];
  readonly fields: readonly (typeof FIELDS)[number][];
}

/** The possible columns: winget leaves out columns that would be empty. */
const LAYOUTS: readonly Columns["fields"][] = [
  FIELDS,
  ["name", "id", "version", "available"],
  ["name", "id", "version", "source"],
  ["name", "id", "version"],
];

/** Microsoft's sources, which every host has: the fifth column holds one of these. */
const SOURCES = ["winget", "msstore"];

/** An unknown heading is analysed only within these limits, which bound the time. */
const MAX_WORDS = 10;
const MAX_ROWS = 2_000;

/** Limits for an unknown heading above a row that does not fit. */
const MAX_ROWS_WITH_MISFIT = 60;
const MAX_MISFIT_LINES = 3;

/** Sentences that can follow a table without a blank line between. */
const MAX_SENTENCES = 4;

/** A word or a character, and the display column at which it begins. */
interface Word {
  readonly text: string;
  readonly at: number;
}

/** A line with the positions of its characters: it is cut many times. */
interface Line {
  readonly characters: readonly Word[];
  /** Without trailing blanks. */
  readonly width: number;
}

interface TableHead {
  readonly heading: Line;
  readonly words: readonly Word[];
  /** Width of the rule below the heading. */
  readonly width: number;
}

/**
 * Finds the columns under a heading; returns `undefined` if they are in doubt.
 *
 * A known heading is recognized by its words. In any other, a word begins a column only if every row
 * has a blank before it, and the columns and the `rule` below the heading must be exactly as wide as
 * their content, which is how winget prints them: neither text nor a row above a line of dashes is a
 * heading.
 */
export function findColumns(
  heading: string,
  rule: string,
  below: readonly string[],
): Columns | undefined {
  const line = lineOf(heading);
  const words = wordsIn(line);
  const known = knownColumns(words);
  const isHopeless = below.length > MAX_ROWS || words.length > MAX_WORDS || /\d/.test(heading);
  if (known || isHopeless) return known;
  const top: TableHead = { heading: line, words, width: rule.length };
  const rows = below.map(lineOf);
  return columnsByRows(top, rows) ?? columnsWithoutMisfit(top, rows);
}

function knownColumns(words: readonly Word[]): Columns | undefined {
  const text = textOf(words.map((word) => word.text));
  for (const titles of HEADINGS) {
    for (const fields of LAYOUTS) {
      const columns = fields.map((field) => titles[FIELDS.indexOf(field)] ?? "");
      if (textOf(columns) !== text) continue;
      let next = 0;
      const starts = columns.map((title) => {
        const at = words[next]?.at ?? 0;
        next += title.split(" ").length;
        return at;
      });
      return { starts, fields };
    }
  }
  return undefined;
}

function textOf(words: readonly string[]): string {
  return words.join(" ").normalize("NFC").toLowerCase();
}

/**
 * Finds the columns by all rows except one that does not fit: its installer registered a name with
 * blanks or line ends, so that it can take several lines. As it may be the widest row, at least two
 * other rows with recognizable ids and versions are required.
 */
function columnsWithoutMisfit(top: TableHead, below: readonly Line[]): Columns | undefined {
  if (below.length > MAX_ROWS_WITH_MISFIT) return undefined;
  for (let misfit = 1; misfit <= MAX_MISFIT_LINES; misfit++) {
    for (const at of below.keys()) {
      const others = below.toSpliced(at, misfit);
      if (others.length < 2) return undefined;
      const columns = columnsByRows(top, others, { isOneMissing: true });
      if (columns) return columns;
    }
  }
  return undefined;
}

function columnsByRows(
  { heading, words, width }: TableHead,
  below: readonly Line[],
  { isOneMissing = false } = {},
): Columns | undefined {
  const fewest = Math.max(1, below.length - MAX_SENTENCES);
  for (let count = below.length; count >= fewest; count--) {
    const rows = below.slice(0, count);
    const starts = commonStarts(words, rows);
    const lines = [heading, ...rows];
    const isTable = (starts.length === 4 || starts.length === 5) && areUpgrades(rows, starts);
    const widest = isTable ? widestOf(lines) : 0;
    const fits = isOneMissing
      ? rows.length > 1 && widest <= width && areCertain(rows, starts)
      : widest === width && isTight(lines, starts);
    if (isTable && fits) return { starts, fields: FIELDS.slice(0, starts.length) };
  }
  return undefined;
}

/** The words that can begin a column: each row has a blank before them, and a row has text below. */
function commonStarts(words: readonly Word[], rows: readonly Line[]): number[] {
  const separate = words.map(({ at }) => at)
    .filter((at, index) => index === 0 || rows.every((row) => cut(row, [0, at]) !== undefined));
  const cells = rows.map((row) => cut(row, separate) ?? []);
  return separate.filter((_, column) => cells.some((row) => (row[column] ?? "").trim() !== ""));
}

/** Whether all lines are rows of upgrades: a sentence has no second column, or crosses the start of one. */
function areUpgrades(rows: readonly Line[], starts: readonly number[]): boolean {
  return rows.every((row) => {
    const [, id = "", , available = "", source = "winget"] = cut(row, starts) ?? [];
    const isVersion = available.trim() !== "" && !SOURCES.includes(available.trim());
    return /^\S+$/.test(id.trim()) && isVersion && SOURCES.includes(source.trim());
  });
}

/** Whether all ids have a dot, and all available versions a digit. */
function areCertain(rows: readonly Line[], starts: readonly number[]): boolean {
  return rows.every((row) => {
    const [, id = "", , available = ""] = cut(row, starts) ?? [];
    return /\p{L}\S*[.\\]|[.\\]\S*\p{L}/u.test(id) && /\d/.test(available);
  });
}

/** Whether each column, except the last, which has no padding, is as wide as its widest cell. */
function isTight(lines: readonly Line[], starts: readonly number[]): boolean {
  const cells = lines.map((line) => cut(line, starts));
  return starts.slice(0, -1).every((start, column) => {
    const width = (starts[column + 1] ?? 0) - 1 - start;
    const texts = cells.map((row) => row?.[column] ?? "");
    const widest = widestOf(texts.map(lineOf));
    // A wide character does not fit into one column before the mark of a truncated cell.
    return widest === width ||
      (widest === width - 1 && texts.some((text) => text.trimEnd().endsWith("…")));
  });
}

function widestOf(lines: readonly Line[]): number {
  return Math.max(...lines.map(({ width }) => width));
}

/** The words of a line, and the display columns at which they begin. */
export function wordsOf(line: string): Word[] {
  return wordsIn(lineOf(line));
}

function wordsIn({ characters }: Line): Word[] {
  const words: { text: string; at: number }[] = [];
  let before = " ";
  for (const { text, at } of characters) {
    const last = words.at(-1);
    if (text !== " ") {
      if (before === " " || !last) words.push({ text, at });
      else last.text += text;
    }
    before = text;
  }
  return words;
}

/**
 * Cuts a line into cells that begin at `starts` (ascending display columns). Returns `undefined` if a
 * character crosses a start, or if a character other than a blank is directly before it: not a row.
 */
export function cutAt(line: string, starts: readonly number[]): string[] | undefined {
  return cut(lineOf(line), starts);
}

function cut({ characters }: Line, starts: readonly number[]): string[] | undefined {
  const cells = starts.map(() => "");
  let column = 0;
  let before = " ";
  for (const { text, at } of characters) {
    const next = starts[column + 1];
    if (next !== undefined && at >= next) {
      // A character that crosses a start is wide, and so not a blank.
      if (before !== " ") return undefined;
      column++;
    }
    cells[column] += text;
    before = text;
  }
  return cells;
}

/** Created on first use: that takes 35 ms, which other scans and the start of the agent do not need. */
let segmenter: Intl.Segmenter | undefined;

function lineOf(text: string): Line {
  let [next, width] = [0, 0];
  const characters = charactersOf(text).map((character): Word => {
    const at = next;
    next += widthOf(character);
    if (character.trim() !== "") width = next;
    return { text: character, at };
  });
  return { characters, width };
}

/**
 * The width of a character as winget counts it for its padding (`UTF8ColumnWidth` in
 * microsoft/winget-cli): that of its first code point, which is 2 if it is East Asian wide and else 1.
 * In a terminal an emoji is wider, and a zero-width space narrower.
 */
function widthOf(character: string): number {
  const [first = ""] = character;
  return stringWidth(first) === 2 ? 2 : 1;
}

/** Splits a line into grapheme clusters: a letter with its accents, an ideograph, an emoji. */
function charactersOf(line: string): string[] {
  if (/^[\x20-\x7e]*$/.test(line)) return line.split("");
  segmenter ??= new Intl.Segmenter();
  return Array.from(segmenter.segment(line), ({ segment }) => segment);
}
