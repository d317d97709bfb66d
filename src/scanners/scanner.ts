/** The interface of scanners: options, answers, sources and errors. */

import { redact } from "../redact.ts";
import { ReasonedError } from "../system/reasoned_error.ts";
import type { System } from "../system/system.ts";
import type { RebootState, Update } from "../update.ts";

/**
 * Why a scan has no list. `not_available`: the host has no working package manager. `locked`: the
 * package manager is busy with something else, which says nothing about its health. `circuit_open`: its
 * breaker is open after repeated failures, so that it was not asked. It decides whether the failure
 * counts for the breaker.
 */
export type ScanErrorReason =
  | "transient"
  | "permanent"
  | "not_available"
  | "locked"
  | "circuit_open";

/** A scan that failed. The message is redacted, because it can quote the output of a program. */
export class ScanError extends ReasonedError<ScanErrorReason> {
  /** Precedes the message in stack traces. */
  override readonly name = "ScanError";
  /** The enabled sources that the scan knew when it failed. */
  sources: readonly ScanSource[] = [];

  /** Redacts `message`. */
  constructor(message: string, options: { reason: ScanErrorReason; cause?: unknown }) {
    super(redact(message), options);
  }
}

/** The error for an `action` that failed because of a `fact`; `next`: what an operator can do. */
export function cannot(
  action: string,
  fact: string,
  reason: ScanErrorReason,
  { next, cause }: { next?: string | undefined; cause?: unknown } = {},
): ScanError {
  const advice = next === undefined ? "" : `. Next: ${next}`;
  return new ScanError(`Cannot ${action}: ${fact}${advice}`, { reason, cause });
}

/** Returns a `ScanError` of `work` as a value; throws it after an abort, and every other error. */
export async function attempt<T>(
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T | ScanError> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted || !(error instanceof ScanError)) throw error;
    return error;
  }
}

/** One enabled source of a package manager (a repository, an update service) in one scan. */
export interface ScanSource {
  /** Its name in the package manager: the id of a repository, or its address and suite. */
  readonly name: string;
  /** `null` if it has none, or if it is unknown. */
  readonly url: string | null;
  /**
   * How it answered. `ok`: with current lists; `old`: with lists past their own time limit; `missing`:
   * it is enabled and has no lists; `failed`: it was asked and did not answer; `not_asked`: it is left
   * out on purpose (a medium that is not in a drive). Only `ok` and `not_asked` leave the list complete.
   */
  readonly result: "ok" | "old" | "missing" | "failed" | "not_asked";
  /** Completes "NAME: ..." in a warning; `null` if `result` is `ok` or `not_asked`. */
  readonly why: string | null;
  /** Age of its lists; `null` if unknown. */
  readonly metadataAgeS: number | null;
  /** End of the validity that its lists state; `null` if they state none. */
  readonly expiresAtMs: number | null;
  /** Whether it marks security updates; `null` if unknown. */
  readonly marksSecurity: boolean | null;
}

/** The age of the oldest lists, of the asked sources whose age is known; `null`: no age is known. */
export function oldestAgeS(sources: readonly ScanSource[]): number | null {
  const ages = sources.filter(({ result }) => result !== "not_asked")
    .map(({ metadataAgeS }) => metadataAgeS).filter((age) => age !== null);
  return ages.length > 0 ? Math.max(...ages) : null;
}

/** Runs the part of a scan after its sources are known, and adds them to a `ScanError`. */
export async function withSources<T>(
  sources: readonly ScanSource[],
  scan: () => Promise<T>,
): Promise<T> {
  const answer = await attempt(scan);
  if (!(answer instanceof ScanError)) return answer;
  answer.sources = sources;
  throw answer;
}

/** A usable list. `runScan()` decides whether it is complete, and redacts every text in it. */
export interface ScanAnswer {
  /** In any order. */
  readonly updates: readonly Update[];
  /** What is missing from the list or doubtful, one sentence per gap. With a gap it is not complete. */
  readonly gaps: readonly string[];
  /** What else the reader should know, although no update is missing. @default none */
  readonly notes?: readonly string[];
  /** Every enabled source. @default none is known, which is not a gap */
  readonly sources?: readonly ScanSource[];
  /** Age of the oldest lists of the answer; `null` if unknown. */
  readonly metadataAgeS: number | null;
  /** The account that asked and what it can see, if that depends on the account. */
  readonly scope?: string;
  /** Whether the host requires a restart. @default `null`: unknown */
  readonly reboot?: RebootState | null;
}

/** Options of a scan. */
export interface ScanOptions {
  /** Fetch new package lists first. @default false */
  readonly refresh?: boolean;
  /** Number of updates in the last list of this scanner. @default there is no last list */
  readonly lastCount?: number;
  /** The agent's directory for its own copies of lists. @default none: old lists are only reported */
  readonly cacheDirectory?: string;
  /** Patterns of updates that the administrator ignores (`scanners.ignore`). @default none */
  readonly ignore?: readonly string[];
  /** Fetch the changelogs of updates, for their CVEs; cached in `cacheDirectory`. @default false */
  readonly changelogs?: boolean;
  /** Aborted when no caller waits for the result. @default the scan ends by itself */
  readonly signal?: AbortSignal;
}

/** One package manager. */
export interface Scanner {
  /** A short word in lower case, for people, the configuration and files. */
  readonly name: string;
  /** Whether this host has the package manager; fast, and never throws. */
  isAvailable(system: System): Promise<boolean>;
  /** Lists updates. Changes nothing on the host; throws `ScanError`. */
  scan(system: System, options: ScanOptions): Promise<ScanAnswer>;
}
