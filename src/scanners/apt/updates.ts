/** Decides from what apt's commands told which updates are waiting, and in what state. Pure. */

import { changelogFacts, type ChangelogOrigin } from "./changelogs.ts";
import type { Refusal } from "./commands.ts";
import type { InstalledPackage, InstalledPackages } from "./installed.ts";
import { type AptName, splitAptName } from "./name.ts";
import { findPinned } from "./pinned.ts";
import type { OfferedVersion, PackagePolicy, Policies } from "./policy.ts";
import { rebootHint } from "./reboot.ts";
import { describeRelease, isSecurityRelease, marksSecurity } from "./releases.ts";
import type { ShownPackages } from "./show.ts";
import { closedHoles, type SecurityData } from "./security_data.ts";
import type { Releases } from "./sources.ts";
import type { UpgradeDecision } from "./upgrade.ts";
import { compareDebianVersions } from "./debian_version.ts";
import type { Update, UpdateState } from "../../update.ts";
import { joinNames } from "../../wording.ts";

/** What the host has and what apt offers, read at one moment. */
export interface AptState {
  readonly installed: InstalledPackages;
  readonly decision: UpgradeDecision | Refusal;
  readonly policies: Policies;
  readonly releases: Releases;
}

/** An update of which size and purpose are not yet known. */
export interface WaitingUpdate {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly availableVersion: string;
  readonly state: UpdateState;
  /** See `Update.stateReason`. */
  readonly stateReason: string | null;
  /** Whether nothing that apt said explains the state. */
  readonly isDoubtful: boolean;
}

function isRefused(decision: UpgradeDecision | Refusal): decision is Refusal {
  return "why" in decision;
}

/**
 * What is waiting: all that apt would upgrade now, all that it would not although its candidate is
 * newer, and all that a preference keeps from being a candidate.
 */
export function findWaiting(state: AptState): WaitingUpdate[] {
  const { installed, decision, policies } = state;
  const changes = isRefused(decision) ? [] : decision.changes;
  const waiting = changes.filter(isUpgrade).map((change): WaitingUpdate => ({
    name: change.name,
    currentVersion: change.currentVersion,
    availableVersion: change.newVersion,
    state: "upgradable",
    stateReason: null,
    isDoubtful: false,
  }));
  const settled = new Set(changes.map(({ name }) => name));
  for (const [name, package_] of installed.packages) {
    const policy = policies.packages.get(name);
    if (settled.has(name) || !policy) continue;
    const { candidate } = policy;
    if (candidate === null || compareDebianVersions(candidate, package_.version) <= 0) continue;
    waiting.push({
      name,
      currentVersion: package_.version,
      availableVersion: candidate,
      ...explain(name, package_, policy, decision),
    });
  }
  return withPinned(waiting, state);
}

/**
 * Priorities may also have a package replaced by an older version; that is no update. The same
 * version, built anew, is one: apt lists it among what it upgrades.
 */
function isUpgrade(change: { currentVersion: string; newVersion: string }): boolean {
  return compareDebianVersions(change.newVersion, change.currentVersion) >= 0;
}

type Explained = Pick<WaitingUpdate, "state" | "stateReason" | "isDoubtful">;

/** Why apt does not upgrade a package that has a newer candidate, by what apt itself said. */
function explain(
  name: AptName,
  { isHeld }: InstalledPackage,
  policy: PackagePolicy,
  decision: UpgradeDecision | Refusal,
): Explained {
  const phasing = phasingOf(policy);
  const as = (state: UpdateState, stateReason: string | null, isDoubtful = false): Explained => ({
    state,
    stateReason,
    isDoubtful,
  });
  if (isHeld) return as("held", "marked as hold");
  if (isRefused(decision)) {
    if (phasing !== null) return as("phased", phasing);
    // In time or not is no matter of this package: it is what apt would install.
    return decision.isTimeout
      ? as("upgradable", `doubt: ${decision.why}`)
      : as("kept_back", "apt-get upgrades nothing");
  }
  if (decision.removals.includes(name)) {
    return as("removed_by_upgrade", "apt-get dist-upgrade would remove it");
  }
  if (decision.deferred.has(name)) return as("phased", phasing ?? "deferred due to phasing");
  if (decision.keptBack.has(name)) {
    return phasing === null
      ? as("kept_back", "apt-get lists it as kept back")
      : as("phased", phasing);
  }
  return as("kept_back", "doubt: apt-get does not mention it", true);
}

function phasingOf({ versions, candidate }: PackagePolicy): string | null {
  return versions.find(({ version }) => version === candidate)?.phasing ?? null;
}

