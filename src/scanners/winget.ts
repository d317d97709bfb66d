/**
 * Scans for updates with winget, Windows' package manager: by the text that winget prints, and through
 * PowerShell's module, if the host has that, where winget has no whole list.
 */

import type { System } from "../system/system.ts";
import {
  type ScanAnswer,
  ScanError,
  type Scanner,
  type ScanOptions,
  type ScanSource,
} from "./scanner.ts";
import { wingetSources, wingetUpdates } from "./winget/answer.ts";
import type { WingetListing } from "./winget/listing.ts";
import { askWingetModule } from "./winget/module.ts";
import { type WingetAccount, wingetAccount, wingetPlaces } from "./winget/places.ts";
import type { WingetUpgrade } from "./winget/upgrades.ts";

/** For the module, which is asked only where winget has no whole list. */
const MODULE_TIMEOUT_MS = 60_000;

/** The scanner. It fetches nothing: winget refreshes its own sources when they are old. */
export function wingetScanner(): Scanner {
  return { name: "winget", isAvailable, scan: scanWinget };
}

async function isAvailable(system: System): Promise<boolean> {
  return (await wingetPlaces(system)).length > 0;
}

async function scanWinget(system: System, options: ScanOptions): Promise<ScanAnswer> {
  const account = wingetAccount(system);
  const { updates, gaps, notes, sources, tool } = await listUpdates(system, account, options);
  const { lastCount = 0 } = options;
  const doubts = updates.length > 0 || lastCount === 0 ? [] : [
    `winget finds no updates as ${account.description}, where it found ${lastCount} the last ` +
    "time: that is believed when the next scan finds none either",
  ];
  return {
    updates,
    gaps: [...gaps, ...doubts],
    notes,
    sources,
    metadataAgeS: null,
    scope: describeScope(account, tool),
  };
}

/**
 * winget's own list. Where there is none, or something is missing from it, what the PowerShell module
 * lists besides; it is known to miss updates, so that its list makes no other one whole.
 */
async function listUpdates(
  system: System,
  account: WingetAccount,
  options: ScanOptions,
): Promise<WingetListing> {
  let own: WingetListing | ScanError;
  try {
    const { listWithWinget } = await import("./winget/listing.ts");
    own = await listWithWinget(system, options);
    if (own.gaps.length === 0) return own;
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof ScanError)) throw error;
    own = error;
  }
  const rows = await tryModule(system, account, options);
  if (own instanceof ScanError) {
    if (rows !== null && rows.length > 0) return ofModuleAlone(wingetUpdates(rows), own);
    own.sources = failedSources(own);
    throw own;
  }
  const known = new Set(own.updates.map((update) => update.package.toLowerCase()));
  const besides = wingetUpdates(rows ?? [])
    .filter((update) => !known.has(update.package.toLowerCase()))
    .map((update) => ({ ...update, stateReason: "listed by winget's PowerShell module only" }));
  return { ...own, updates: [...own.updates, ...besides] };
}

function ofModuleAlone(updates: WingetListing["updates"], failure: ScanError): WingetListing {
  return {
    updates,
    gaps: ["The list is that of winget's PowerShell module, which is known to miss updates"],
    notes: [],
    sources: failedSources(failure),
    tool: "its PowerShell module",
  };
}

/** The sources of which a failure left no list. */
function failedSources({ message }: ScanError): ScanSource[] {
  return wingetSources([]).sources.map((source) =>
    source.result === "ok" ? { ...source, result: "failed", why: message } : source
  );
}

/** The module's list; `null` where there is no module, and where it fails. */
async function tryModule(
  system: System,
  account: WingetAccount,
  { signal }: ScanOptions,
): Promise<WingetUpgrade[] | null> {
  try {
    return await askWingetModule(system, account, { timeoutMs: MODULE_TIMEOUT_MS, signal });
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return null;
  }
}

/** Whoever reads the list must know what it cannot hold; a user sees the whole machine's and his own. */
function describeScope({ description, isService }: WingetAccount, tool: string): string {
  const limit = isService ? ", who sees only what was installed for the whole machine" : "";
  return `asked through ${tool} as ${description}${limit}`;
}
