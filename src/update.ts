/** The type of an available update, from the scanners to the reports, and the order of updates. */

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

/** Whether installing an update requires a restart of the host, if its source says so. */
export type RebootHint = "never" | "maybe" | "required";

/** The severities of a vulnerability that an update fixes, by the server's four names; the worst first. */
export const SEVERITIES = ["critical", "important", "moderate", "low"] as const;

/** One of `SEVERITIES`. */
export type Severity = typeof SEVERITIES[number];

/** One available update as its package manager reports it; `null` is "it does not say". */
export interface Update {
  /** Its name in the package manager; of Windows Update, the KB number if there is one. */
  readonly package: string;
  /** `null` where the package manager does not report it (Windows Update). */
  readonly currentVersion: string | null;
  /** As the package manager writes it. */
  readonly availableVersion: string;
  /** In the package manager's words (`amd64`, `noarch`). */
  readonly architecture: string | null;
  /** Its repository, as the package manager names it (`Debian-Security:12/oldstable-security`). */
  readonly source: string | null;
  /** Whether an update of the whole host would install it now. */
  readonly state: UpdateState;
  /** What explains the state ("version lock"), or a doubt about it. @default null: nothing */
  readonly stateReason?: string | null;
  /** Read from the source, never guessed from a name. */
  readonly severity: Severity | null;
  /** Where the severity was read, or why there is none. */
  readonly severityReason: string;
  /** `null`: this source does not say which of its updates fix a vulnerability. */
  readonly security: boolean | null;
  /** Such as `CVE-2026-1234`; empty if none is known. */
  readonly cves: readonly string[];
  /** Where the CVEs were read, in words ("Debian changelog"). @default the advisories */
  readonly cveSources?: readonly string[];
  /** Such as `RHSA-2026:1234`, `DSA-5678-1` or `KB5012345`; empty if none is known. */
  readonly advisories: readonly string[];
  /** Size of the download; of Windows Update's, which reports no other, the maximum. */
  readonly sizeBytes: number | null;
  /** A short text for people: a summary or a title. */
  readonly description: string | null;
  /** Other names, such as titles, for `scanners.ignore` alone. Not reported. @default none */
  readonly titles?: readonly string[];
  /** The source package, by which security trackers identify it; `null` where it has none. */
  readonly sourcePackage: string | null;
  /** `null`: its source does not say. */
  readonly reboot: RebootHint | null;
}

const CVE = /^CVE-\d{4}-\d{4,10}$/;
const CVES = /\bCVE-\d{4}-\d{4,10}\b/g;

/** Whether `id` is the id of a CVE. */
export function isCve(id: string): boolean {
  return CVE.test(id);
}

/** The ids of CVEs in a text, in its order. */
export function findCves(text: string): string[] {
  return text.match(CVES) ?? [];
}

/** Whether this host requires a restart, and the reason. */
export interface RebootState {
  /** `false`: the host says that it needs none. */
  readonly isRequired: boolean;
  /** What says so, for people. */
  readonly reason: string;
}

/** The worst first; an unknown severity ranks between "important" and "moderate". */
function rankOf(severity: Severity | null): number {
  return severity === null ? 1.5 : SEVERITIES.indexOf(severity);
}

/** Security first, by severity; then upgradable ones; then by name. Ignored updates are last. */
export function compareUpdates(a: Update, b: Update): number {
  return Number(a.state === "ignored") - Number(b.state === "ignored") ||
    Number(b.security === true) - Number(a.security === true) ||
    rankOf(a.severity) - rankOf(b.severity) ||
    Number(b.state === "upgradable") - Number(a.state === "upgradable") ||
    compareNames(a.package, b.package) ||
    compareNames(a.architecture ?? "", b.architecture ?? "");
}

/** Ignores case unless it is the only difference. A collator would take 15 ms to load. */
function compareNames(a: string, b: string): number {
  return compare(a.toLowerCase(), b.toLowerCase()) || compare(a, b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Required if one report says so; `null` if none says anything. */
export function combineReboots(
  reports: readonly { readonly reboot: RebootState | null }[],
): RebootState | null {
  const known = reports.map(({ reboot }) => reboot).filter((reboot) => reboot !== null);
  const required = known.filter(({ isRequired }) => isRequired);
  const deciding = required.length > 0 ? required : known;
  if (deciding.length === 0) return null;
  const reasons = new Set(deciding.map(({ reason }) => reason));
  return { isRequired: required.length > 0, reason: [...reasons].join("; ") };
}
