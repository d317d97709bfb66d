/** Finds the columns of a table of winget's by their places, whatever language its heading is in. */

import stringWidth from "string-width";

/**
 * The headings in the languages that winget speaks, in its own order: name, id, installed version,
 * available version, source. From its resources (`Localization/Resources` in microsoft/winget-cli).
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

/** What the columns hold, in winget's order. */
const FIELDS = ["name", "id", "version", "available", "source"] as const;

/** Where the columns of a table begin, in display columns from the left, and what they hold. */
export interface Columns {
  readonly starts: readonly number[];
  readonly fields: readonly (typeof FIELDS)[number][];
}

/** Which of the columns there may be: winget leaves those out that would be empty. */
const LAYOUTS: readonly Columns["fields"][] = [
  FIELDS,
  ["name", "id", "version", "available"],
  ["name", "id", "version", "source"],
  ["name", "id", "version"],
];

/** Microsoft's sources, which there are on every host: the fifth column says one of these. */
const SOURCES = ["winget", "msstore"];

/** A heading in a strange language is believed only within bounds that keep reading it cheap. */
const MOST_WORDS = 10;
const MOST_ROWS = 2_000;

/** A heading in a strange language above a row that does not fit is tried within these bounds. */
const MOST_DOUBTFUL_ROWS = 60;
const MOST_ODD_LINES = 3;

/** Sentences that may follow a table without a blank line between. */
const MOST_SENTENCES = 4;

/** A word or a character, and the display column at which it begins. */
export interface Word {
  readonly text: string;
  readonly at: number;
}

/** A line whose characters are known: it is cut at many places. */
interface Line {
  readonly characters: readonly Word[];
  /** Without the blanks at its end. */
  readonly width: number;
}

/** What stands above the rows. */
interface Top {
  readonly heading: Line;
  /** Those of the heading. */
  readonly words: readonly Word[];
  /** That of the rule below the heading. */
  readonly width: number;
}

/**
 * The columns under a heading; `undefined` if they are in doubt.
 *
 * A heading that is known is taken by its words. For any other, a word begins a column only if
 * every row has a blank before it, and the columns and the `rule` below the heading must be exactly
 * as wide as what is in them, as winget makes them: chatter above a line of dashes is no heading,
 * nor is a row above one.
 */
export function findColumns(
  heading: string,
  rule: string,
  below: readonly string[],
): Columns | undefined {
  const line = lineOf(heading);
  const words = wordsIn(line);
  const known = knownColumns(words);
  const isHopeless = below.length > MOST_ROWS || words.length > MOST_WORDS || /\d/.test(heading);
  if (known || isHopeless) return known;
  const top: Top = { heading: line, words, width: rule.length };
  const rows = below.map(lineOf);
  return columnsByRows(top, rows) ?? columnsByOthers(top, rows);
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
 * The columns by all rows but one, which does not fit: its installer registered a name with blanks or
 * line ends, so that it may take several lines. It may have been the widest, too; so that the others
 * must be more than one, and have ids and versions that look like some.
 */
function columnsByOthers(top: Top, below: readonly Line[]): Columns | undefined {
  if (below.length > MOST_DOUBTFUL_ROWS) return undefined;
  for (let odd = 1; odd <= MOST_ODD_LINES; odd++) {
    for (const at of below.keys()) {
      const others = below.toSpliced(at, odd);
      if (others.length < 2) return undefined;
      const columns = columnsByRows(top, others, { oneIsMissing: true });
      if (columns) return columns;
    }
  }
  return undefined;
}

function columnsByRows(
  { heading, words, width }: Top,
  below: readonly Line[],
  { oneIsMissing = false } = {},
): Columns | undefined {
  const fewest = Math.max(1, below.length - MOST_SENTENCES);
  for (let count = below.length; count >= fewest; count--) {
    const rows = below.slice(0, count);
    const starts = commonStarts(words, rows);
    const lines = [heading, ...rows];
    const isTable = (starts.length === 4 || starts.length === 5) && areUpgrades(rows, starts);
    const widest = isTable ? widestOf(lines) : 0;
    const fits = oneIsMissing
      ? rows.length > 1 && widest <= width && areCertain(rows, starts)
      : widest === width && isTight(lines, starts);
    if (isTable && fits) return { starts, fields: FIELDS.slice(0, starts.length) };
  }
  return undefined;
}

/** The second word of a heading has text before it in some row, or nothing below it in all. */
function commonStarts(words: readonly Word[], rows: readonly Line[]): number[] {
  const separate = words.map(({ at }) => at)
    .filter((at, index) => index === 0 || rows.every((row) => cut(row, [0, at]) !== undefined));
  const cells = rows.map((row) => cut(row, separate) ?? []);
  return separate.filter((_, column) => cells.some((row) => (row[column] ?? "").trim() !== ""));
}

/**
 * A sentence below a table reaches into no second column, or across where one begins. Where a
 * version of two words stands below a heading of two, the last column holds no source.
 */
function areUpgrades(rows: readonly Line[], starts: readonly number[]): boolean {
  return rows.every((row) => {
    const [, id = "", , available = "", source = "winget"] = cut(row, starts) ?? [];
    const isVersion = available.trim() !== "" && !SOURCES.includes(available.trim());
    return /^\S+$/.test(id.trim()) && isVersion && SOURCES.includes(source.trim());
  });
}

/** Whether all ids have a dot, and all versions that are available a digit. */
function areCertain(rows: readonly Line[], starts: readonly number[]): boolean {
  return rows.every((row) => {
    const [, id = "", , available = ""] = cut(row, starts) ?? [];
    return /\p{L}\S*[.\\]|[.\\]\S*\p{L}/u.test(id) && /\d/.test(available);
  });
}

/** Whether each column but the last, which is not padded, is as wide as its widest cell. */
function isTight(lines: readonly Line[], starts: readonly number[]): boolean {
  const cells = lines.map((line) => cut(line, starts));
  return starts.slice(0, -1).every((start, column) => {
    const width = (starts[column + 1] ?? 0) - 1 - start;
    const texts = cells.map((row) => row?.[column] ?? "");
    const widest = widestOf(texts.map(lineOf));
    // Half of a wide character does not fit before the mark of a cell that was cut.
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
 * Cuts a line into cells that begin at `starts` (display columns, growing); `undefined` if a
 * character stands across a start, or one that is no blank right before it: that is no row.
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
      // What stands across a start is wide, and so no blank either.
      if (before !== " ") return undefined;
      column++;
    }
    cells[column] += text;
    before = text;
  }
  return cells;
}

/** Made when a line needs it: that takes 35 ms, which no other scan and no start has to wait for. */
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
 * The width of a character as winget counts it (`UTF8ColumnWidth` in microsoft/winget-cli): that of
 * its first code point, which is 2 for East Asian wide ones and 1 for all else. To a terminal an emoji
 * is wider, and a zero-width space narrower; winget pads its cells by this.
 */
function widthOf(character: string): number {
  const [first = ""] = character;
  return stringWidth(first) === 2 ? 2 : 1;
}

/** What a terminal shows as one character: a letter with its accents, an ideograph, an emoji. */
function charactersOf(line: string): string[] {
  if (/^[\x20-\x7e]*$/.test(line)) return line.split("");
  segmenter ??= new Intl.Segmenter();
  return Array.from(segmenter.segment(line), ({ segment }) => segment);
}
