/** Scans for updates with Windows Update; for now it only says that it cannot. */

import type { System } from "../system/system.ts";
import { type ScanAnswer, ScanError, type Scanner } from "./scanner.ts";

/** The library that answers whoever asks Windows Update; a Windows without it has no such thing. */
const LIBRARY = "C:\\Windows\\System32\\wuapi.dll";

/** The scanner. */
export function winupdateScanner(): Scanner {
  return { name: "winupdate", isAvailable, scan: scanWinupdate };
}

async function isAvailable({ files }: System): Promise<boolean> {
  try {
    return await files.inspect("look for Windows Update", LIBRARY) !== undefined;
  } catch {
    return false;
  }
}

function scanWinupdate(): Promise<ScanAnswer> {
  const message = "Cannot scan Windows Update: this version of Pennon does not read it yet";
  return Promise.reject(new ScanError(message, { reason: "not_available" }));
}
