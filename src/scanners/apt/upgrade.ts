/**
 * Determines which updates wait, and in what state: parses apt's own decision on an upgrade, and adds the
 * candidates that it leaves out and the versions that preferences (pins, `APT::Default-Release`) keep
 * from being installed. Pure. Apt's words are those of the C locale, in apt 2.0 to 3.3.
 */

import { decodePercent } from "../../redact.ts";
import { outputLines } from "../programs.ts";
import type { UpdateState } from "../../update.ts";
import type { UpgradeRefusal } from "./commands.ts";
import type { Releases } from "./lists.ts";
import {
  type AptName,
  compareDebianVersions,
  type InstalledPackage,
  type InstalledPackages,
  isAptName,
  isArchitecture,
  isName,
  isVersion,
  type OfferedVersion,
  type PackageDetails,
  type PackagePolicy,
  type Policies,
} from "./packages.ts";
import { distributionOf, isSecurityRelease, type Release } from "./sources.ts";

/** A package that would be replaced by another version of itself. */
interface VersionChange {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly newVersion: string;
}

/** The name is the one without an architecture. */
type PackageDownload = Pick<PackageDetails, "name" | "version" | "architecture" | "sizeBytes">;

/** Apt's decision. New packages are not updates, and are left out. */
interface UpgradeDecision {
  /** Upgrades, and downgrades where priorities ask for them. */
  readonly changes: readonly VersionChange[];
  readonly removals: readonly AptName[];
  /** Not upgraded: dependencies, holds, and in apt 2 phasing too. */
  readonly keptBack: ReadonlySet<AptName>;
  /** Not upgraded because of phasing; apt 3 lists these separately. */
  readonly deferred: ReadonlySet<AptName>;
  readonly downloads: readonly PackageDownload[];
  /** Why the decision is doubtful: apt's own totals differ, or are missing. */
  readonly doubts: readonly string[];
  /** Lines of apt's lists that could not be parsed. */
  readonly unparsed: number;
}

type Section = "upgraded" | "downgraded" | "removed" | "new" | "kept" | "deferred";

const SECTIONS: ReadonlyMap<string, Section> = new Map([
  ["The following packages will be upgraded:", "upgraded"],
  ["The following packages will be DOWNGRADED:", "downgraded"],
  ["The following packages will be REMOVED:", "removed"],
  ["The following NEW packages will be installed:", "new"],
  ["The following packages have been kept back:", "kept"],
  ["The following upgrades have been deferred due to phasing:", "deferred"],
]);

/** A heading, or a warning before a list. Rows of lists that are not in `SECTIONS` are ignored. */
const HEADING = /^\S.*[:!]$/;

const ROW = /^ {3}(\S+?)\*? \((?:(\S+) => )?(\S+)\)$/;

const TOTALS =
  /^(\d+) upgraded, (\d+) newly installed, (?:\d+ re-?installed, )?(?:(\d+) downgraded, )?(\d+) to remove and (\d+) not upgraded\.$/;

/** The part after the URI, which is discarded: it may contain a password. */
const DOWNLOAD = /' ([^_\s]+)_([^_\s]+)_([^_\s]+)\.u?deb (\d{1,15}) ?\S*$/;

/** Parses `apt-get --print-uris -V dist-upgrade`; ignores lines outside of lists and downloads. */
export function parseUpgrade(text: string): UpgradeDecision {
  const { lines, dropped } = outputLines(text);
  const rows: Record<Section, VersionChange[]> = {
    upgraded: [],
    downgraded: [],
    removed: [],
    new: [],
    kept: [],
    deferred: [],
  };
  const downloads: PackageDownload[] = [];
  let section: Section | null = null;
  let totals: RegExpExecArray | null = null;
  let unparsed = dropped;
  for (const line of lines) {
    if (line.startsWith("   ")) {
      if (section === null) continue;
      const row = parseRow(line, section);
      if (row) rows[section].push(row);
      else unparsed += 1;
    } else if (line.startsWith("'")) {
      const download = parseDownload(line);
      if (download) downloads.push(download);
    } else if (HEADING.test(line)) {
      section = SECTIONS.get(line) ?? null;
    } else if (TOTALS.test(line)) {
      totals = TOTALS.exec(line);
      section = null;
    }
  }
  const names = (list: readonly VersionChange[]) => list.map(({ name }) => name);
  return {
    changes: [...rows.upgraded, ...rows.downgraded],
    removals: names(rows.removed),
    keptBack: new Set(names(rows.kept)),
    deferred: new Set(names(rows.deferred)),
    downloads,
    doubts: findDoubts(totals, rows),
    unparsed,
  };
}

