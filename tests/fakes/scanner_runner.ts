/** A scanner runner with the usual numbers, for tests. */

import { type ScannerBreakers, ScannerRunner } from "../../src/commands/scanner_runner.ts";
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
