/** Scans for updates with winget, Windows' package manager; for now it only says that it cannot. */

import type { System } from "../system/system.ts";
import { type ScanAnswer, ScanError, type Scanner } from "./scanner.ts";

/** The scanner. */
export function wingetScanner(): Scanner {
  return { name: "winget", isAvailable, scan: scanWinget };
}

/** Each user has a winget of their own. */
async function isAvailable(system: System): Promise<boolean> {
  const folder = system.readEnvironment("LOCALAPPDATA");
  if (folder === undefined) return false;
  try {
    const path = `${folder}\\Microsoft\\WindowsApps\\winget.exe`;
    return await system.files.inspect("look for winget", path) !== undefined;
  } catch {
    return false;
  }
}

function scanWinget(): Promise<ScanAnswer> {
  const message = "Cannot scan with winget: this version of Pennon does not read it yet";
  return Promise.reject(new ScanError(message, { reason: "not_available" }));
}
