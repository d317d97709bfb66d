/**
 * Scans for updates with winget, Windows' package manager: through PowerShell's module if the host
 * has that, else by the text that winget prints.
 */

import type { System } from "../system/system.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";
import { wingetUpdates } from "./winget_answer.ts";
import type { WingetListing } from "./winget_listing.ts";
import { askWingetModule } from "./winget_module.ts";
import { type WingetAccount, wingetAccount, wingetPlaces } from "./winget_places.ts";

/** What the module does not tell in this time winget tells sooner. */
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
  const fromModule = await tryModule(system, account, options);
  const { updates, warnings, tool } = fromModule ?? await askProgram(system, options);
  const { lastCount = 0 } = options;
  if (updates.length === 0 && lastCount > 0) {
    warnings.push(
      `winget finds no updates as ${account.description}, where it found ${lastCount} the last ` +
        "time: that is believed when the next scan finds none either",
    );
  }
  return { updates, gaps: warnings, metadataAgeS: null, scope: describeScope(account, tool) };
}

/**
 * The module's list; `null` where there is no module, where it fails, and where it finds nothing:
 * it is known to miss updates, so that an empty list is only believed of winget itself.
 */
async function tryModule(
  system: System,
  account: WingetAccount,
  { signal }: ScanOptions,
): Promise<WingetListing | null> {
  try {
    const options = { timeoutMs: MODULE_TIMEOUT_MS, ...(signal && { signal }) };
    const rows = await askWingetModule(system, account, options);
    if (rows === null || rows.length === 0) return null;
    return { updates: wingetUpdates(rows), warnings: [], tool: "its PowerShell module" };
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return null;
  }
}

async function askProgram(system: System, options: ScanOptions): Promise<WingetListing> {
  const { listWithWinget } = await import("./winget_listing.ts");
  return await listWithWinget(system, options);
}

/** Whoever reads the list must know what it cannot hold; a user sees the whole machine's and his own. */
function describeScope({ description, isService }: WingetAccount, tool: string): string {
  const limit = isService ? ", who sees only what was installed for the whole machine" : "";
  return `asked through ${tool} as ${description}${limit}`;
}
