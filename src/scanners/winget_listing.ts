/**
 * A list of winget's own, out of the tables that it prints. Loaded where it is asked for: what tells
 * how wide characters are takes 20 ms to load, which a scan on another system need not wait for.
 */

import type { System } from "../system/system.ts";
import { type ScanAnswer, ScanError, type ScanOptions } from "./scanner.ts";
import { cutGap, gapsIn, requireAnswer, wingetUpdates } from "./winget_answer.ts";
import { uncut } from "./winget_cut.ts";
import { findWinget, listInstalled, listUpgrades, type Winget } from "./winget_program.ts";
import { parseWingetUpgrades } from "./winget_upgrades.ts";

/** A list, what is missing from it, and what it was had from. */
export interface WingetListing {
  readonly updates: ScanAnswer["updates"];
  readonly warnings: string[];
  readonly tool: string;
}

/** Has the best winget of this host list its updates. Throws `ScanError`. */
export async function listWithWinget(
  system: System,
  options: ScanOptions,
): Promise<WingetListing> {
  const winget = await findWinget(system, options);
  const { stdout, saysNothing } = await listUpgrades(winget);
  const answer = parseWingetUpgrades(stdout);
  requireAnswer(answer, saysNothing);
  const { rows, unknown } = await uncut(answer.rows, (query) => tryList(winget, query, options));
  if (rows.length === 0 && unknown.length > 0) {
    const fact = `it cut the ids of all ${unknown.length} updates`;
    throw new ScanError(`Cannot list updates with winget: ${fact}`, { reason: "permanent" });
  }
  const warnings = [...gapsIn(answer), ...cutGap(unknown)];
  return { updates: wingetUpdates(rows), warnings, tool: `"${winget.path}"` };
}

async function tryList(
  winget: Winget,
  query: readonly string[],
  { signal }: ScanOptions,
): Promise<string | null> {
  try {
    return await listInstalled(winget, query);
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return null;
  }
}