/** Adds what preferences keep away: as an update of its own, or to the reason of an older one. */
function withPinned(waiting: readonly WaitingUpdate[], state: AptState): WaitingUpdate[] {
  const pinned = findPinned(state);
  const found = waiting.map((update) => {
    const further = pinned.get(update.name);
    pinned.delete(update.name);
    if (!further || compareDebianVersions(further.version, update.availableVersion) <= 0) {
      return update;
    }
    const reason = `${further.version} is pinned away: ${further.reason}`;
    const before = update.stateReason === null ? "" : `${update.stateReason}; `;
    return { ...update, stateReason: before + reason };
  });
  const alone = [...state.installed.packages].flatMap(([name, { version }]): WaitingUpdate[] => {
    const further = pinned.get(name);
    if (!further) return [];
    return [{
      name,
      currentVersion: version,
      availableVersion: further.version,
      state: "pinned",
      stateReason: further.reason,
      isDoubtful: false,
    }];
  });
  return [...found, ...alone];
}

/** What was read of the updates besides, as far as it was. */
export interface AptDetails {
  /** What `apt-cache show` told. */
  readonly shown: ShownPackages;
  /** Those that count first come first. */
  readonly changelogs: readonly ChangelogOrigin[];
  /** What security tools on this host found. */
  readonly security: readonly SecurityData[];
}

/** What is known of one version of a package besides its number. */
interface KnownVersion {
  readonly architecture: string;
  readonly sizeBytes: number | null;
  readonly sourcePackage?: string;
  readonly description?: string | null;
}

/** The updates in full. */
export function describeUpdates(
  waiting: readonly WaitingUpdate[],
  state: AptState,
  { shown, changelogs, security }: AptDetails,
): Update[] {
  const details = indexDetails(state, shown);
  return waiting.map((update) => {
    const { name, currentVersion, availableVersion } = update;
    const known = details.get(`${name}=${availableVersion}`);
    const installed = state.installed.packages.get(name);
    const sourcePackage = known?.sourcePackage ?? installed?.sourcePackage ?? null;
    const { advisories, urgency, ...told } = readFacts(changelogs, sourcePackage, update);
    const { cves, cveSources } = joinCves([told, ...findHoles(security, update, state)]);
    return {
      package: splitAptName(name).name,
      currentVersion,
      availableVersion,
      architecture: known?.architecture ?? installed?.architecture ?? null,
      source: describeOrigins(update, state),
      state: update.state,
      stateReason: update.stateReason,
      severity: null,
      severityReason: urgency === null
        ? "apt does not tell"
        : `apt does not tell; the changelog says urgency ${urgency}`,
      security: isSecurity(update, state),
      cves,
      ...(cveSources.length > 0 && { cveSources }),
      advisories,
      sizeBytes: known?.sizeBytes ?? null,
      description: known?.description ?? installed?.summary ?? null,
      sourcePackage,
      reboot: rebootHint(splitAptName(name).name),
    };
  });
}

/** From the first changelog that has the version that waits. */
function readFacts(
  changelogs: readonly ChangelogOrigin[],
  sourcePackage: string | null,
  update: WaitingUpdate,
) {
  for (const { origin, changelogs: entries } of changelogs) {
    const facts = changelogFacts(entries, sourcePackage ?? "", update);
    if (facts.isKnown) return { ...facts, origin };
  }
  return { cves: [], advisories: [], urgency: null, origin: "" };
}

/** CVEs, and where they were read. */
interface ToldCves {
  readonly origin: string;
  readonly cves: readonly string[];
}

/** What each tool found that this update closes. */
function findHoles(
  security: readonly SecurityData[],
  update: WaitingUpdate,
  { policies }: AptState,
): ToldCves[] {
  const versions = policies.packages.get(update.name)?.versions.map(({ version }) => version) ?? [];
  const [newestVersion = update.availableVersion] = versions.toSorted((a, b) =>
    compareDebianVersions(b, a)
  );
  return security.map((data) => ({
    origin: data.origin,
    cves: closedHoles(data, { ...update, newestVersion }),
  }));
}

/** All of them, each once, and the origins of any. */
function joinCves(told: readonly ToldCves[]): { cves: string[]; cveSources: string[] } {
  const withCves = told.filter(({ cves }) => cves.length > 0);
  return {
    cves: [...new Set(withCves.flatMap(({ cves }) => cves))],
    cveSources: withCves.map(({ origin }) => origin),
  };
}