function parseRow(line: string, section: Section): VersionChange | undefined {
  const [, name = "", currentVersion, newVersion = ""] = ROW.exec(line) ?? [];
  if (!isAptName(name) || !isVersion(newVersion)) return undefined;
  const hasOneVersion = section === "removed" || section === "new";
  if (currentVersion === undefined) {
    return hasOneVersion ? { name, currentVersion: newVersion, newVersion } : undefined;
  }
  return isVersion(currentVersion) ? { name, currentVersion, newVersion } : undefined;
}

/** `name_version_architecture.deb`, with `%3a` for the colon of an epoch. */
function parseDownload(line: string): PackageDownload | undefined {
  const [, ...found] = DOWNLOAD.exec(line) ?? [];
  const [name = "", version = "", architecture = "", size = ""] = found.map(decodePercent);
  if (!isName(name) || !isVersion(version) || !isArchitecture(architecture)) return undefined;
  return { name, version, architecture, sizeBytes: Number(size) };
}

/** Compares apt's totals with the rows: a misread list has another count. */
function findDoubts(
  totals: RegExpExecArray | null,
  rows: Record<Section, readonly VersionChange[]>,
): string[] {
  if (totals === null) return ["apt-get's answer has no totals: it may be incomplete"];
  const counted = totals.slice(1).map((count) => Number(count ?? 0));
  const { upgraded, downgraded, removed, kept, deferred } = rows;
  const read = [upgraded, rows.new, downgraded, removed, [...kept, ...deferred]]
    .map(({ length }) => length);
  if (counted.every((count, index) => count === read[index])) return [];
  const format = (counts: readonly number[]) =>
    `${counts[0]} upgraded, ${counts[1]} new, ${counts[2]} downgraded, ${counts[3]} removed, ` +
    `${counts[4]} not upgraded`;
  return [`apt-get counts ${format(counted)}; read were ${format(read)}`];
}

/** What the host has and what apt offers, read at one moment. */
export interface AptState {
  readonly installed: InstalledPackages;
  readonly decision: UpgradeDecision | UpgradeRefusal;
  readonly policies: Policies;
  readonly releases: Releases;
}

/** An update whose size and description are not yet known. */
export interface WaitingUpdate {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly availableVersion: string;
  readonly state: UpdateState;
  /** See `Update.stateReason`. */
  readonly stateReason: string | null;
  /** Whether nothing in apt's output explains the state. */
  readonly isDoubtful: boolean;
}

export function isRefused(decision: UpgradeDecision | UpgradeRefusal): decision is UpgradeRefusal {
  return "why" in decision;
}

/** Whether it is not a downgrade. A rebuild of the same version counts: apt lists it as an upgrade. */
export function isUpgrade({ currentVersion, newVersion }: VersionChange): boolean {
  return compareDebianVersions(newVersion, currentVersion) >= 0;
}

/** Returns what apt would upgrade now, newer candidates that it would not, and versions that are pinned away. */
export function findWaiting(state: AptState): WaitingUpdate[] {
  const { installed, decision, policies } = state;
  const changes = isRefused(decision) ? [] : decision.changes;
  const waiting = changes.filter(isUpgrade).map((change): WaitingUpdate => {
    const { name, currentVersion, newVersion: availableVersion } = change;
    return { name, currentVersion, availableVersion, ...inState("upgradable", null) };
  });
  const decided = new Set(changes.map(({ name }) => name));
  for (const [name, package_] of installed.packages) {
    const policy = policies.packages.get(name);
    if (decided.has(name) || !policy) continue;
    const { candidate } = policy;
    if (candidate === null || compareDebianVersions(candidate, package_.version) <= 0) continue;
    const explanation = explain(name, package_, policy, decision);
    const { version: currentVersion } = package_;
    waiting.push({ name, currentVersion, availableVersion: candidate, ...explanation });
  }
  return withPinned(waiting, state);
}

type Explanation = Pick<WaitingUpdate, "state" | "stateReason" | "isDoubtful">;

function inState(state: UpdateState, stateReason: string | null, isDoubtful = false): Explanation {
  return { state, stateReason, isDoubtful };
}

/** Why apt does not upgrade a package that has a newer candidate, by apt's own output. */
function explain(
  name: AptName,
  { isHeld }: InstalledPackage,
  { versions, candidate }: PackagePolicy,
  decision: UpgradeDecision | UpgradeRefusal,
): Explanation {
  const phasing = versions.find(({ version }) => version === candidate)?.phasing ?? null;
  if (isHeld) return inState("held", "marked as hold");
  if (isRefused(decision)) {
    if (phasing !== null) return inState("phased", phasing);
    // A timeout has nothing to do with this package: apt would install the candidate.
    return decision.isTimeout
      ? inState("upgradable", `doubt: ${decision.why}`)
      : inState("kept_back", "apt-get upgrades nothing");
  }
  if (decision.removals.includes(name)) {
    return inState("removed_by_upgrade", "apt-get dist-upgrade would remove it");
  }
  if (decision.deferred.has(name)) return inState("phased", phasing ?? "deferred due to phasing");
  if (decision.keptBack.has(name)) {
    return phasing === null
      ? inState("kept_back", "apt-get lists it as kept back")
      : inState("phased", phasing);
  }
  return inState("kept_back", "doubt: apt-get does not mention it", true);
}

