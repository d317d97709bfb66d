/** What a scanner is and what it answers; the scanners themselves are beside this file. */

import { redact } from "../redact.ts";
import type { System } from "../system/system.ts";

/** What the server calls packages, by where they come from; it knows no others. */
export type PackageType = "apt" | "dnf" | "windows_update" | "winget" | "docker_image";

/**
 * Whether an update would be installed now, or what prevents that. `docs/scanners.md` has a table of
 * the states: when each occurs, for which scanner.
 *
 * - `held`: the administrator excludes or locks the package.
 * - `pinned`: a preference for another source or version outranks it.
 * - `phased`: the distributor has not released it to this host yet.
 * - `kept_back`: its dependencies do not allow it.
 * - `removed_by_upgrade`: an upgrade of everything would remove the package instead.
 * - `image_based`: the host's system is replaced as a whole image, not package by package.
 * - `ignored`: `scanners.ignore` in the configuration names it.
 */
export type UpdateState =
  | "upgradable"
  | "held"
  | "phased"
  | "kept_back"
  | "pinned"
  | "explicit_only"
  | "unknown_current"
  | "obsoletes"
  | "removed_by_upgrade"
  | "image_based"
  | "ignored";

/** Whether installing an update makes the host want a restart, where its source tells. */
export type RebootHint = "never" | "maybe" | "required";

/** How bad the hole is that an update closes, in the server's four words. */
export type Severity = "critical" | "important" | "moderate" | "low";

/** One update that is waiting, as its package manager tells it; `null` is "it does not tell". */
export interface Update {
  readonly package: string;
  /** `null` where the package manager does not tell (Windows Update). */
  readonly currentVersion: string | null;
  readonly availableVersion: string;
  readonly architecture: string | null;
  /** Where it comes from, in the package manager's words (`Debian-Security:12/oldstable-security`). */
  readonly source: string | null;
  readonly state: UpdateState;
  /**
   * The rule that was checked and explains the state ("version lock", "Default-Release bookworm"), or a
   * doubt about it. @default `null`: the state needs no explanation
   */
  readonly stateReason?: string | null;
  /** Read from the source, never guessed from a name. */
  readonly severity: Severity | null;
  /** Where the severity was read, or why there is none. */
  readonly severityReason: string;
  /** `null`: this source does not say which of its updates close a hole. */
  readonly security: boolean | null;
  readonly cves: readonly string[];
  /** Where the CVEs were read, in words ("Debian changelog"). @default the advisories */
  readonly cveSources?: readonly string[];
  readonly advisories: readonly string[];
  /** Size of the download; of Windows Update's, which tells no other, the most that it may be. */
  readonly sizeBytes: number | null;
  readonly description: string | null;
  /**
   * What people call it where that is not `package`: titles, the program's name. For `scanners.ignore`,
   * in no report. @default none
   */
  readonly titles?: readonly string[];
  /** The source package, which is what security trackers go by; `null` where it has none. */
  readonly sourcePackage: string | null;
  /** `null`: its source does not tell. */
  readonly reboot: RebootHint | null;
}

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

/** Whether this host itself asks for a restart, and what says so. */
export interface RebootState {
  readonly isRequired: boolean;
  readonly reason: string;
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
