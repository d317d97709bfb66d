/**
 * Scans for updates with winget, the package manager of Windows: by the text that winget prints, and by
 * its PowerShell module, if the host has that, where the list of winget fails or is incomplete.
 */

import type { Scanner } from "./scanner.ts";
import { wingetPaths } from "./winget/program.ts";

/** The scanner. It fetches nothing: winget refreshes its own sources when they are old. */
export function wingetScanner(): Scanner {
  return {
    name: "winget",
    isAvailable: async (system) => (await wingetPaths(system)).length > 0,
    scan: async (system, options) =>
      await (await import("./winget/listing.ts")).scanWinget(system, options),
  };
}
