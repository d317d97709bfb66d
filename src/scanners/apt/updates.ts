/** Describes the waiting updates, the gaps in their list and what else an upgrade would do. Pure. */

import { joinNames } from "../../wording.ts";
import type { RebootHint, Update } from "../../update.ts";
import { outputLines } from "../programs.ts";
import { changelogFacts, type ChangelogOrigin } from "./changelogs.ts";
import {
  compareDebianVersions,
  type OfferedVersion,
  type PackageDetails,
  type Policies,
  type ShownPackages,
  splitAptName,
} from "./packages.ts";
import { fixedCves, type SecurityData } from "./security_data.ts";
import { describeRelease, isSecurityRelease, marksSecurity, type Release } from "./sources.ts";
import { type AptState, isRefused, isUpgrade, type WaitingUpdate } from "./upgrade.ts";

/** Further facts about the updates, as far as they were available. */
interface AptDetails {
  /** From `apt-cache show`. */
  readonly shown: ShownPackages;
  /** The ones that take precedence come first. */
  readonly changelogs: readonly ChangelogOrigin[];
  /** The findings of security tools on this host. */
  readonly security: readonly SecurityData[];
}

/** Facts about one version of a package besides its number. */
type VersionDetails =
  & Pick<PackageDetails, "name" | "version" | "architecture">
  & Partial<PackageDetails>;

/** Joins everything that is known of each waiting update. */
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
    const { advisories, urgency, ...found } = readFacts(changelogs, sourcePackage, update);
    const { cves, cveSources } = joinCves(found, security, { update, state });
    const package_ = splitAptName(name).name;
    return {
      package: package_,
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
      reboot: rebootHint(package_),
    };
  });
}

/** Facts from the first changelog that has the waiting version. */
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

/** Adds the CVEs that each tool found and this update fixes. Returns each once, and the origins of any. */
function joinCves(
  facts: { readonly origin: string; readonly cves: readonly string[] },
  security: readonly SecurityData[],
  { update, state }: { update: WaitingUpdate; state: AptState },
): { cves: string[]; cveSources: string[] } {
  const offered = state.policies.packages.get(update.name)?.versions ?? [];
  const versions = offered.map(({ version }) => version).toSorted(compareDebianVersions);
  const newestVersion = versions.at(-1) ?? update.availableVersion;
  const fixed = security.map((data) => ({
    origin: data.origin,
    cves: fixedCves(data, { ...update, newestVersion }),
  }));
  const found = [facts, ...fixed].filter(({ cves }) => cves.length > 0);
  return {
    cves: [...new Set(found.flatMap(({ cves }) => cves))],
    cveSources: found.map(({ origin }) => origin),
  };
}

/** The updates whose size and architecture are not part of apt's decision. */
export function findUndescribed(
  waiting: readonly WaitingUpdate[],
  state: AptState,
): readonly WaitingUpdate[] {
  const details = indexDetails(state, { packages: [], unparsed: 0 });
  return waiting.filter(({ name, availableVersion }) =>
    !details.has(`${name}=${availableVersion}`)
  );
}

/** Indexes details by `name=version`, with apt's names. */
function indexDetails({ installed, decision }: AptState, { packages }: ShownPackages) {
  const downloads = isRefused(decision) ? [] : decision.downloads;
  const all: VersionDetails[] = [...downloads, ...packages];
  return new Map(all.map((details): [string, VersionDetails] => {
    const { name, version, architecture } = details;
    const isOwn = architecture === "all" || architecture === installed.ownArchitecture;
    return [`${isOwn ? name : `${name}:${architecture}`}=${version}`, details];
  }));
}

/**
 * Whether the update contains a security fix. Any version between the current and the available one may
 * be the one with the fix, even if a later one from elsewhere hides it. `null` where none of the sources
 * that offer it marks its security updates.
 */
function isSecurity(update: WaitingUpdate, { policies, releases }: AptState): boolean | null {
  const onTheWay = (policies.packages.get(update.name)?.versions ?? []).filter(({ version }) =>
    compareDebianVersions(version, update.currentVersion) > 0 &&
    compareDebianVersions(version, update.availableVersion) <= 0
  );
  const some = (versions: readonly OfferedVersion[], is: (release: Release) => boolean) =>
    versions.some(({ files }) =>
      files.some(({ name }) => {
        const release = releases.of(name);
        return release !== undefined && is(release);
      })
    );
  if (some(onTheWay, isSecurityRelease)) return true;
  const available = offerOf(update, policies);
  const marks = (release: Release) => marksSecurity(release, releases.enabled);
  return available && some([available], marks) ? false : null;
}

function offerOf({ name, availableVersion }: WaitingUpdate, policies: Policies) {
  return policies.packages.get(name)?.versions.find(({ version }) => version === availableVersion);
}

