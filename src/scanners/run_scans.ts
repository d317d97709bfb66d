/** Runs scanners side by side and tells of each how it went: one that fails stops no other. */

import type { System } from "../system/system.ts";
import {
  ScanError,
  type ScanErrorReason,
  type Scanner,
  type ScanOptions,
  type Update,
} from "./scanner.ts";

/**
 * What came of one scan. `ok`: the list is whole. `degraded`: it can be used, and the warnings say
 * what is missing. `failed`: there is no list, which is not an empty one.
 */
export interface ScanReport {
  readonly name: string;
  readonly result: "ok" | "degraded" | "failed";
  readonly durationMs: number;
  readonly error: { readonly reason: ScanErrorReason; readonly message: string } | null;
  readonly warnings: readonly string[];
  readonly metadataAgeS: number | null;
  /** See `ScanAnswer`. */
  readonly isWhole?: boolean;
  /** See `ScanAnswer`. */
  readonly scope?: string;
  readonly updates: readonly Update[];
}

/** How all scanners are asked; what holds for one of them only, by its name. */
export interface RunOptions extends Omit<ScanOptions, "lastCount"> {
  /** See `ScanOptions.lastCount`. @default none is known */
  readonly lastCounts?: ReadonlyMap<string, number>;
}

/** Asks every scanner given; the reports come in the scanners' order. */
export function runScans(
  system: System,
  scanners: readonly Scanner[],
  { lastCounts, ...options }: RunOptions = {},
): Promise<ScanReport[]> {
  return Promise.all(scanners.map((scanner) => {
    const lastCount = lastCounts?.get(scanner.name);
    return runScan(system, scanner, { ...options, ...(lastCount !== undefined && { lastCount }) });
  }));
}

/** Asks one scanner; throws only if the signal in `options` was given meanwhile. */
export async function runScan(
  system: System,
  scanner: Scanner,
  options: ScanOptions,
): Promise<ScanReport> {
  const startedMs = system.clock.monotonicMs();
  const took = () => Math.round(system.clock.monotonicMs() - startedMs);
  const { name } = scanner;
  try {
    const answer = await scanner.scan(system, options);
    const result = answer.warnings.length === 0 ? "ok" : "degraded";
    return { name, result, durationMs: took(), error: null, ...answer };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    // Anything else is a mistake of ours; it must not take the other scanners' answers with it.
    const failure = error instanceof ScanError
      ? { reason: error.reason, message: error.message }
      : { reason: "permanent" as const, message: `Cannot scan with ${name}: ${String(error)}` };
    return failedReport(name, failure, took());
  }
}

/** The report of a scan that has no list. */
export function failedReport(
  name: string,
  error: NonNullable<ScanReport["error"]>,
  durationMs: number,
): ScanReport {
  return {
    name,
    result: "failed",
    durationMs: Math.round(durationMs),
    error,
    warnings: [],
    metadataAgeS: null,
    updates: [],
  };
}
