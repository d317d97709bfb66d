/** Reads what `winget upgrade` prints: up to three tables and the sentences around them, in any language. */

import type { UpdateState } from "./scanner.ts";
import { isDebris, plainText, wingetLines } from "./winget_lines.ts";
import { readTables, type WingetRow, type WingetTable } from "./winget_table.ts";

/** A row, and which of the tables it stood in. */
export interface WingetUpgrade extends WingetRow {
  readonly state: Extract<UpdateState, "upgradable" | "explicit_only" | "pinned">;
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
  /** Lines too long to be read, or without an end. */
  readonly dropped: number;
}

/** Told shortened: they go to a terminal and to a server. */
const LONGEST_MESSAGE = 300;

/** Options are called the same in every language. */
const NAMES_UNKNOWN = /--include-unknown/;
const NAMES_PINS = /--include-pinned|winget pin/;

/** A line outside the tables. */
interface Sentence {
  readonly text: string;
  /** Whether it comes after the first table, if there is one. */
  readonly isAfter: boolean;
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
  const sentences = lines.flatMap((line, at): Sentence[] =>
    used.has(at) || isDebris(line) ? [] : [{ text: shorten(line), isAfter: at >= mainEndsAt }]
  );
  return {
    rows,
    ...readSentences(sentences),
    hasMainTable: mainEndsAt !== Infinity,
    unreadable: tables.filter((table) => table.rows === undefined).length,
    dropped,
  };
}

function stateOf(
  lines: readonly string[],
  table: WingetTable,
  isFirst: boolean,
): WingetUpgrade["state"] {
  const caption = lines[table.startsAt - 1] ?? "";
  const above = lines[table.startsAt - 2];
  const isApart = above !== undefined && isDebris(above);
  // The first table may stand right under a warning; then winget's count comes right after it.
  if (isDebris(caption) || (isFirst && (!isApart || isAnnouncement(lines[table.endsAt] ?? "")))) {
    return "upgradable";
  }
  return firstNumber(caption) === null ? "explicit_only" : "pinned";
}

/** A sentence that counts something, and not what another option would show. */
function isAnnouncement(line: string): boolean {
  return firstNumber(line) !== null && !NAMES_UNKNOWN.test(line) && !NAMES_PINS.test(line);
}

function firstNumber(sentence: string): number | null {
  const [digits] = /\d{1,9}/.exec(sentence) ?? [];
  return digits === undefined ? null : Number(digits);
}

function readSentences(sentences: readonly Sentence[]) {
  let announced: number | null = null;
  let [pinned, unknown] = [0, 0];
  const messages: string[] = [];
  for (const { text, isAfter } of sentences) {
    const number = firstNumber(text) ?? 0;
    if (NAMES_PINS.test(text)) pinned += number;
    else if (NAMES_UNKNOWN.test(text)) unknown += number;
    else if (isAfter && announced === null && isAnnouncement(text)) announced = number;
    else messages.push(text);
  }
  return { announced, pinned, unknown, messages };
}

function shorten(line: string): string {
  return plainText(line).slice(0, LONGEST_MESSAGE).toWellFormed();
}
