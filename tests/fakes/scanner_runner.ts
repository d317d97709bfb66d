/** A scanner runner with the usual numbers, and what else the handler of a scan works with. */

import { type ScannerBreakers, ScannerRunner } from "../../src/commands/scanner_runner.ts";
import type { ScanUpdatesDeps } from "../../src/commands/scan_updates.ts";
import type { Log } from "../../src/log.ts";
import type { System } from "../../src/system/system.ts";
import { scannerBreaker } from "./breaker_numbers.ts";

/** `kept` holds every state that was saved, newest last. */
export function makeScannerRunner(
  system: System,
  log: Log,
  breakers: ScannerBreakers = new Map(),
  ignore: readonly string[] = [],
) {
  const kept: ScannerBreakers[] = [];
  const save = (saved: ScannerBreakers) => {
    kept.push(saved);
    return Promise.resolve();
  };
  const runner = new ScannerRunner({
    system,
    log,
    settings: scannerBreaker,
    cacheDirectory: "/state/cache",
    ignore,
    changelogs: false,
    save,
  }, breakers);
  return { runner, kept };
}

/** What the handler of a scan works with on a host without scanners; `parts` is what a test has instead. */
export function scanDeps(
  parts: Pick<ScanUpdatesDeps, "system" | "log"> & Partial<ScanUpdatesDeps>,
): ScanUpdatesDeps {
  return {
    stateDirectory: "/state",
    runner: parts.runner ?? makeScannerRunner(parts.system, parts.log).runner,
    findScanners: () => Promise.resolve([]),
    closesAbsent: () => null,
    hasPending: () => false,
    collectSystemInfo: () => Promise.reject(new Error("no test asked for the host's facts")),
    ...parts,
  };
}