/** The updates of which apt's decision does not tell size and architecture: to be asked for. */
export function findUndescribed(
  waiting: readonly WaitingUpdate[],
  state: AptState,
): readonly WaitingUpdate[] {
  const details = indexDetails(state, { packages: [], unparsed: 0 });
  return waiting.filter(({ name, availableVersion }) =>
    !details.has(`${name}=${availableVersion}`)
  );
}

/** By `name=version`, as they were asked for. */
function indexDetails({ installed, decision }: AptState, { packages }: ShownPackages) {
  const downloads = isRefused(decision) ? [] : decision.downloads;
  const all: (KnownVersion & { name: string; version: string })[] = [...downloads, ...packages];
  return new Map(all.map((details): [string, KnownVersion] => {
    const { name, version, architecture } = details;
    const isOwn = architecture === "all" || architecture === installed.ownArchitecture;
    return [`${isOwn ? name : `${name}:${architecture}`}=${version}`, details];
  }));
}

/**
 * Whether a hole is closed by going to the available version: any version on the way there may be
 * the one that does, even if a later one from elsewhere hides it. `null` where none of the sources that
 * offer it marks its security updates, so that nothing can be told.
 */
function isSecurity(update: WaitingUpdate, { policies, releases }: AptState): boolean | null {
  const onTheWay = (policies.packages.get(update.name)?.versions ?? []).filter(({ version }) =>
    compareDebianVersions(version, update.currentVersion) > 0 &&
    compareDebianVersions(version, update.availableVersion) <= 0
  );
  const some = (versions: readonly OfferedVersion[], is: typeof isSecurityRelease) =>
    versions.some(({ files }) =>
      files.some(({ name }) => {
        const release = releases.of(name);
        return release !== undefined && is(release);
      })
    );
  if (some(onTheWay, isSecurityRelease)) return true;
  const available = offerOf(update, policies);
  const marks = (release: Parameters<typeof isSecurityRelease>[0]) =>
    marksSecurity(release, releases.enabled);
  return available && some([available], marks) ? false : null;
}

function offerOf({ name, availableVersion }: WaitingUpdate, policies: Policies) {
  return policies.packages.get(name)?.versions.find(({ version }) => version === availableVersion);
}

/** The package files that offer the available version. */
export function filesOf(update: WaitingUpdate, policies: Policies): readonly string[] {
  return offerOf(update, policies)?.files.map(({ name }) => name) ?? [];
}

function describeOrigins(update: WaitingUpdate, { policies, releases }: AptState): string | null {
  const origins = filesOf(update, policies).filter((file) => !file.startsWith("/")).map((file) => {
    const release = releases.of(file);
    return (release && describeRelease(release)) ?? siteOf(file);
  });
  return [...new Set(origins)].join(", ") || null;
}

/** As apt itself says where a release has no name: the host, or `localhost` where there is none. */
function siteOf(file: string): string {
  const [, host = "localhost"] = /^[\w+.-]+:\/\/(?:[^/@]*@)?([^/\s]+)/.exec(file) ?? [];
  return host;
}

/** What else an upgrade would do, which is no gap in the list. */
export function tellEffects({ decision }: AptState): string[] {
  if (isRefused(decision)) return [];
  const effects: string[] = [];
  if (decision.removals.length > 0) {
    effects.push(`apt-get dist-upgrade would remove ${joinNames(decision.removals)}`);
  }
  const downgrades = decision.changes.filter((change) => !isUpgrade(change));
  if (downgrades.length > 0) {
    const names = joinNames(downgrades.map(({ name }) => name));
    effects.push(`apt-get dist-upgrade would go back to an older version of ${names}`);
  }
  return effects;
}

/** What was not read, or not understood. */
export function tellGaps(
  state: AptState,
  waiting: readonly WaitingUpdate[],
  shown: ShownPackages,
): string[] {
  const { installed, decision, policies } = state;
  const gaps: string[] = isRefused(decision)
    ? [`apt-get decides nothing: ${decision.why}`]
    : [...decision.doubts];
  const untold = [...installed.packages.keys()].filter((name) => !policies.packages.has(name));
  if (untold.length > 0) gaps.push(`apt-cache policy does not tell of ${joinNames(untold)}`);
  const doubtful = waiting.filter(({ isDoubtful }) => isDoubtful).map(({ name }) => name);
  if (doubtful.length > 0) {
    gaps.push(`apt-get does not say what would become of ${joinNames(doubtful)}`);
  }
  const parts = [installed, policies, shown, ...isRefused(decision) ? [] : [decision]];
  const unparsed = parts.reduce((sum, part) => sum + part.unparsed, 0);
  if (unparsed > 0) gaps.push(`Lines of apt's answers that were not understood: ${unparsed}`);
  return gaps;
}
