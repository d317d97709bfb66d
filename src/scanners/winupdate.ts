/** Scans for updates with Windows Update, or with the WSUS server of the host. */

import type { System } from "../system/system.ts";
import { windowsDirectory } from "../windows_directory.ts";
import { type PowershellOptions, runPowershell } from "./powershell/powershell.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";
import { WinupdateError } from "./winupdate/failure.ts";
import { parseWinupdate, type WinupdateAnswer, winupdateScript } from "./winupdate/search.ts";
import { describeSources } from "./winupdate/sources.ts";
import { describeGaps, describeNotes, describeUpdates } from "./winupdate/updates.ts";

/** The library of the Windows Update Agent; Windows editions without the agent lack it. */
const LIBRARY = "System32\\wuapi.dll";

/** Time limit of a search, including pauses and retries. Slow servers take many minutes. */
const SEARCH_LIMIT_MS = 30 * 60_000;

/** Time limit for the result of the last search, which Windows has on disk. */
const CACHED_LIMIT_MS = 120_000;

/** Before each retry: the first searches after a start of the host or of the service can fail. */
const PAUSES_MS = [30_000, 120_000];

/** No retry starts with less time left. */
const MIN_RETRY_MS = 60_000;

/** The scanner. It needs no administrator rights, and asks the update server in every scan. */
export function winupdateScanner(): Scanner {
  return { name: "winupdate", isAvailable, scan: scanWinupdate };
}

async function isAvailable(system: System): Promise<boolean> {
  const directory = windowsDirectory(system);
  if (directory === undefined) return false;
  try {
    const path = `${directory}\\${LIBRARY}`;
    return await system.files.inspect("look for Windows Update", path) !== undefined;
  } catch {
    return false;
  }
}

/** Asks the update server; if it cannot be reached, returns the result of the last search. */
export async function scanWinupdate(system: System, options: ScanOptions): Promise<ScanAnswer> {
  try {
    return describeAnswer(system, await searchWithRetries(system, options));
  } catch (error) {
    const isUnreachable = error instanceof WinupdateError && error.reason === "transient";
    if (!isUnreachable) throw error;
    const cached = await searchCache(system, options);
    // The list is also empty if Windows never completed a search.
    if (cached === null || cached.updates.length === 0) throw error;
    const { gaps, ...answer } = describeAnswer(system, cached, error.message);
    const when = cached.lastSearchMs === null
      ? ""
      : `, of ${new Date(cached.lastSearchMs).toISOString()} or later`;
    const stale = `The list is the result of Windows' last search${when}`;
    return { ...answer, gaps: [stale, ...gaps] };
  }
}

/**
 * Retries a search that the agent refused or aborted. A search that timed out is not retried: it
 * continues in Windows' service, and the next one would wait for it.
 */
async function searchWithRetries(system: System, options: ScanOptions): Promise<WinupdateAnswer> {
  const endMs = system.clock.monotonicMs() + SEARCH_LIMIT_MS;
  const leftMs = () => endMs - system.clock.monotonicMs();
  const signal = options.signal ?? new AbortController().signal;
  for (const pauseMs of PAUSES_MS) {
    try {
      return await search(system, { online: true, timeoutMs: leftMs(), signal });
    } catch (error) {
      const canRetry = error instanceof WinupdateError &&
        (error.reason === "transient" || error.reason === "locked");
      if (!canRetry || leftMs() < pauseMs + MIN_RETRY_MS) throw error;
    }
    await system.clock.sleep(pauseMs, signal);
  }
  return await search(system, { online: true, timeoutMs: leftMs(), signal });
}

async function searchCache(
  system: System,
  { signal }: ScanOptions,
): Promise<WinupdateAnswer | null> {
  try {
    return await search(system, { online: false, timeoutMs: CACHED_LIMIT_MS, signal });
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    return null; // The error of the online search says more.
  }
}

async function search(
  system: System,
  { online, ...bounds }: PowershellOptions & { online: boolean },
): Promise<WinupdateAnswer> {
  return parseWinupdate(await runPowershell(system, winupdateScript({ online }), bounds));
}

/** `failure`: why the servers could not be asked; then `answer` is the result of the last search. */
function describeAnswer(
  system: System,
  answer: WinupdateAnswer,
  failure: string | null = null,
): ScanAnswer {
  const searchedMs = answer.online ? system.clock.nowMs() : answer.lastSearchMs;
  const metadataAgeS = searchedMs === null
    ? null
    : Math.max(0, Math.round((system.clock.nowMs() - searchedMs) / 1_000));
  return {
    updates: describeUpdates(answer),
    gaps: describeGaps(answer),
    notes: describeNotes(answer),
    sources: describeSources(answer, {
      why: failure ?? (answer.gaps.join("; ") || null),
      metadataAgeS,
    }),
    metadataAgeS,
    reboot: answer.reboot,
  };
}
