/** Keeps of what repositories offer what dnf would take: `repoquery` knows nothing of priorities. */

import type { CheckedUpdates, ListedRpm } from "./dnf_check_update.ts";
import { enumerate } from "./enumerate.ts";
import { type OfferedRpm, packageKey, type RpmPackage } from "./rpm_packages.ts";
import { compareEvr } from "./rpm_version.ts";

/** How many packages a warning names. */
const TOLD_PACKAGES = 5;

/** What dnf would take, each package once, and what it passes over. */
export interface ConfirmedOffers {
  readonly taken: readonly OfferedRpm[];
  /** Offers of packages that dnf takes no update of: a better repository has no newer one. */
  readonly passedOver: readonly OfferedRpm[];
  readonly warnings: readonly string[];
}

/**
 * Compares the offers with dnf's own list; without that list every offer counts. Where they differ
 * and no priority explains it, both count, and a warning names the package.
 */
export function confirmOffers(
  offered: readonly OfferedRpm[],
  checked: Pick<CheckedUpdates, "upgrades" | "unparsed"> | undefined,
  hasPriorities: boolean,
): ConfirmedOffers {
  const offers = newestOffers(offered);
  if (!checked) return { taken: offers, passedOver: [], warnings: [] };
  // A row that was not understood may be the one that is missing.
  const isExplained = hasPriorities && checked.unparsed === 0;
  const byKey = Map.groupBy(offered, packageKey);
  const listed = newest(checked.upgrades, (row) => row.package);
  const missing = offers.filter((offer) => !listed.has(packageKey(offer)));
  const known = [...listed].filter(([key]) => byKey.has(key));
  const unknown = [...listed].filter(([key]) => !byKey.has(key));
  const others = known.filter(([key, row]) => !byKey.get(key)?.some((offer) => isSame(offer, row)));
  const doubtful = [
    ...unknown.map(([key]) => key),
    ...isExplained ? [] : [...others.map(([key]) => key), ...missing.map(packageKey)],
  ];
  const taken = offers.flatMap((offer) => {
    const row = listed.get(packageKey(offer));
    if (row) return [describe(row, byKey.get(packageKey(offer)) ?? [])];
    return isExplained ? [] : [offer];
  });
  return {
    taken: [...taken, ...unknown.map(([, row]) => describe(row, []))],
    passedOver: isExplained ? missing : [],
    warnings: doubtful.length > 0 ? [tellDoubt(doubtful)] : [],
  };
}

/** Of each package the newest offer, and of several like it the first. */
export function newestOffers(offered: readonly OfferedRpm[]): OfferedRpm[] {
  return [...newest(offered, (offer) => offer).values()];
}

/** By package; of several of one version the first, which is what dnf takes. */
function newest<T>(items: readonly T[], rpmOf: (item: T) => RpmPackage): Map<string, T> {
  const found = new Map<string, T>();
  for (const item of items) {
    const rpm = rpmOf(item);
    const before = found.get(packageKey(rpm));
    if (before === undefined || compareEvr(rpmOf(before), rpm) < 0) {
      found.set(packageKey(rpm), item);
    }
  }
  return found;
}

/** The row as an offer. Of another version a package tells what it is for, and not its size. */
function describe(row: ListedRpm, offers: readonly OfferedRpm[]): OfferedRpm {
  const same = offers.filter((offer) => isSame(offer, row));
  const offer = same.find(({ repository }) => repository === row.repository) ?? same[0];
  const { repository } = row;
  if (offer) return { ...offer, repository };
  const { sourcePackage = null, summary = null } = offers[0] ?? {};
  return { ...row.package, repository, sourcePackage, summary, sizeBytes: null };
}

function isSame(offer: OfferedRpm, row: ListedRpm): boolean {
  return compareEvr(offer, row.package) === 0;
}

function tellDoubt(keys: readonly string[]): string {
  const told = enumerate(keys, TOLD_PACKAGES);
  return `Two of dnf's answers do not fit together, on the updates of ${told}`;
}
