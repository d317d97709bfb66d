/** Reads `winget upgrade`, its tables and the sentences in any language, and `winget pin list`. Pure. */

import { quoteWords } from "../../redact.ts";
import type { UpdateState } from "../../update.ts";
import { isDebris, plainText, wingetLines } from "./layout.ts";
import { isTruncationOf, readTables, type WingetRow, type WingetTable } from "./table.ts";

/** A row, and the state that its table stands for. */
export interface WingetUpgrade extends WingetRow {
  readonly state: Extract<UpdateState, "upgradable" | "explicit_only" | "pinned">;
  /** @default the state needs no explanation */
  readonly stateReason?: string;
}

export interface WingetUpgrades {
  readonly rows: readonly WingetUpgrade[];
  /** winget's own count of the upgrades in all tables; `null` if it is missing. */
  readonly announced: number | null;
  /** Packages that are in no table because of a pin. */
  readonly pinned: number;
  /** Packages that are in no table because their installed version is unknown. */
  readonly unknown: number;
  /** Not interpreted: "nothing found" in any language if there is no main table, else warnings. */
  readonly messages: readonly string[];
  /** Whether there is a table of packages that `winget upgrade --all` would upgrade. */
  readonly hasMainTable: boolean;
  /** Tables whose columns could not be determined. */
  readonly unreadable: number;
  /** Unreadable lines among the rows: rows, or pieces of rows. */
  readonly unreadableRows: number;
  /** Lines that were too long, or without an end. */
  readonly dropped: number;
}

/** Longer sentences are truncated: they go to a terminal and to the server. */
const MAX_MESSAGE_LENGTH = 300;

/** The names of options are the same in every language. */
const NAMES_UNKNOWN = /--include-unknown/;
const NAMES_PINS = /--include-pinned|winget pin/;

/** Exactly one number as a word, not a version or a part of a name. */
const COUNTS = /^(?:\D*[^\d\p{L}.,_-])?\d{1,9}(?:[^\d\p{L}.,_-]\D*|[\p{Lo}.]\D*|$)$/u;

/** A line outside the tables. */
interface Sentence {
  readonly text: string;
  /** The position relative to the main table: winget's own count comes after it. */
  readonly place: "before" | "right_below" | "below";
}

/**
 * Reads an answer; never throws. The main table lists what `winget upgrade --all` would upgrade. A
 * table under a sentence lists packages that are upgraded only if they are named or, if the sentence
 * counts something, pinned packages.
 */
export function parseWingetUpgrades(stdout: string): WingetUpgrades {
  const { lines, dropped } = wingetLines(stdout);
  const tables = readTables(lines, "upgrades");
  const used = new Set<number>();
  const rows: WingetUpgrade[] = [];
  let mainEndsAt = Infinity;
  for (const [index, table] of tables.entries()) {
    for (let at = table.startsAt; at < table.endsAt; at++) used.add(at);
    const state = stateOf(lines, table, index === 0);
    if (state !== "upgradable") used.add(table.startsAt - 1);
    else if (mainEndsAt === Infinity) mainEndsAt = table.endsAt;
    rows.push(...(table.rows ?? []).map((row) => ({ ...row, state })));
  }
  let blockEndsAt = mainEndsAt;
  while (!isDebris(lines[blockEndsAt] ?? "")) blockEndsAt++;
  const placeOf = (at: number) =>
    at < mainEndsAt ? "before" : at < blockEndsAt ? "right_below" : "below";
  const sentences = lines.flatMap((line, at): Sentence[] =>
    used.has(at) || isDebris(line)
      ? []
      : [{ text: quoteWords(plainText(line), MAX_MESSAGE_LENGTH), place: placeOf(at) }]
  );
  return {
    rows,
    ...readSentences(sentences),
    hasMainTable: mainEndsAt !== Infinity,
    unreadable: tables.filter((table) => table.rows === undefined).length,
    unreadableRows: tables.reduce((sum, { unreadable }) => sum + unreadable, 0),
    dropped,
  };
}

function stateOf(
  lines: readonly string[],
  table: WingetTable,
  isFirst: boolean,
): WingetUpgrade["state"] {
  const caption = lines[table.startsAt - 1] ?? "";
  const isApart = isDebris(lines[table.startsAt - 2] ?? "nothing");
  // The main table can follow a warning without a blank line; winget's count then directly follows it.
  if (isDebris(caption) || (isFirst && (!isApart || isAnnouncement(lines[table.endsAt] ?? "")))) {
    return "upgradable";
  }
  return firstNumber(caption) === null ? "explicit_only" : "pinned";
}

/** Whether a sentence counts one thing, but not what another option would show. */
function isAnnouncement(line: string): boolean {
  return COUNTS.test(line) && !NAMES_UNKNOWN.test(line) && !NAMES_PINS.test(line);
}

function firstNumber(sentence: string): number | null {
  const [digits] = /\d{1,9}/.exec(sentence) ?? [];
  return digits === undefined ? null : Number(digits);
}

function readSentences(sentences: readonly Sentence[]) {
  const counting = sentences.filter(({ text, place }) =>
    place !== "before" && isAnnouncement(text)
  );
  // Directly below the rows it comes last: lines before it can be the rest of a row.
  const announcement = counting.findLast(({ place }) => place === "right_below") ?? counting[0];
  let [pinned, unknown] = [0, 0];
  const messages: string[] = [];
  for (const sentence of sentences) {
    const { text } = sentence;
    const number = firstNumber(text) ?? 0;
    if (NAMES_PINS.test(text)) pinned += number;
    else if (NAMES_UNKNOWN.test(text)) unknown += number;
    else if (sentence !== announcement) messages.push(text);
  }
  const announced = announcement ? firstNumber(announcement.text) : null;
  return { announced, pinned, unknown, messages };
}

/** The type of a pin that `upgrade --all` honours, in every language; other types hide the package. */
const PINNING = / pinning(?= |$)/;

/**
 * Gives rows with a pin in `winget pin list` the state `pinned`. Neither headings nor positions of
 * columns matter: a pin is a line with the id of a row as a word, and the type of the pin as a later
 * word.
 */
export function markPinned(
  rows: readonly WingetUpgrade[],
  pinList: string,
): readonly WingetUpgrade[] {
  const pins = wingetLines(pinList).lines.map((line) =>
    plainText(line).toLowerCase().split(PINNING).slice(0, -1).flatMap((part) => part.split(/ +/))
  );
  const pinned = new Set(pins.flatMap((words) => idsAmong(words, rows)));
  return rows.map((row) =>
    row.state === "upgradable" && pinned.has(row.id)
      ? { ...row, state: "pinned", stateReason: "winget pin list: Pinning" }
      : row
  );
}

/** The ids of rows among the words of a line; a truncated id counts if only one row matches. */
function idsAmong(words: readonly string[], rows: readonly WingetUpgrade[]): readonly string[] {
  const whole = rows.filter(({ id }) => words.includes(id.toLowerCase())).map(({ id }) => id);
  if (whole.length > 0) return whole;
  // One letter before the mark says too little.
  const long = words.filter((word) => word.length > 2);
  const possible = new Set(
    rows.filter(({ id }) => long.some((word) => isTruncationOf(word, id.toLowerCase())))
      .map(({ id }) => id),
  );
  return possible.size === 1 ? [...possible] : [];
}