/** The package files that offer the available version. */
function filesOf(update: WaitingUpdate, policies: Policies): readonly string[] {
  return offerOf(update, policies)?.files.map(({ name }) => name) ?? [];
}

/** The releases that offer the update; like apt, the host (or `localhost`) of one without a name. */
function describeOrigins(update: WaitingUpdate, { policies, releases }: AptState): string | null {
  const origins = filesOf(update, policies).filter((file) => !file.startsWith("/")).map((file) => {
    const release = releases.of(file);
    const [, host = "localhost"] = /^[\w+.-]+:\/\/(?:[^/@]*@)?([^/\s]+)/.exec(file) ?? [];
    return (release && describeRelease(release)) ?? host;
  });
  return [...new Set(origins)].join(", ") || null;
}

/** Parses a list of package files, one per line, named as in `OfferedVersion.files`. */
export function parsePackageFiles(text: string): ReadonlySet<string> {
  return new Set(outputLines(text).lines.filter((line) => line !== ""));
}

/** Names the updates that only the files in `untrusted` offer: apt prefers a signed file. */
export function describeUntrusted(
  waiting: readonly WaitingUpdate[],
  policies: Policies,
  untrusted: ReadonlySet<string>,
): string[] {
  const names = waiting.filter((update) => {
    const files = filesOf(update, policies);
    return files.length > 0 && files.every((file) => untrusted.has(file));
  }).map(({ name }) => name);
  if (names.length === 0) return [];
  return [`apt cannot authenticate ${joinNames(names)}: not offered by a signed source`];
}

/** Names what else an upgrade would do; no update is missing because of it. */
export function describeSideEffects({ decision }: AptState): string[] {
  if (isRefused(decision)) return [];
  const effects: string[] = [];
  if (decision.removals.length > 0) {
    effects.push(`apt-get dist-upgrade would remove ${joinNames(decision.removals)}`);
  }
  const downgrades = decision.changes.filter((change) => !isUpgrade(change));
  if (downgrades.length > 0) {
    const names = joinNames(downgrades.map(({ name }) => name));
    effects.push(`apt-get dist-upgrade would downgrade ${names}`);
  }
  return effects;
}

/** Names what could not be read or parsed. */
export function describeGaps(
  state: AptState,
  waiting: readonly WaitingUpdate[],
  shown: ShownPackages,
): string[] {
  const { installed, decision, policies } = state;
  const gaps: string[] = isRefused(decision)
    ? [`Cannot compute an upgrade with apt-get: ${decision.why}`]
    : [...decision.doubts];
  const missing = [...installed.packages.keys()].filter((name) => !policies.packages.has(name));
  if (missing.length > 0) gaps.push(`apt-cache policy does not list ${joinNames(missing)}`);
  const doubtful = waiting.filter(({ isDoubtful }) => isDoubtful).map(({ name }) => name);
  if (doubtful.length > 0) gaps.push(`apt-get does not mention ${joinNames(doubtful)}`);
  const parts = [installed, policies, shown, ...isRefused(decision) ? [] : [decision]];
  const unparsed = parts.reduce((sum, part) => sum + part.unparsed, 0);
  if (unparsed > 0) gaps.push(`Lines of apt's answers that were not understood: ${unparsed}`);
  return gaps;
}

/**
 * Kernels (Debian's, Ubuntu's for each cloud and board, Proxmox', the Raspberry Pi's), the Xen
 * hypervisor, their firmware, the C library, systemd, D-Bus and microcode take effect only with a
 * reboot; apt itself marks none of them.
 */
const WANTS_REBOOT = [
  /^linux-image-./,
  /^linux-(?:generic|virtual|lowlatency|aws|azure|gcp|gke|gkeop|ibm|kvm|oracle)(?:-|$)/,
  /^linux-(?:oem|realtime|nvidia|intel|raspi|rpi|allwinner|starfive|xilinx|laptop)(?:-|$)/,
  /^xen-hypervisor-./,
  /^(?:proxmox|pve)-kernel-./,
  /^(?:raspberrypi-(?:kernel|bootloader)|rpi-eeprom|raspi-firmware)$/,
  /^(?:libc6|systemd|dbus|dbus-daemon|dbus-broker)$/,
  /^(?:amd64|intel)-microcode$/,
];

/** Headers, tools and other packages that belong to a kernel, and need no reboot. */
const NO_KERNEL = /-(?:headers|tools|dbg|dbgsym|doc|cloud-tools|buildinfo)(?:-|$)/;

/** Whether an update of the package may need a reboot, by its name alone. */
export function rebootHint(name: string): RebootHint | null {
  return WANTS_REBOOT.some((names) => names.test(name)) && !NO_KERNEL.test(name) ? "maybe" : null;
}
