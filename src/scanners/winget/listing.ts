/**
 * The scan: the list of winget and, if that is missing or incomplete, the list of its PowerShell
 * module. Only loaded for a scan: the library for the width of characters takes 20 ms to load, which
 * other scanners and systems need not spend.
 */

import type { System } from "../../system/system.ts";
import {
  attempt,
  cannot,
  type ScanAnswer,
  ScanError,
  type ScanOptions,
  type ScanSource,
} from "../scanner.ts";
import {
  lacksKnownSentence,
  otherSentences,
  parseNothingFound,
  parseWingetSources,
  requireAnswer,
  truncationGaps,
  wingetGaps,
  wingetSources,
  wingetUpdates,
} from "./answer.ts";
import { wingetLines } from "./layout.ts";
import { askWingetModule } from "./module.ts";
import {
  findWinget,
  listInstalled,
  listNoPackage,
  listPins,
  listSources,
  listUpgrades,
  type Winget,
  type WingetAccount,
  wingetAccount,
} from "./program.ts";
import { isTruncated, isTruncationOf, readTables, type WingetRow } from "./table.ts";
import { markPinned, parseWingetUpgrades, type WingetUpgrade } from "./upgrades.ts";

const MODULE_TIMEOUT_MS = 60_000;

/** Each lookup takes a second or more. */
const MAX_LOOKUPS = 20;

/** The part of a scan's answer that depends on the tool. */
interface WingetListing
  extends Required<Pick<ScanAnswer, "updates" | "gaps" | "notes" | "sources">> {
  /** The program that made the list, in words. */
  readonly tool: string;
}

/** Scans with winget. An empty list after a list with updates is doubtful. Throws `ScanError`. */
export async function scanWinget(system: System, options: ScanOptions): Promise<ScanAnswer> {
  const account = wingetAccount(system);
  const { tool, ...listing } = await listUpdates(system, account, options);
  const { lastCount = 0 } = options;
  const doubts = listing.updates.length > 0 || lastCount === 0 ? [] : [
    `winget finds no updates as ${account.description}, but found ${lastCount} in the last scan: ` +
    "the empty list counts once the next scan confirms it",
  ];
  const limit = account.isService
    ? ", which sees only what is installed for the whole machine"
    : "";
  return {
    ...listing,
    gaps: [...listing.gaps, ...doubts],
    metadataAgeS: null,
    scope: `asked through ${tool} as ${account.description}${limit}`,
  };
}

/**
 * The list of winget. If that fails or is incomplete, adds what only the PowerShell module lists; the
 * module is known to miss updates, so that its list makes no other list complete.
 */
async function listUpdates(
  system: System,
  account: WingetAccount,
  options: ScanOptions,
): Promise<WingetListing> {
  const own = await attempt(() => listWithWinget(system, options), options.signal);
  if (!(own instanceof ScanError) && own.gaps.length === 0) return own;
  const bounds = { timeoutMs: MODULE_TIMEOUT_MS, signal: options.signal };
  const answer = await attempt(() => askWingetModule(system, account, bounds), options.signal);
  const rows = answer instanceof ScanError ? [] : answer ?? [];
  if (own instanceof ScanError) {
    own.sources = failedSources(own);
    if (rows.length === 0) throw own;
    return {
      updates: wingetUpdates(rows),
      gaps: ["The list is that of winget's PowerShell module, which is known to miss updates"],
      notes: [],
      sources: own.sources,
      tool: "its PowerShell module",
    };
  }
  const known = new Set(own.updates.map((update) => update.package.toLowerCase()));
  const added = wingetUpdates(rows)
    .filter((update) => !known.has(update.package.toLowerCase()))
    .map((update) => ({ ...update, stateReason: "listed by winget's PowerShell module only" }));
  return { ...own, updates: [...own.updates, ...added] };
}

/** The sources after a failure: the ones that would have been listed have failed. */
function failedSources({ message }: ScanError): ScanSource[] {
  return wingetSources([]).sources.map((source) =>
    source.result === "ok" ? { ...source, result: "failed", why: message } : source
  );
}

