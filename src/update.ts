/** One waiting update as every part of the agent handles it: scanners fill it in, reports send it. */

/** The package types of the server's protocol; it accepts no others. */
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

/** Whether this host itself asks for a restart, and what says so. */
export interface RebootState {
  readonly isRequired: boolean;
  readonly reason: string;
}

/** Worst first; an update whose severity nobody states stands between those of a security update. */
const SEVERITIES: readonly (Severity | null)[] = ["critical", "important", null, "moderate", "low"];

/**
 * Ignored updates last; security first, the worst of it in front; then what can be installed, then by
 * name and architecture.
 */
export function compareUpdates(a: Update, b: Update): number {
  return Number(a.state === "ignored") - Number(b.state === "ignored") ||
    Number(b.security === true) - Number(a.security === true) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    Number(b.state === "upgradable") - Number(a.state === "upgradable") ||
    compareNames(a.package, b.package) ||
    compareNames(a.architecture ?? "", b.architecture ?? "");
}

/** Without regard to case, where there is another difference. A collator takes some 15 ms to load. */
function compareNames(a: string, b: string): number {
  return compare(a.toLowerCase(), b.toLowerCase()) || compare(a, b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Required as soon as one says so; `null` where none says anything. */
export function combineReboots(
  reports: readonly { readonly reboot: RebootState | null }[],
): RebootState | null {
  const said = reports.map(({ reboot }) => reboot).filter((reboot) => reboot !== null);
  const required = said.filter(({ isRequired }) => isRequired);
  const telling = required.length > 0 ? required : said;
  if (telling.length === 0) return null;
  const reasons = new Set(telling.map(({ reason }) => reason));
  return { isRequired: required.length > 0, reason: [...reasons].join("; ") };
}
