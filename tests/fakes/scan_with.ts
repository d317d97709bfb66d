import { runScan, type ScanReport } from "../../src/scanners/run_scans.ts";
import type { Scanner, ScanOptions } from "../../src/scanners/scanner.ts";
import type { System } from "../../src/system/system.ts";

/**
 * What becomes of a scanner's answer, with the updates as the scanner ordered them. Throws what the
 * scanner throws.
 */
export async function scanWith(
  scanner: Scanner,
  system: System,
  options: ScanOptions = {},
): Promise<ScanReport> {
  const answer = await scanner.scan(system, options);
  const answering = { ...scanner, scan: () => Promise.resolve(answer) };
  return { ...await runScan(system, answering, options), updates: answer.updates };
}
