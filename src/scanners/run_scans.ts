/** Runs scanners in parallel and reports the result of each: one that fails stops no other. */

import type { System } from "../system/system.ts";
import { redact } from "../redact.ts";
import { markIgnored } from "./ignored.ts";
import {
  type ScanAnswer,
  ScanError,
  type ScanErrorReason,
  type Scanner,
  type ScanOptions,
  type ScanSource,
} from "./scanner.ts";
import { compareUpdates, type RebootState, type Update } from "../update.ts";

/**
 * The result of one scan. `ok`: every enabled source answered, its lists are current, and nothing is in
 * doubt. `degraded`: the list can be used, and the warnings say what is missing. `failed`: there is no
 * list, which is not the same as an empty list.
 */
export interface ScanReport {
  /** The scanner's. */
  readonly name: string;
  /** See above; `failed` has an `error`. */
  readonly result: "ok" | "degraded" | "failed";
  /** Whole milliseconds. */
  readonly durationMs: number;
  /** `null` unless `result` is `failed`; the message is redacted. */
  readonly error: { readonly reason: ScanErrorReason; readonly message: string } | null;
  /** The gaps, the problem of each source, and the notes. If `result` is `ok`: only notes. */
  readonly warnings: readonly string[];
  /** Every enabled source, redacted; empty if none is known. */
  readonly sources: readonly ScanSource[];
  /** Age of the oldest lists; `null` if unknown or `result` is `failed`. */
  readonly metadataAgeS: number | null;
  /** See `ScanAnswer`. */
  readonly scope?: string;
  /** See `ScanAnswer`. */
  readonly reboot: RebootState | null;
  /** In the order of `compareUpdates`. */
  readonly updates: readonly Update[];
}

/** Options for all scanners, and values for single scanners by their names. */
export interface RunScansOptions extends Omit<ScanOptions, "lastCount"> {
  /** See `ScanOptions.lastCount`. @default none */
  readonly lastCounts?: ReadonlyMap<string, number>;
}

/** Whether the list is complete: then an update that is not in it is no longer available. */
export function hasCompleteList({ result }: Pick<ScanReport, "result">): boolean {
  return result === "ok";
}

/** The updates of a report without those that the administrator ignores. */
export function counted({ updates }: Pick<ScanReport, "updates">): readonly Update[] {
  return updates.filter(({ state }) => state !== "ignored");
}

/** Runs all `scanners`; returns the reports in their order. */
export function runScans(
  system: System,
  scanners: readonly Scanner[],
  { lastCounts, ...options }: RunScansOptions = {},
): Promise<ScanReport[]> {
  return Promise.all(scanners.map((scanner) => {
    const lastCount = lastCounts?.get(scanner.name);
    return runScan(system, scanner, { ...options, ...(lastCount !== undefined && { lastCount }) });
  }));
}

/** Runs one scanner; throws only if the signal in `options` is aborted. */
export async function runScan(
  system: System,
  scanner: Scanner,
  options: ScanOptions,
): Promise<ScanReport> {
  const startedMs = system.clock.monotonicMs();
  const elapsedMs = () => Math.round(system.clock.monotonicMs() - startedMs);
  const { name } = scanner;
  try {
    const answer = await scanner.scan(system, options);
    return { ...buildReport(name, answer, options.ignore ?? []), durationMs: elapsedMs() };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    // A programming error must not discard the answers of the other scanners.
    const { reason, message, sources } = error instanceof ScanError
      ? error
      : new ScanError(`Cannot scan with ${name}: ${String(error)}`, { reason: "permanent" });
    const report = failedReport(name, { reason, message }, elapsedMs());
    return { ...report, sources: sources.map(redactSource) };
  }
}

/** Decides whether a list is complete, and redacts every text of a package manager. */
function buildReport(
  name: string,
  answer: ScanAnswer,
  ignore: readonly string[],
): Omit<ScanReport, "durationMs"> {
  const { gaps, notes = [], sources = [], scope, reboot = null } = answer;
  const aboutSources = sources.filter(isUnsound).map(describeSource);
  const isComplete = gaps.length === 0 && aboutSources.length === 0;
  return {
    name,
    result: isComplete ? "ok" : "degraded",
    error: null,
    warnings: [...new Set([...gaps, ...aboutSources, ...notes].map(redact))],
    sources: sources.map(redactSource),
    metadataAgeS: answer.metadataAgeS,
    ...(scope !== undefined && { scope: redact(scope) }),
    reboot: reboot && { ...reboot, reason: redact(reboot.reason) },
    updates: markIgnored(name, answer.updates.map(redactUpdate), ignore).toSorted(compareUpdates),
  };
}

/** Whether a source did not answer, or answered with outdated lists. */
export function isUnsound({ result }: ScanSource): boolean {
  return result !== "ok" && result !== "not_asked";
}

/** Describes the problem of such a source, for a warning of the report. */
export function describeSource({ name, result, why }: ScanSource): string {
  return `${name}: ${why ?? result}`;
}

function redactSource(source: ScanSource): ScanSource {
  return {
    ...source,
    name: redact(source.name),
    url: source.url && redact(source.url),
    why: source.why && redact(source.why),
  };
}

function redactUpdate(update: Update): Update {
  return {
    ...update,
    package: redact(update.package),
    currentVersion: update.currentVersion && redact(update.currentVersion),
    availableVersion: update.availableVersion && redact(update.availableVersion),
    advisories: update.advisories.map(redact),
    sourcePackage: update.sourcePackage && redact(update.sourcePackage),
    source: update.source && redact(update.source),
    severityReason: redact(update.severityReason),
    description: update.description && redact(update.description),
    ...(update.stateReason && { stateReason: redact(update.stateReason) }),
  };
}

/** The report of a scan without a list. */
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
    sources: [],
    metadataAgeS: null,
    reboot: null,
    updates: [],
  };
}
