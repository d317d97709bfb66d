/** Decides from what apt's commands told which updates are waiting, and in what state. Pure. */

import { changelogFacts, type Changelogs } from "./apt_changelogs.ts";
import type { InstalledPackages } from "./apt_installed.ts";
import { type AptName, splitAptName } from "./apt_name.ts";
import type { PackagePolicy, Policies } from "./apt_policy.ts";
import { describeRelease, isSecurityRelease, type Releases } from "./apt_releases.ts";
import type { PackageDetails, ShownPackages } from "./apt_show.ts";
import type { Simulation } from "./apt_simulation.ts";
import { compareDebianVersions } from "./debian_version.ts";
import { enumerate } from "./enumerate.ts";
import type { Update, UpdateState } from "./scanner.ts";

/** What the host has and what apt offers, read at one moment. */
export interface AptState {
  readonly installed: InstalledPackages;
  /** `null`: apt would not simulate, because what is installed does not fit together. */
  readonly simulation: Simulation | null;
  readonly policies: Policies;
  readonly releases: Releases;
}

/** An update of which size and purpose are not yet known. */
export interface WaitingUpdate {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly availableVersion: string;
  readonly architecture: string | null;
  readonly origins: string | null;
  readonly state: UpdateState;
}

/**
 * What is waiting: all that apt would upgrade now, and all that it would not although its candidate
 * is newer. Without a simulation nothing can be upgraded.
 */
export function findWaiting({ installed, simulation, policies }: AptState): WaitingUpdate[] {
  const changes = simulation?.changes ?? [];
  const waiting = changes.filter(isUpgrade).map((change): WaitingUpdate => ({
    ...change,
    availableVersion: change.newVersion,
    state: "upgradable",
  }));
  const settled = new Set(changes.map(({ name }) => name));
  for (const [name, { version, architecture, isHeld }] of installed.packages) {
    const policy = policies.packages.get(name);
    const candidate = policy?.candidate;
    if (settled.has(name) || !policy || !candidate) continue;
    if (compareDebianVersions(candidate, version) <= 0) continue;
    waiting.push({
      name,
      currentVersion: version,
      availableVersion: candidate,
      architecture,
      origins: null,
      state: isHeld ? "held" : isPhased(policy, candidate) ? "phased" : "kept_back",
    });
  }
  return waiting;
}

/**
 * Priorities may also have a package replaced by an older version; that is no update. The same
 * version, built anew, is one: apt lists it among what it upgrades.
 */
function isUpgrade(change: { currentVersion: string; newVersion: string }): boolean {
  return compareDebianVersions(change.newVersion, change.currentVersion) >= 0;
}

function isPhased({ versions }: PackagePolicy, candidate: string): boolean {
  return versions.some(({ version, isPhased }) => version === candidate && isPhased);
}

/** What was read of the updates besides, as far as it was. */
export interface AptDetails {
  /** What `apt-cache show` told. */
  readonly shown: ShownPackages;
  readonly changelogs: Changelogs;
}

/** The updates in full. */
export function describeUpdates(
  waiting: readonly WaitingUpdate[],
  state: AptState,
  { shown, changelogs }: AptDetails,
): Update[] {
  const details = indexDetails(shown, state.installed.ownArchitecture);
  return waiting.map((update) => {
    const { name, currentVersion, availableVersion } = update;
    const known = details.get(`${name}=${availableVersion}`);
    const installed = state.installed.packages.get(name);
    const sourcePackage = known?.sourcePackage ?? installed?.sourcePackage ?? null;
    const { cves, advisories, urgency } = changelogFacts(changelogs, sourcePackage ?? "", update);
    return {
      package: splitAptName(name).name,
      currentVersion,
      availableVersion,
      architecture: known?.architecture ?? update.architecture,
      source: update.origins ?? describeOrigins(update, state),
      state: update.state,
      severity: null,
      severityReason: urgency === null
        ? "apt does not tell"
        : `apt does not tell; the changelog says urgency ${urgency}`,
      security: isSecurity(update, state),
      cves,
      advisories,
      sizeBytes: known?.sizeBytes ?? null,
      description: known?.description ?? null,
      sourcePackage,
      reboot: wantsReboot(splitAptName(name).name) ? "maybe" : null,
    };
  });
}

/**
 * Kernels, the C library, systemd, D-Bus and microcode take effect only with a restart; apt itself does
 * not tell of any.
 */
function wantsReboot(name: string): boolean {
  return /^(linux-image-.+|linux-generic.*|libc6|systemd|dbus|(amd64|intel)-microcode)$/.test(name);
}

/** By `name=version`, as they were asked for. */
function indexDetails({ packages }: ShownPackages, ownArchitecture: string | null) {
  return new Map(packages.map((details): [string, PackageDetails] => {
    const { name, version, architecture } = details;
    const isOwn = architecture === "all" || architecture === ownArchitecture;
    return [`${isOwn ? name : `${name}:${architecture}`}=${version}`, details];
  }));
}

/**
 * Whether a hole is closed by going to the available version: any version on the way there may be
 * the one that does, even if a later one from elsewhere hides it. `null` where no package file of the
 * host is marked as security's, so that nothing can be told.
 */
function isSecurity(update: WaitingUpdate, { policies, releases }: AptState): boolean | null {
  const isMarked = (file: string) => {
    const release = releases.files.get(file);
    return release !== undefined && isSecurityRelease(release);
  };
  const policy = policies.packages.get(update.name);
  if (!policy || ![...releases.files.keys()].some(isMarked)) return null;
  return policy.versions.some(({ version, files }) =>
    compareDebianVersions(version, update.currentVersion) > 0 &&
    compareDebianVersions(version, update.availableVersion) <= 0 &&
    files.some(isMarked)
  );
}

/** The package files that offer the available version. */
export function filesOf(
  { name, availableVersion }: WaitingUpdate,
  policies: Policies,
): readonly string[] {
  const versions = policies.packages.get(name)?.versions ?? [];
  return versions.find(({ version }) => version === availableVersion)?.files ?? [];
}

function describeOrigins(update: WaitingUpdate, state: AptState): string | null {
  const origins = filesOf(update, state.policies).map((file) => {
    const release = state.releases.files.get(file);
    return release ? describeRelease(release) : null;
  }).filter((origin) => origin !== null);
  return [...new Set(origins)].join(", ") || null;
}

/** What else an upgrade would do, which is no gap in the list. */
export function tellEffects({ simulation }: AptState): string[] {
  const effects: string[] = [];
  if (simulation && simulation.removals.length > 0) {
    effects.push(`apt-get dist-upgrade would remove ${enumerate(simulation.removals)}`);
  }
  const downgrades = simulation?.changes.filter((change) => !isUpgrade(change)) ?? [];
  if (downgrades.length > 0) {
    const names = enumerate(downgrades.map(({ name }) => name));
    effects.push(`apt-get dist-upgrade would go back to an older version of ${names}`);
  }
  return effects;
}

/** What was not read, or not understood. */
export function tellGaps(state: AptState, shown: ShownPackages): string[] {
  const { installed, simulation, policies, releases } = state;
  const gaps: string[] = [];
  const untold = [...installed.packages.keys()].filter((name) => !policies.packages.has(name));
  if (untold.length > 0) gaps.push(`apt-cache policy does not tell of ${enumerate(untold)}`);
  const parts = [installed, simulation, policies, releases, shown];
  const unparsed = parts.reduce((sum, part) => sum + (part?.unparsed ?? 0), 0);
  if (unparsed > 0) gaps.push(`Lines of apt's answers that were not understood: ${unparsed}`);
  return gaps;
}