/** Lists updates with the best winget of this host. Throws `ScanError`. */
async function listWithWinget(system: System, options: ScanOptions): Promise<WingetListing> {
  const winget = await findWinget(system, options);
  const { stdout, saysNothing, knowsPins } = await listUpgrades(winget);
  const answer = parseWingetUpgrades(stdout);
  const nothingFound = lacksKnownSentence(answer)
    ? await attempt(() => listNoPackage(winget), options.signal)
    : null;
  const sentence = typeof nothingFound === "string" ? parseNothingFound(nothingFound) : null;
  requireAnswer(answer, saysNothing, sentence);
  const { rows, unknown } = await completeRows(answer.rows, async (query) => {
    const found = await attempt(() => listInstalled(winget, query), options.signal);
    return found instanceof ScanError ? null : found;
  });
  if (rows.length === 0 && unknown.length > 0) {
    const fact = `it truncated the ids of all ${unknown.length} updates`;
    throw cannot("list updates with winget", fact, "permanent");
  }
  const pins = knowsPins ? await applyPins(winget, rows, options) : { rows, notes: [] };
  const exported = await attempt(() => listSources(winget), options.signal);
  const known = typeof exported === "string" ? parseWingetSources(exported) : null;
  const why = exported instanceof ScanError ? exported.message : "its answer is not a list";
  const { sources, rest } = wingetSources(otherSentences(answer, sentence), known ?? undefined);
  return {
    updates: wingetUpdates(pins.rows),
    gaps: [
      ...wingetGaps(answer, rest),
      ...truncationGaps(unknown),
      // Updates of an unknown source may be missing from the list.
      ...(known ? [] : [`Which other sources winget has is not known: ${why}`]),
    ],
    notes: pins.notes,
    sources,
    tool: `"${winget.path}"`,
  };
}

/** Marks pinned rows: the list does not show ordinary pins, because it includes pinned packages. */
async function applyPins(
  winget: Winget,
  rows: readonly WingetUpgrade[],
  options: ScanOptions,
): Promise<{ rows: readonly WingetUpgrade[]; notes: readonly string[] }> {
  if (!rows.some(({ state }) => state === "upgradable")) return { rows, notes: [] };
  const pins = await attempt(() => listPins(winget), options.signal);
  return pins instanceof ScanError
    ? { rows, notes: [`Which of the packages are pinned is not known: ${pins.message}`] }
    : { rows: pins === null ? rows : markPinned(rows, pins), notes: [] };
}

/** Whether a row is incomplete: its id or a version is truncated. A truncated name does no harm. */
export function needsLookup(row: WingetRow): boolean {
  return isTruncated(row.id) || isTruncated(row.version) || isTruncated(row.available);
}

/**
 * Completes every truncated row by a lookup with the rest of its id, or else with its name: an id that
 * is not complete is that of another package, or of none. `list` runs `winget list` with the given
 * arguments and returns `null` if that fails. `unknown` are the rows that could not be completed.
 */
export async function completeRows(
  rows: readonly WingetUpgrade[],
  list: (query: readonly string[]) => Promise<string | null>,
): Promise<{ rows: readonly WingetUpgrade[]; unknown: readonly WingetUpgrade[] }> {
  const [complete, unknown]: [WingetUpgrade[], WingetUpgrade[]] = [[], []];
  let lookups = 0;
  for (const row of rows) {
    if (!needsLookup(row)) {
      complete.push(row);
      continue;
    }
    let found: WingetUpgrade | undefined;
    for (const query of queriesFor(row)) {
      if (found || lookups >= MAX_LOOKUPS) break;
      lookups++;
      const answer = await list(query);
      if (answer !== null) found = findComplete(row, answer);
    }
    if (found) complete.push(found);
    else unknown.push(row);
  }
  return { rows: complete, unknown };
}

/** Exact queries where possible, and none with a value that winget would read as an option. */
function queriesFor(row: WingetRow): string[][] {
  const id = row.id.replace(/…$/, "");
  const queries = [
    { value: id, query: isTruncated(row.id) ? ["--id", id] : ["--id", id, "--exact"] },
    ...(isTruncated(row.name) ? [] : [{ value: row.name, query: ["--name", row.name, "--exact"] }]),
  ];
  return queries.filter(({ value }) => /^[^-/\s]/.test(value)).map(({ query }) => query);
}

/** The row as `winget list` prints it, if exactly one package there matches the truncated row. */
function findComplete(row: WingetUpgrade, answer: string): WingetUpgrade | undefined {
  const { lines } = wingetLines(answer);
  const candidates = readTables(lines, "installed").flatMap(({ rows }) => rows ?? [])
    .filter((other) => !isTruncated(other.id) && canBeSame(row, other));
  const [found] = candidates;
  if (!found || candidates.some(({ id }) => id !== found.id)) return undefined;
  const version = completeCell(row.version, candidates.map((candidate) => candidate.version));
  const available = completeCell(row.available, candidates.map((candidate) => candidate.available));
  if (version === undefined || available === undefined) return undefined;
  return { ...row, id: found.id, version, available };
}

function canBeSame(row: WingetRow, other: WingetRow): boolean {
  const isSameName = isTruncationOf(row.name, other.name) || isTruncationOf(other.name, row.name);
  const isSameVersion = isTruncationOf(row.version, other.version) ||
    isTruncationOf(other.version, row.version);
  return isTruncationOf(row.id, other.id) && isSameName && isSameVersion;
}

/** The only text of `texts` that `cell` can be the beginning of. */
function completeCell(cell: string, texts: readonly string[]): string | undefined {
  if (!isTruncated(cell)) return cell;
  const complete = new Set(
    texts.filter((text) => !isTruncated(text) && isTruncationOf(cell, text)),
  );
  return complete.size === 1 ? [...complete][0] : undefined;
}
