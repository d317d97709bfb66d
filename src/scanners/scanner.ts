/** What a scanner is and what it answers; the scanners themselves are beside this file. */

import type { System } from "../system/system.ts";

/** What the server calls packages, by where they come from; it knows no others. */
export type PackageType = "apt" | "dnf" | "windows_update" | "winget" | "docker_image";

/**
 * Whether an update would be installed now, or what stands in its way.
 *
 * `held`: a person said no. `phased`: the distributor has not reached this host yet. `kept_back`:
 * its dependencies do not allow it.
 */
export type UpdateState =
  | "upgradable"
  | "held"
  | "phased"
  | "kept_back"
  | "pinned"
  | "explicit_only"
  | "unknown_current"
  | "obsoletes";

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
  /** Read from the source, never guessed from a name. */
  readonly severity: Severity | null;
  /** Where the severity was read, or why there is none. */
  readonly severityReason: string;
  /** `null`: this source does not say which of its updates close a hole. */
  readonly security: boolean | null;
  readonly cves: readonly string[];
  readonly advisories: readonly string[];
  /** Size of the download; of Windows Update's, which tells no other, the most that it may be. */
  readonly sizeBytes: number | null;
  readonly description: string | null;
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
 * about its health. `withheld`: it was not asked, because it kept failing.
 */
export class ScanError extends Error {
  override readonly name = "ScanError";
  readonly reason: ScanErrorReason;

  constructor(
    message: string,
    options: { reason: ScanErrorReason; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}

/** A list that can be used: whole without warnings, `degraded` with them. */
export interface ScanAnswer {
  readonly updates: readonly Update[];
  /** What is missing from the list or doubtful in it, a sentence each. Empty: nothing. */
  readonly warnings: readonly string[];
  /**
   * Whether every update that waits is in the list: then what is not in it waits no more, whatever
   * there is to warn of. @default whether there are no warnings
   */
  readonly isWhole?: boolean;
  /** Age of the package lists the answer was read from; `null` if that is not known. */
  readonly metadataAgeS: number | null;
  /** Whom was asked and what he can see, where that is not the same for everybody on the host. */
  readonly scope?: string;
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
