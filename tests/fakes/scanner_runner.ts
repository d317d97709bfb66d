/** A scanner runner with the usual numbers, for tests. */

import { type ScannerBreakers, ScannerRunner } from "../../src/commands/scanner_runner.ts";
import type { Log } from "../../src/log.ts";
import type { System } from "../../src/system/system.ts";

/** The numbers of docs/resilience.md, "States", column "scanner". */
export const SCANNER_SETTINGS = {
  consecutiveFailures: 3,
  minOpenMs: 15 * 60_000,
  maxOpenMs: 6 * 3_600_000,
  timeoutMs: 600_000,
};

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
    settings: SCANNER_SETTINGS,
    cacheDirectory: "/state/cache",
    ignore,
    changelogs: false,
    save,
  }, breakers);
  return { runner, kept };
}
