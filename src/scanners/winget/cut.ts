/** Finds out what winget cut: an id that is not whole names another package, or none. */

import { wingetLines } from "./lines.ts";
import { isBeginningOf, isCut, readTables, type WingetRow } from "./table.ts";
import type { WingetUpgrade } from "./upgrades.ts";

/** Asks `winget list` with these arguments; `null` if it gave no answer. */
export type ListInstalled = (query: readonly string[]) => Promise<string | null>;

/** Each lookup takes a second or more. */
const MOST_LOOKUPS = 20;

/** Rows that are whole, and those that are not and about which nothing could be found out. */
export interface Uncut {
  readonly rows: readonly WingetUpgrade[];
  readonly unknown: readonly WingetUpgrade[];
}

/** Whether a row says too little to be told: a cut name does no harm. */
export function needsLookup(row: WingetRow): boolean {
  return isCut(row.id) || isCut(row.version) || isCut(row.available);
}

/** Looks up every row that was cut: by what is left of its id, or else by its name. */
export async function uncut(rows: readonly WingetUpgrade[], list: ListInstalled): Promise<Uncut> {
  const [whole, unknown]: [WingetUpgrade[], WingetUpgrade[]] = [[], []];
  let lookups = 0;
  for (const row of rows) {
    if (!needsLookup(row)) {
      whole.push(row);
      continue;
    }
    let found: WingetUpgrade | undefined;
    for (const query of queriesFor(row)) {
      if (found || lookups >= MOST_LOOKUPS) break;
      lookups++;
      const answer = await list(query);
      if (answer !== null) found = findWhole(row, answer);
    }
    if (found) whole.push(found);
    else unknown.push(row);
  }
  return { rows: whole, unknown };
}

/** Exact where it can be, and nothing that winget would take for an option. */
function queriesFor(row: WingetRow): string[][] {
  const id = row.id.replace(/…$/, "");
  const queries = [
    { value: id, query: isCut(row.id) ? ["--id", id] : ["--id", id, "--exact"] },
    ...(isCut(row.name) ? [] : [{ value: row.name, query: ["--name", row.name, "--exact"] }]),
  ];
  return queries.filter(({ value }) => /^[^-/\s]/.test(value)).map(({ query }) => query);
}

/** The row as `winget list` has it, if exactly one package there can be the one that was cut. */
function findWhole(row: WingetUpgrade, answer: string): WingetUpgrade | undefined {
  const { lines } = wingetLines(answer);
  const candidates = readTables(lines, "installed").flatMap(({ rows }) => rows ?? [])
    .filter((other) => !isCut(other.id) && canBe(row, other));
  const [found] = candidates;
  if (!found || candidates.some(({ id }) => id !== found.id)) return undefined;
  const version = wholeOf(row.version, candidates.map((candidate) => candidate.version));
  const available = wholeOf(row.available, candidates.map((candidate) => candidate.available));
  if (version === undefined || available === undefined) return undefined;
  return { ...row, id: found.id, version, available };
}

function canBe(row: WingetRow, other: WingetRow): boolean {
  const isSameName = isBeginningOf(row.name, other.name) || isBeginningOf(other.name, row.name);
  const isSameVersion = isBeginningOf(row.version, other.version) ||
    isBeginningOf(other.version, row.version);
  return isBeginningOf(row.id, other.id) && isSameName && isSameVersion;
}

/** The only text that `cell` can be the beginning of. */
function wholeOf(cell: string, texts: readonly string[]): string | undefined {
  if (!isCut(cell)) return cell;
  const whole = new Set(texts.filter((text) => !isCut(text) && isBeginningOf(cell, text)));
  return whole.size === 1 ? [...whole][0] : undefined;
}
