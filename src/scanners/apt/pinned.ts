/** Finds what preferences (pins, `APT::Default-Release`) keep from being installed. Pure. */

import type { AptName } from "./name.ts";
import type { InstalledPackages } from "./installed.ts";
import type { OfferedVersion, PackagePolicy, Policies } from "./policy.ts";
import { distributionOf, isSecurityRelease, type Release } from "./releases.ts";
import type { Releases } from "./sources.ts";
import { compareDebianVersions } from "./debian_version.ts";

/** A newer version that a preference outranks. */
export interface PinnedVersion {
  readonly version: string;
  /** The priorities that decide, in words. */
  readonly reason: string;
}

/** The priority that `APT::Default-Release` gives: apt_preferences(5). */
const DEFAULT_RELEASE = 990;

/**
 * Of each installed package the newest version that is newer than the installed one and than apt's
 * candidate. Versions of another release of the same distribution, and those that are installed only if
 * somebody asks for them (backports, experimental), are not waiting for anything.
 */
export function findPinned({ installed, policies, releases }: {
  readonly installed: InstalledPackages;
  readonly policies: Policies;
  readonly releases: Releases;
}): Map<AptName, PinnedVersion> {
  const found = new Map<AptName, PinnedVersion>();
  for (const [name, { version }] of installed.packages) {
    const policy = policies.packages.get(name);
    if (!policy) continue;
    const pinned = findNewest(policy, version, releases);
    if (pinned) found.set(name, { version: pinned.version, reason: reasonOf(pinned, policy) });
  }
  return found;
}

function findNewest(
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

/** A pin of the package has given this version another priority than its files have. */
function isPinnedItself({ priority, files }: OfferedVersion): boolean {
  return files.length > 0 && priority !== Math.max(...files.map((file) => file.priority));
}

/** The distributions that the host takes this package from. */
function distributionsOf(
  { candidate, versions }: PackagePolicy,
  installedVersion: string,
  releases: Releases,
): ReadonlySet<string> {
  const taken = versions.filter(({ version }) =>
    version === candidate || version === installedVersion
  );
  const known = taken.flatMap(({ files }) => files).map(({ name }) => {
    const release = releases.of(name);
    return release && distributionOf(release);
  });
  return new Set(known.filter((name) => name != null));
}

/** Whether a release is of the same distributor, and yet another distribution: `trixie` on `bookworm`. */
function isOtherDistribution(release: Release, base: ReadonlySet<string>): boolean {
  const own = distributionOf(release);
  if (own === null || base.has(own)) return false;
  return [...base].some((name) => name.startsWith(`${release.origin} `));
}

function reasonOf(pinned: OfferedVersion, { candidate, versions }: PackagePolicy): string {
  const preferred = versions.find(({ version }) => version === candidate);
  const own = `priority ${pinned.priority} of ${pinned.version}`;
  if (!preferred) return `${own}: no version may be installed`;
  const isDefault = preferred.files.some(({ priority }) => priority === DEFAULT_RELEASE);
  const cause = isDefault ? "APT::Default-Release or a pin" : "a pin";
  return `${cause}: ${own} is below ${preferred.priority} of ${preferred.version}`;
}
