/** Scans for updates with Windows Update, or with the WSUS server that a host is told to ask. */

import type { System } from "../system/system.ts";
import { type PowershellOptions, runPowershell, windowsFolder } from "./powershell/powershell.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";
import { parseWinupdate, type WinupdateAnswer } from "./winupdate/answer.ts";
import { WinupdateError } from "./winupdate/failure.ts";
import { winupdateScript } from "./winupdate/script.ts";
import { describeSources } from "./winupdate/sources.ts";
import { describeUpdates, tellGaps, tellLimits } from "./winupdate/updates.ts";

/** The library that answers whoever asks Windows Update; a Windows without it has no such thing. */
const LIBRARY = "System32\\wuapi.dll";

/** For the whole scan, pauses and repetitions among it. Slow servers take many minutes. */
const LIMIT_MS = 30 * 60_000;

/** For what Windows found before, which it has on disk. */
const CACHED_LIMIT_MS = 120_000;

/** Before each repetition: after a start of the host or of the service the first searches may fail. */
const PAUSES_MS = [30_000, 120_000];

/** A repetition that could not take at least this long is not begun. */
const WORTH_MS = 60_000;

/** The scanner. It needs no administrator's rights, and asks the update server in every scan. */
export function winupdateScanner(): Scanner {
  return { name: "winupdate", isAvailable, scan: scanWinupdate };
}

async function isAvailable(system: System): Promise<boolean> {
  const folder = windowsFolder(system);
  if (folder === undefined) return false;
  try {
    const path = `${folder}\\${LIBRARY}`;
    return await system.files.inspect("look for Windows Update", path) !== undefined;
  } catch {
    return false;
  }
}

/** Asks the update server; where it cannot be reached, what Windows found there the last time. */
export async function scanWinupdate(system: System, options: ScanOptions): Promise<ScanAnswer> {
  try {
    return describeAnswer(system, await searchPatiently(system, options));
  } catch (error) {
    const isCutOff = error instanceof WinupdateError && error.reason === "transient";
    if (!isCutOff) throw error;
    const cached = await searchCache(system, options);
    // A Windows that never found anything has an empty list, too.
    if (cached === null || cached.updates.length === 0) throw error;
    const { gaps, ...answer } = describeAnswer(system, cached, error.message);
    const when = cached.lastSearchMs === null
      ? ""
      : `, of ${new Date(cached.lastSearchMs).toISOString()} or later`;
    const stale = `The list is what Windows found the last time${when}`;
    return { ...answer, gaps: [stale, ...gaps] };
  }
}

/** One that never ended is not repeated: in Windows' service it goes on, and the next waits for it. */
async function searchPatiently(system: System, options: ScanOptions): Promise<WinupdateAnswer> {
  const endMs = system.clock.monotonicMs() + LIMIT_MS;
  const leftMs = () => endMs - system.clock.monotonicMs();
  const signal = options.signal ?? new AbortController().signal;
  for (const pauseMs of PAUSES_MS) {
    try {
      return await search(system, { online: true, timeoutMs: leftMs(), signal });
    } catch (error) {
      const isPassing = error instanceof WinupdateError &&
        (error.reason === "transient" || error.reason === "locked");
      if (!isPassing || leftMs() < pauseMs + WORTH_MS) throw error;
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
    return null; // The error that led here says more.
  }
}

async function search(
  system: System,
  { online, ...bounds }: PowershellOptions & { online: boolean },
): Promise<WinupdateAnswer> {
  return parseWinupdate(await runPowershell(system, winupdateScript({ online }), bounds));
}

/** `failure`: why the servers could not be asked; then the answer is what Windows found before. */
function describeAnswer(
  system: System,
  answer: WinupdateAnswer,
  failure: string | null = null,
): ScanAnswer {
  const sinceMs = answer.online ? system.clock.nowMs() : answer.lastSearchMs;
  const metadataAgeS = sinceMs === null
    ? null
    : Math.max(0, Math.round((system.clock.nowMs() - sinceMs) / 1_000));
  return {
    updates: describeUpdates(answer),
    gaps: tellGaps(answer),
    notes: tellLimits(answer),
    sources: describeSources(answer, {
      why: failure ?? (answer.gaps.join("; ") || null),
      metadataAgeS,
    }),
    metadataAgeS,
    reboot: answer.reboot,
  };
}
