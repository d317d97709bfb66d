/**
 * Explains, per package, why dnf's answers differ: `repoquery` ignores priorities and dnf 4's version
 * locks, `check-update` applies both. A difference that no rule explains is a doubt, and the package
 * is listed with it. Pure.
 */

import type { UpdateState } from "../../update.ts";
import type { CheckedUpdates, ListedRpm, ObsoletingRpm } from "./dialect.ts";
import {
  type AvailableRpm,
  compareEvr,
  formatEvr,
  type OfferedRpm,
  packageKey,
  type RpmPackage,
} from "./rpm.ts";

/** What dnf answered, and how it is configured. */
export interface DnfAnswers {
  /** The updates with all excludes in force. */
  readonly offered: readonly OfferedRpm[];
  /** The updates with excludes lifted. */
  readonly withoutExcludes: readonly OfferedRpm[];
  /** The updates with version locks lifted and, for dnf 5, excludes and includes as well. */
  readonly withoutLocks: readonly OfferedRpm[];
  /** The updates with excludes lifted and without plugins that may hide updates. */
  readonly withoutPlugins: readonly OfferedRpm[];
  readonly checked: CheckedUpdates | undefined;
  /** Dnf's own list with everything lifted; `undefined` if it was not asked for or has no answer. */
  readonly lifted: CheckedUpdates | undefined;
  /** The repositories of the packages that dnf's own list lacks. */
  readonly available: readonly AvailableRpm[];
  readonly rules: DnfRules;
}

export interface DnfRules {
  /** `undefined` if unknown. */
  priorityOf(repository: string): number | undefined;
  /** The exclude that names the package, in words; `null` if none does. */
  excludeOf(package_: RpmPackage, repository: string): string | null;
  /** Whether a version lock names it; `undefined` if the locks' names are unknown. */
  isLocked(name: string): boolean | undefined;
  readonly hasIncludes: boolean;
  /** The plugins that were disabled to lift their effects, in words; `null` if none was. */
  readonly plugins: string | null;
  readonly mayHaveLocks: boolean;
}

/** A version that dnf would not install now, and the rule that explains it. */
interface BlockedOffer {
  readonly offer: OfferedRpm;
  readonly state: UpdateState;
  readonly reason: string;
}

/** What dnf would install of a package, and what it would not: at least one of them. */
export type ReconciledOffer = {
  readonly installable: OfferedRpm;
  /** A version newer than `installable`. */
  readonly blocked: BlockedOffer | null;
  /** A doubt about `installable`; `null` if there is none. */
  readonly doubt: string | null;
} | {
  readonly installable: null;
  readonly blocked: BlockedOffer;
  readonly doubt: null;
};

/** A package that would replace others and is kept back. */
type BlockedReplacing = ObsoletingRpm & { readonly reason: string };

/** Every package that has an update, once. */
export interface Reconciliation {
  readonly offers: readonly ReconciledOffer[];
  readonly blockedReplacing: readonly BlockedReplacing[];
  /** The packages about which dnf's answers contradict each other. */
  readonly doubtful: readonly string[];
}

const NOT_LISTED = "doubt: dnf's own list of updates does not have it, and no setting explains why";
const NOT_OFFERED = "doubt: only dnf's own list of updates has it";
const LOCKED = "version lock";

/** The newest offer of each package that dnf's own list lacks. */
export function findMissing(
  offered: readonly OfferedRpm[],
  checked: Pick<CheckedUpdates, "upgrades"> | undefined,
): OfferedRpm[] {
  if (checked === undefined) return [];
  const listed = newest(checked.upgrades, (row) => row.package);
  return newestOffers(offered).filter((offer) => !isListed(offer, listed));
}

function isListed(offer: OfferedRpm, listed: ReadonlyMap<string, ListedRpm>): boolean {
  const row = listed.get(packageKey(offer));
  return row !== undefined && compareEvr(offer, row.package) === 0;
}

