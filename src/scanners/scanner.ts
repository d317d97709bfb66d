/** What a scanner is and what it answers; the scanners themselves are beside this file. */

import { redact } from "../redact.ts";
import type { CommandError } from "../system/process.ts";
import type { System } from "../system/system.ts";
import type { RebootState, Update } from "../update.ts";

/** Why a scan has no list: for now, for good, or because there is nothing to ask or nobody asked. */
export type ScanErrorReason =
  | "transient"
  | "permanent"
  | "not_available"
  | "locked"
  | "withheld";

/**
 * A scan that failed. `locked`: the package manager is busy with something else, which says nothing
 * about its health. `withheld`: it was not asked, because it kept failing. The message is redacted: it
 * may quote a program.
 */
export class ScanError extends Error {
  override readonly name = "ScanError";
  readonly reason: ScanErrorReason;
  /** Every enabled source, as far as the scan knew them when it failed. */
  sources: readonly ScanSource[] = [];

  constructor(
    message: string,
    options: { reason: ScanErrorReason; cause?: unknown },
  ) {
    super(redact(message), { cause: options.cause });
    this.reason = options.reason;
  }
}

/** The meaning of an exit code or error code of a package manager. */
export interface FailureMeaning {
  readonly reason: ScanErrorReason;
  readonly fact: string;
  /** What an operator can do. @default nothing */
  readonly next?: string | undefined;
}

/** The reason of a scan's failure, from the failure to run a program. */
export function reasonNotRun({ reason }: CommandError): ScanErrorReason {
  switch (reason) {
    case "not_found":
      return "not_available";
    case "denied":
      return "permanent";
    case "timeout":
    case "aborted":
    case "failed":
      return "transient";
  }
}

/**
 * How a source answered: `ok` with lists that are in date; `old` with lists past their own limit;
 * `missing`: it is enabled and has no lists; `failed`: it was asked and did not answer; `not_asked`: it
 * is left out on purpose (a medium in no drive).
 */
export type SourceResult = "ok" | "old" | "missing" | "failed" | "not_asked";

/** One enabled source of a package manager (a repository, an update service), as this scan saw it. */
export interface ScanSource {
  /** The package manager's own name for it: a repository's id, or its address and suite. */
  readonly name: string;
  /** `null` where it has none or it is not known. */
  readonly url: string | null;
  readonly result: SourceResult;
  /** Completes "NAME: ..." in a warning; `null` where `result` is `ok` or `not_asked`. */
  readonly why: string | null;
  /** Age of its lists; `null` if that is not known. */
  readonly metadataAgeS: number | null;
  /** Until when its lists are valid by its own word; `null` if it does not say. */
  readonly expiresAtMs: number | null;
  /** Whether it marks which of its updates are security updates; `null` if that is not known. */
  readonly tellsSecurity: boolean | null;
}

/** Runs the part of a scan that follows once its sources are known: a failure carries them. */
export async function withSources<T>(
  sources: readonly ScanSource[],
  scan: () => Promise<T>,
): Promise<T> {
  try {
    return await scan();
  } catch (error) {
    if (error instanceof ScanError) error.sources = sources;
    throw error;
  }
}

/** A list that can be used. `runScan` decides whether it is whole, and redacts every text in it. */
export interface ScanAnswer {
  readonly updates: readonly Update[];
  /** What is missing from the list or doubtful in it, one sentence each. With a gap it is not whole. */
  readonly gaps: readonly string[];
  /** What else the reader should know, though no update is missing. @default none */
  readonly notes?: readonly string[];
  /** Every enabled source. @default none is known, which is no gap by itself */
  readonly sources?: readonly ScanSource[];
  /** Age of the oldest lists that the answer was read from; `null` if that is not known. */
  readonly metadataAgeS: number | null;
  /** The account that asked, and what it can see, where that is not the same for every account. */
  readonly scope?: string;
  /** @default `null`: nothing on this host says */
  readonly reboot?: RebootState | null;
}

/** What a scan may touch, and how it is asked. */
export interface ScanOptions {
  /** Fetch new package lists first. @default false */
  readonly refresh?: boolean;
  /** How many updates this scanner's last list held; absent if there is none to compare with. */
  readonly lastCount?: number;
  /**
   * A folder of the agent's own, where lists may be kept beside the host's; without one old lists
   * are only told of.
   */
  readonly cacheDirectory?: string;
  /** Patterns of updates that the administrator ignores (`scanners.ignore`). @default none */
  readonly ignore?: readonly string[];
  /** Fetch changelogs of what waits, for the CVEs in them; kept in `cacheDirectory`. @default false */
  readonly changelogs?: boolean;
  readonly signal?: AbortSignal;
}

/** One package manager. */
export interface Scanner {
  /** For people, the configuration and files: a short word of small letters. */
  readonly name: string;
  /** Whether this host has the package manager at all; quick, and never throws. */
  isAvailable(system: System): Promise<boolean>;
  /** Asks the package manager. Changes nothing on the host; throws `ScanError`. */
  scan(system: System, options: ScanOptions): Promise<ScanAnswer>;
}
