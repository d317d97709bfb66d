/**
 * A list of winget's own, out of the tables that it prints. Loaded where it is asked for: what tells
 * how wide characters are takes 20 ms to load, which a scan on another system need not wait for.
 */

import type { System } from "../../system/system.ts";
import { type ScanAnswer, ScanError, type ScanOptions, type ScanSource } from "../scanner.ts";
import {
  complaintsIn,
  cutGap,
  gapsIn,
  lacksKnownSentence,
  requireAnswer,
  wingetSources,
  wingetUpdates,
} from "./answer.ts";
import { uncut } from "./cut.ts";
import { markPinned } from "./pins.ts";
import {
  findWinget,
  learnNothingFound,
  listInstalled,
  listPins,
  listSources,
  listUpgrades,
  type Winget,
} from "./program.ts";
import type { WingetSource } from "./sources.ts";
import { parseWingetUpgrades, type WingetUpgrade } from "./upgrades.ts";

const SOURCES_UNKNOWN = "Which other sources winget has is not known";

/** A list, what is missing from it, and what it was had from. */
export interface WingetListing {
  readonly updates: ScanAnswer["updates"];
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
  readonly sources: readonly ScanSource[];
  readonly tool: string;
}

/** Has the best winget of this host list its updates. Throws `ScanError`. */
export async function listWithWinget(
  system: System,
  options: ScanOptions,
): Promise<WingetListing> {
  const winget = await findWinget(system, options);
  const { stdout, saysNothing, knowsPins } = await listUpgrades(winget);
  const answer = parseWingetUpgrades(stdout);
  const learnt = lacksKnownSentence(answer)
    ? await orNull(() => learnNothingFound(winget), options)
    : null;
  requireAnswer(answer, saysNothing, learnt);
  const { rows, unknown } = await uncut(
    answer.rows,
    (query) => orNull(() => listInstalled(winget, query), options),
  );
  if (rows.length === 0 && unknown.length > 0) {
    const fact = `it cut the ids of all ${unknown.length} updates`;
    throw new ScanError(`Cannot list updates with winget: ${fact}`, { reason: "permanent" });
  }
  const pins = knowsPins ? await askForPins(winget, rows, options) : { rows, notes: [] };
  const known = await askForSources(winget, options);
  const { sources, rest } = wingetSources(complaintsIn(answer, learnt), known.sources);
  return {
    updates: wingetUpdates(pins.rows),
    gaps: [...gapsIn(answer, rest), ...cutGap(unknown), ...known.gaps],
    notes: pins.notes,
    sources,
    tool: `"${winget.path}"`,
  };
}

/** Of a source that is not known nobody can say that its updates are in the list. */
async function askForSources(
  winget: Winget,
  { signal }: ScanOptions,
): Promise<{ sources?: readonly WingetSource[]; gaps: readonly string[] }> {
  try {
    const sources = await listSources(winget);
    return sources
      ? { sources, gaps: [] }
      : { gaps: [`${SOURCES_UNKNOWN}: its answer is no list`] };
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return { gaps: [`${SOURCES_UNKNOWN}: ${error.message}`] };
  }
}

/** Ordinary pins do not show in the listing: it is asked as if they did not matter. */
async function askForPins(
  winget: Winget,
  rows: readonly WingetUpgrade[],
  { signal }: ScanOptions,
): Promise<{ rows: readonly WingetUpgrade[]; notes: readonly string[] }> {
  if (!rows.some(({ state }) => state === "upgradable")) return { rows, notes: [] };
  try {
    const pins = await listPins(winget);
    return { rows: pins === null ? rows : markPinned(rows, pins), notes: [] };
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return { rows, notes: [`Which of the packages are pinned is not known: ${error.message}`] };
  }
}

async function orNull<T>(
  ask: () => Promise<T | null>,
  { signal }: ScanOptions,
): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return null;
  }
}