/** Compares the answers; without dnf's own list every offer counts as installable. */
export function reconcile(answers: DnfAnswers): Reconciliation {
  const { offered, withoutExcludes, withoutLocks, withoutPlugins, checked, lifted } = answers;
  const { rules } = answers;
  const listed = newest(checked?.upgrades ?? [], (row) => row.package);
  const unlocked = newest(lifted?.upgrades ?? [], (row) => row.package);
  const nevras = {
    offered: new Set(offered.map(nevraOf)),
    excluded: new Set(withoutExcludes.map(nevraOf)),
    hidden: new Set(withoutPlugins.map(nevraOf)),
  };
  const all = [...offered, ...withoutExcludes, ...withoutLocks, ...withoutPlugins];
  const byKey = Map.groupBy(all, packageKey);
  const doubtful: string[] = [];

  const explain = (offer: OfferedRpm): BlockedOffer | null => {
    const nevra = nevraOf(offer);
    if (!nevras.offered.has(nevra)) {
      const held = (reason: string) => ({ offer, state: "held" as const, reason });
      const exclude = rules.excludeOf(offer, offer.repository) ?? "excluded by dnf's configuration";
      if (nevras.excluded.has(nevra)) return held(exclude);
      if (nevras.hidden.has(nevra) && rules.plugins !== null) {
        return held(describePlugins(rules.plugins));
      }
      if (rules.isLocked(offer.name) !== false) return held(LOCKED);
      // Dnf 5 lifts `includepkgs`, which excludes all other packages, together with the locks.
      return rules.hasIncludes ? null : held(exclude);
    }
    if (isListed(offer, unlocked)) return { offer, state: "held", reason: describeLifting(rules) };
    const preferred = findPreferred(offer, answers);
    if (preferred !== null) return { offer, state: "pinned", reason: preferred };
    doubtful.push(packageKey(offer));
    return { offer, state: "upgradable", reason: NOT_LISTED };
  };

  const offers = [...byKey].flatMap(([key, own]): ReconciledOffer[] => {
    const offer = own.reduce((newest, one) => compareEvr(newest, one) < 0 ? one : newest);
    const row = listed.get(key);
    const installable = row === undefined ? null : offerOf(row, own);
    if (installable !== null && compareEvr(installable, offer) >= 0) {
      return [{ installable, blocked: null, doubt: null }];
    }
    if (checked === undefined) {
      const isOffered = nevras.offered.has(nevraOf(offer));
      const first = own.find((one) => nevras.offered.has(nevraOf(one))) ?? null;
      return isOffered ? reconciled(offer, null) : reconciled(first, explain(offer));
    }
    return reconciled(installable, explain(offer));
  });
  const unknown = [...listed].filter(([key]) => !byKey.has(key));
  doubtful.push(...unknown.map(([key]) => key));
  const onlyListed = unknown.map(([, row]): ReconciledOffer => (
    { installable: offerOf(row, []), blocked: null, doubt: NOT_OFFERED }
  ));
  const blockedReplacing = findBlockedReplacing(answers);
  return { offers: [...offers, ...onlyListed], blockedReplacing, doubtful };
}

/** The rule that keeps back an update which dnf lists only if locks, or plugins, are lifted. */
function describeLifting({ plugins, mayHaveLocks }: DnfRules): string {
  if (plugins === null) return LOCKED;
  return mayHaveLocks ? `${LOCKED}, or ${describePlugins(plugins)}` : describePlugins(plugins);
}

function describePlugins(plugins: string): string {
  return `kept back by dnf's plugin ${plugins}`;
}

function reconciled(
  installable: OfferedRpm | null,
  blocked: BlockedOffer | null,
): ReconciledOffer[] {
  if (installable !== null) return [{ installable, blocked, doubt: null }];
  return blocked === null ? [] : [{ installable, blocked, doubt: null }];
}

/** Finds a repository of better priority with the package: dnf then installs from no other. */
function findPreferred(offer: OfferedRpm, { available, rules }: DnfAnswers): string | null {
  const own = rules.priorityOf(offer.repository);
  if (own === undefined) return null;
  const isOther = (architecture: string) =>
    architecture !== offer.architecture && architecture !== "noarch" &&
    offer.architecture !== "noarch";
  for (const { name, architecture, repository } of available) {
    if (name !== offer.name || isOther(architecture)) continue;
    const priority = rules.priorityOf(repository);
    if (priority !== undefined && priority < own) {
      return `repository ${repository} has priority ${priority}, ${offer.repository} has ${own}`;
    }
  }
  return null;
}

function findBlockedReplacing({ checked, lifted, rules }: DnfAnswers): BlockedReplacing[] {
  if (lifted === undefined || checked === undefined) return [];
  const known = new Set(checked.obsoletes.map((row) => packageKey(row.package)));
  return lifted.obsoletes.filter((row) => !known.has(packageKey(row.package))).flatMap((row) => {
    const exclude = rules.excludeOf(row.package, row.repository);
    const locked = row.replaces.some(({ name }) => rules.isLocked(name) !== false) ||
      rules.isLocked(row.package.name) === true;
    const reason = exclude ??
      (locked ? describeLifting(rules) : rules.hasIncludes ? null : "kept back by dnf");
    return reason === null ? [] : [{ ...row, reason }];
  });
}

/** The newest offer of each package; of equal versions the first. */
export function newestOffers(offered: readonly OfferedRpm[]): OfferedRpm[] {
  return [...newest(offered, (offer) => offer).values()];
}

/** The newest item of each package; of equal versions the first, which is what dnf installs. */
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

/** The row as an offer. An offer of another version has the same summary, but not the same size. */
function offerOf(row: ListedRpm, offers: readonly OfferedRpm[]): OfferedRpm {
  const same = offers.filter((offer) => compareEvr(offer, row.package) === 0);
  const offer = same.find(({ repository }) => repository === row.repository) ?? same[0];
  const { repository } = row;
  if (offer) return { ...offer, repository };
  const { sourcePackage = null, summary = null } = offers[0] ?? {};
  return { ...row.package, repository, sourcePackage, summary, sizeBytes: null };
}

function nevraOf(one: RpmPackage): string {
  return `${packageKey(one)} ${formatEvr(one)}`;
}
