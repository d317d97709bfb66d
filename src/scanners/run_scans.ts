/** Runs scanners side by side and tells of each how it went: one that fails stops no other. */

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
 * What came of one scan. `ok`: every enabled source answered, its lists are in date, and nothing is in
 * doubt. `degraded`: the list can be used, and the warnings say what is missing. `failed`: there is no
 * list, which is not an empty one.
 */
export interface ScanReport {
  readonly name: string;
  readonly result: "ok" | "degraded" | "failed";
  readonly durationMs: number;
  readonly error: { readonly reason: ScanErrorReason; readonly message: string } | null;
  /** The gaps, what is wrong with each source, and the notes. Where `result` is `ok`: notes alone. */
  readonly warnings: readonly string[];
  readonly sources: readonly ScanSource[];
  readonly metadataAgeS: number | null;
  /** See `ScanAnswer`. */
  readonly scope?: string;
  /** See `ScanAnswer`. */
  readonly reboot: RebootState | null;
  /** In the order of `compareUpdates`. */
  readonly updates: readonly Update[];
}

/** How all scanners are asked; what holds for one of them only, by its name. */
export interface RunOptions extends Omit<ScanOptions, "lastCount"> {
  /** See `ScanOptions.lastCount`. @default none is known */
  readonly lastCounts?: ReadonlyMap<string, number>;
}

/** Whether every update that waits is in the list: then what is not in it waits no more. */
export function isWhole({ result }: Pick<ScanReport, "result">): boolean {
  return result === "ok";
}

/** Updates of a report that count: all but those that the administrator ignores. */
export function counted({ updates }: Pick<ScanReport, "updates">): readonly Update[] {
  return updates.filter(({ state }) => state !== "ignored");
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
    return { ...reportOf(scanner.name, answer, options.ignore ?? []), durationMs: took() };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (error instanceof ScanError) {
      const { reason, message, sources } = error;
      return {
        ...failedReport(name, { reason, message }, took()),
        sources: sources.map(redactSource),
      };
    }
    // A mistake of ours; it must not take the other scanners' answers with it.
    const message = redact(`Cannot scan with ${name}: ${String(error)}`);
    return failedReport(name, { reason: "permanent", message }, took());
  }
}

/**
 * The one place that decides whether a list is whole, and through which every text of a package manager
 * passes on its way out.
 */
function reportOf(
  name: string,
  answer: ScanAnswer,
  ignore: readonly string[],
): Omit<ScanReport, "durationMs"> {
  const { gaps, notes = [], sources = [], scope, reboot = null } = answer;
  const aboutSources = sources.filter(isUnsound).map(describeSource);
  const isWhole = gaps.length === 0 && aboutSources.length === 0;
  return {
    name,
    result: isWhole ? "ok" : "degraded",
    error: null,
    warnings: [...new Set([...gaps, ...aboutSources, ...notes].map(redact))],
    sources: sources.map(redactSource),
    metadataAgeS: answer.metadataAgeS,
    ...(scope !== undefined && { scope: redact(scope) }),
    reboot: reboot && { ...reboot, reason: redact(reboot.reason) },
    updates: markIgnored(name, answer.updates.map(redactUpdate), ignore).toSorted(compareUpdates),
  };
}

/** Whether a source did not answer, or answered with lists that are past their limit. */
export function isUnsound({ result }: ScanSource): boolean {
  return result !== "ok" && result !== "not_asked";
}

/** What is wrong with such a source, as one of the report's warnings says it. */
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
    sources: [],
    metadataAgeS: null,
    reboot: null,
    updates: [],
  };
}