/** Adds the pinned versions: as updates of their own, or to the reason of an update to an older one. */
function withPinned(waiting: readonly WaitingUpdate[], state: AptState): WaitingUpdate[] {
  const pinned = findPinned(state);
  const found = waiting.map((update) => {
    const newer = pinned.get(update.name);
    pinned.delete(update.name);
    if (!newer || compareDebianVersions(newer.version, update.availableVersion) <= 0) {
      return update;
    }
    const reason = `${newer.version} is pinned away: ${newer.reason}`;
    const before = update.stateReason === null ? "" : `${update.stateReason}; `;
    return { ...update, stateReason: before + reason };
  });
  const others = [...pinned].map(([name, { version, reason, installedVersion }]): WaitingUpdate => {
    const versions = { currentVersion: installedVersion, availableVersion: version };
    return { name, ...versions, ...inState("pinned", reason) };
  });
  return [...found, ...others];
}

/** A newer version that a preference outranks. */
interface PinnedVersion {
  readonly version: string;
  readonly installedVersion: string;
  /** The priorities that decide, in words. */
  readonly reason: string;
}

/** The priority that `APT::Default-Release` gives: apt_preferences(5). */
const DEFAULT_RELEASE = 990;

/**
 * Returns for each installed package the newest version that is newer than the installed one and than
 * apt's candidate. Versions of another release of the same distribution do not count, nor do those that
 * apt installs only on request (backports, experimental).
 */
export function findPinned(
  { installed, policies, releases }: Omit<AptState, "decision">,
): Map<AptName, PinnedVersion> {
  const found = new Map<AptName, PinnedVersion>();
  for (const [name, { version: installedVersion }] of installed.packages) {
    const policy = policies.packages.get(name);
    const pinned = policy && findNewestPinned(policy, installedVersion, releases);
    if (!pinned) continue;
    const { version } = pinned;
    found.set(name, { version, installedVersion, reason: pinReason(pinned, policy) });
  }
  return found;
}

function findNewestPinned(
  policy: PackagePolicy,
  installedVersion: string,
  releases: Releases,
): OfferedVersion | undefined {
  const { candidate, versions } = policy;
  const newer = versions.filter(({ version }) =>
    compareDebianVersions(version, installedVersion) > 0 &&
    (candidate === null || compareDebianVersions(version, candidate) > 0)
  );
  const waiting = newer.filter((offered) => isPinnedItself(offered) || isWaiting(offered));
  return waiting.toSorted((a, b) => compareDebianVersions(b.version, a.version))[0];

  function isWaiting({ files }: OfferedVersion): boolean {
    return files.some(({ name }) => {
      const release = releases.of(name);
      if (release === undefined) return true;
      if (release.isNotAutomatic && !isSecurityRelease(release)) return false;
      return !isOtherDistribution(release, distributionsOf(policy, installedVersion, releases));
    });
  }
}

/** Whether a pin of the package gives this version another priority than its files have. */
function isPinnedItself({ priority, files }: OfferedVersion): boolean {
  return files.length > 0 && priority !== Math.max(...files.map((file) => file.priority));
}

/** The distributions from which the host installs this package. */
function distributionsOf(
  { candidate, versions }: PackagePolicy,
  installedVersion: string,
  releases: Releases,
): ReadonlySet<string> {
  const used = versions.filter(({ version }) =>
    version === candidate || version === installedVersion
  );
  const known = used.flatMap(({ files }) => files).map(({ name }) => {
    const release = releases.of(name);
    return release && distributionOf(release);
  });
  return new Set(known.filter((name) => name != null));
}

/** Whether a release has the same distributor and another distribution: `trixie` on `bookworm`. */
function isOtherDistribution(release: Release, base: ReadonlySet<string>): boolean {
  const own = distributionOf(release);
  if (own === null || base.has(own)) return false;
  return [...base].some((name) => name.startsWith(`${release.origin} `));
}

function pinReason(pinned: OfferedVersion, { candidate, versions }: PackagePolicy): string {
  const preferred = versions.find(({ version }) => version === candidate);
  const own = `priority ${pinned.priority} of ${pinned.version}`;
  if (!preferred) return `${own}: no version may be installed`;
  const isDefault = preferred.files.some(({ priority }) => priority === DEFAULT_RELEASE);
  const cause = isDefault ? "APT::Default-Release or a pin" : "a pin";
  return `${cause}: ${own} is below ${preferred.priority} of ${preferred.version}`;
}
