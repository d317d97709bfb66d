/** Reads what `winget upgrade` prints: up to three tables and the sentences around them, in any language. */

import { quoteWords } from "../../redact.ts";
import { isDebris, plainText, wingetLines } from "./lines.ts";
import { readTables, type WingetRow, type WingetTable } from "./table.ts";
import type { UpdateState } from "../../update.ts";

/** A row, and which of the tables it stood in. */
export interface WingetUpgrade extends WingetRow {
  readonly state: Extract<UpdateState, "upgradable" | "explicit_only" | "pinned">;
  /** @default the state needs no explanation */
  readonly stateReason?: string;
}

/** An answer of winget's, as it is. */
export interface WingetUpgrades {
  readonly rows: readonly WingetUpgrade[];
  /** How many upgrades winget says there are, in all tables; `null` where it does not say. */
  readonly announced: number | null;
  /** Packages that a pin keeps out of the tables. */
  readonly pinned: number;
  /** Packages that are in no table because their installed version is not known. */
  readonly unknown: number;
  /**
   * Sentences that were not understood, for no language's are known by heart: "nothing found" where
   * there is no first table, warnings else.
   */
  readonly messages: readonly string[];
  readonly hasMainTable: boolean;
  /** Tables whose columns could not be told. */
  readonly unreadable: number;
  /** Lines among the rows that could not be read: rows, or pieces of some. */
  readonly unreadableRows: number;
  /** Lines too long to be read, or without an end. */
  readonly dropped: number;
}

/** Longer sentences are cut: they go to a terminal and to a server. */
const LONGEST_MESSAGE = 300;

/** Options are called the same in every language. */
const NAMES_UNKNOWN = /--include-unknown/;
const NAMES_PINS = /--include-pinned|winget pin/;

/** One number, which is a word of its own; a version or a part of a name is none. */
const COUNTS = /^(?:\D*[^\d\p{L}.,_-])?\d{1,9}(?:[^\d\p{L}.,_-]\D*|[\p{Lo}.]\D*|$)$/u;

/** A line outside the tables. */
interface Sentence {
  readonly text: string;
  /** Its line comes after the first table, in which case winget's own count may be in it. */
  readonly place: "before" | "right_below" | "below";
}

/**
 * Reads an answer; throws nothing. The first table holds what `winget upgrade` would upgrade. One
 * that stands under a sentence of its own is the second, of packages that must be named to be
 * upgraded, or, where that sentence counts something, the third, of pinned ones.
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
    used.has(at) || isDebris(line) ? [] : [{ text: shorten(line), place: placeOf(at) }]
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
  // The first table may stand right under a warning; then winget's count comes right after it.
  if (isDebris(caption) || (isFirst && (!isApart || isAnnouncement(lines[table.endsAt] ?? "")))) {
    return "upgradable";
  }
  return firstNumber(caption) === null ? "explicit_only" : "pinned";
}

/** A sentence that counts one thing, and not what another option would show. */
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
  // Right below the rows it comes last: what stands between may be what is left of a row.
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

function shorten(line: string): string {
  return quoteWords(plainText(line), LONGEST_MESSAGE);
}
