/** Which scanners there are, and which of them this host can use: the one place that looks at its OS. */

import type { System } from "../system/system.ts";
import { aptScanner } from "./apt.ts";
import { dnfScanner } from "./dnf.ts";
import type { Scanner } from "./scanner.ts";
import { wingetScanner } from "./winget.ts";
import { winupdateScanner } from "./winupdate.ts";

const linuxScanners: readonly Scanner[] = [aptScanner(), dnfScanner()];
const windowsScanners: readonly Scanner[] = [winupdateScanner(), wingetScanner()];

/** Every scanner that Pennon has, on whatever system. */
export function knownScanners(): readonly Scanner[] {
  return [...linuxScanners, ...windowsScanners];
}

/** Of the scanners named in `enabled`, those whose package manager is on this host, in its order. */
export async function availableScanners(
  system: System,
  enabled: readonly string[],
): Promise<readonly Scanner[]> {
  const scanners = enabled.flatMap((name) =>
    scannersOf(system).filter((scanner) => scanner.name === name)
  );
  const isThere = await Promise.all(scanners.map((scanner) => scanner.isAvailable(system)));
  return scanners.filter((_, index) => isThere[index]);
}

function scannersOf({ os }: System): readonly Scanner[] {
  switch (os) {
    case "linux":
      return linuxScanners;
    case "windows":
      return windowsScanners;
    case "macos":
      return [];
  }
}
