/** Scans for updates with apt, on Debian, Ubuntu and their derivatives. */

import type { System } from "../system/system.ts";
import { APT_GET, type AptOptions, DPKG_QUERY } from "./apt/commands.ts";
import { chooseLists } from "./apt/list_choice.ts";
import { readWithRetry } from "./apt/reading.ts";
import { readRebootState } from "./apt/reboot.ts";
import {
  oldestAgeS,
  type ScanAnswer,
  type Scanner,
  type ScanOptions,
  withSources,
} from "./scanner.ts";

/**
 * Creates the scanner. It needs no rights and acquires no lock. Only with `refresh` and as root does it
 * fetch the host's package lists, as `apt-get update` does.
 */
export function aptScanner(options: AptOptions = {}): Scanner {
  return {
    name: "apt",
    isAvailable,
    scan: (system, scanOptions) => scanApt(system, scanOptions, options),
  };
}

/** Checks for dpkg too: some systems have an `apt-get` for another package manager. */
async function isAvailable({ files }: System): Promise<boolean> {
  try {
    const programs = [APT_GET, DPKG_QUERY];
    const facts = await Promise.all(programs.map((path) => files.inspect("look for apt", path)));
    return facts.every((fact) => fact !== undefined);
  } catch {
    return false;
  }
}

async function scanApt(
  system: System,
  scanOptions: ScanOptions,
  options: AptOptions,
): Promise<ScanAnswer> {
  const lists = await chooseLists(system, scanOptions, options);
  const isFetching = scanOptions.changelogs === true;
  const reading = await withSources(
    lists.sources,
    () => readWithRetry(system, { lists, options, isFetching }),
  );
  return {
    updates: reading.updates,
    gaps: [...lists.gaps, ...reading.gaps],
    notes: [...lists.notes, ...reading.notes],
    sources: lists.sources,
    metadataAgeS: oldestAgeS(lists.sources),
    reboot: await readRebootState(system, options.hostDirectory),
  };
}
