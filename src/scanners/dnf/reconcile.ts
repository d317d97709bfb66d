/**
 * Explains, package by package, where dnf's answers differ: `repoquery` heeds neither priorities nor
 * dnf 4's version locks, `check-update` heeds both. A difference that no checked rule explains is a
 * doubt, and the package is listed with it. Pure.
 */

import type { CheckedUpdates, ListedRpm, ObsoletingRpm } from "./check_update.ts";
import type { AvailableRpm } from "./questions.ts";
import { type OfferedRpm, packageKey, type RpmPackage } from "./rpm_packages.ts";
import { compareEvr, formatEvr } from "./rpm_version.ts";
import type { UpdateState } from "../../update.ts";

/** What dnf answered, and how it is configured. */
export interface DnfAnswers {
  /** What is offered with excludes heeded. */
  readonly offered: readonly OfferedRpm[];
  /** What is offered besides, with excludes lifted. */
  readonly withExcluded: readonly OfferedRpm[];
  /** What is offered besides, with version locks lifted and, of dnf 5, excludes and includes as well. */
  readonly withLocked: readonly OfferedRpm[];
  /** What is offered besides, with excludes lifted and without plugins that may keep updates back. */
  readonly withoutPlugins: readonly OfferedRpm[];
  /** Dnf's own list; `undefined` if there is none. */
  readonly checked: CheckedUpdates | undefined;
  /** Dnf's own list with everything lifted; `undefined` if it was not asked for, or has no answer. */
  readonly lifted: CheckedUpdates | undefined;
  /** Which repositories have the packages that dnf's own list lacks. */
  readonly available: readonly AvailableRpm[];
  readonly rules: DnfRules;
}

/** What the configuration says. */
export interface DnfRules {
  /** `undefined`: not known. */
  priorityOf(repository: string): number | undefined;
  /** The exclude that names the package, in words; `null` if none does. */
  excludeOf(package_: RpmPackage, repository: string): string | null;
  /** Whether a version lock names it; `undefined` where the locks' own names are not known. */
  isLocked(name: string): boolean | undefined;
  readonly hasIncludes: boolean;
  /** The plugins that were left out where everything is lifted, in words; `null` if none was. */
  readonly plugins: string | null;
  /** Whether there may be any version lock. */
  readonly mayLock: boolean;
}

/** A version that dnf would not install now, and the rule that explains it. */
export interface KeptOffer {
  readonly offer: OfferedRpm;
  readonly state: UpdateState;
  readonly reason: string;
}

/** One package: what dnf would install, and what it is kept from. At least one of them is there. */
export type ReconciledOffer = TakenOffer | {
  readonly taken: null;
  readonly kept: KeptOffer;
  readonly doubt: null;
};

/** What dnf would install. */
interface TakenOffer {
  readonly taken: OfferedRpm;
  /** A newer version than `taken`. */
  readonly kept: KeptOffer | null;
  /** What is doubtful about `taken`; `null` if nothing is. */
  readonly doubt: string | null;
}

/** Every package that dnf knows an update of, each once. */
export interface Reconciliation {
  readonly offers: readonly ReconciledOffer[];
  /** Packages that would replace others, and are kept back. */
  readonly keptReplacing: readonly (ObsoletingRpm & { readonly reason: string })[];
  /** The packages on which dnf's answers do not fit together. */
  readonly doubtful: readonly string[];
}

const NOT_LISTED = "doubt: dnf's own list of updates does not have it, and no setting explains why";
const NOT_OFFERED = "doubt: only dnf's own list of updates has it";
const LOCKED = "version lock";

/** What dnf's own list lacks of what is offered: each package in its newest version. */
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
  return row !== undefined && isSame(offer, row.package);
}

/** Compares the answers; without dnf's own list every offer counts. */
export function reconcile(answers: DnfAnswers): Reconciliation {
  const { offered, withExcluded, withLocked, withoutPlugins, checked, lifted } = answers;
  const listed = newest(checked?.upgrades ?? [], (row) => row.package);
  const unlocked = newest(lifted?.upgrades ?? [], (row) => row.package);
  const sets = {
    offered: setOf(offered),
    excluded: setOf(withExcluded),
    hidden: setOf(withoutPlugins),
  };
  const all = [...offered, ...withExcluded, ...withLocked, ...withoutPlugins];
  const lifting = describeLifting(answers.rules);
  const byKey = Map.groupBy(all, packageKey);
  const doubtful: string[] = [];

  const explain = (offer: OfferedRpm): KeptOffer | null => {
    const { rules } = answers;
    const exclude = rules.excludeOf(offer, offer.repository);
    if (!sets.offered.has(nevraOf(offer))) {
      const isExcluded = sets.excluded.has(nevraOf(offer));
      const reason = exclude ?? "excluded by dnf's configuration";
      if (isExcluded) return { offer, state: "held", reason };
      if (sets.hidden.has(nevraOf(offer)) && rules.plugins !== null) {
        return { offer, state: "held", reason: describePlugins(rules.plugins) };
      }
      if (rules.isLocked(offer.name) !== false) return { offer, state: "held", reason: LOCKED };
      // With the locks dnf 5 lifts `includepkgs`, which leaves everything else out of a repository.
      return rules.hasIncludes ? null : { offer, state: "held", reason };
    }
    if (isListed(offer, unlocked)) return { offer, state: "held", reason: lifting };
    const better = findBetter(offer, answers);
    if (better !== null) return { offer, state: "pinned", reason: better };
    doubtful.push(packageKey(offer));
    return { offer, state: "upgradable", reason: NOT_LISTED };
  };

  const offers = [...byKey].flatMap(([key, own]): ReconciledOffer[] => {
    const offer = own.reduce((newest, one) => compareEvr(newest, one) < 0 ? one : newest);
    const row = listed.get(key);
    const taken = row === undefined ? null : describe(row, own);
    if (taken !== null && compareEvr(taken, offer) >= 0) {
      return [{ taken, kept: null, doubt: null }];
    }
    if (checked === undefined) {
      const isOffered = sets.offered.has(nevraOf(offer));
      const first = own.find((one) => sets.offered.has(nevraOf(one))) ?? null;
      return isOffered ? offerOf(offer, null) : offerOf(first, explain(offer));
    }
    return offerOf(taken, explain(offer));
  });
  const unknown = [...listed].filter(([key]) => !byKey.has(key));
  doubtful.push(...unknown.map(([key]) => key));
  return {
    offers: [
      ...offers,
      ...unknown.map(([, row]) => ({ taken: describe(row, []), kept: null, doubt: NOT_OFFERED })),
    ],
    keptReplacing: findKeptReplacing(answers),
    doubtful,
  };
}

/** What keeps back an update that dnf has only if locks, or plugins, are lifted. */
function describeLifting({ plugins, mayLock }: DnfRules): string {
  if (plugins === null) return LOCKED;
  return mayLock ? `${LOCKED}, or ${describePlugins(plugins)}` : describePlugins(plugins);
}

function describePlugins(plugins: string): string {
  return `kept back by dnf's plugin ${plugins}`;
}

function offerOf(taken: OfferedRpm | null, kept: KeptOffer | null): ReconciledOffer[] {
  if (taken !== null) return [{ taken, kept, doubt: null }];
  return kept === null ? [] : [{ taken, kept, doubt: null }];
}

/** A repository of a better priority has the package: dnf then takes it from no other. */
function findBetter(offer: OfferedRpm, { available, rules }: DnfAnswers): string | null {
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

function findKeptReplacing(
  { checked, lifted, rules }: DnfAnswers,
): (ObsoletingRpm & { readonly reason: string })[] {
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
  const same = offers.filter((offer) => isSame(offer, row.package));
  const offer = same.find(({ repository }) => repository === row.repository) ?? same[0];
  const { repository } = row;
  if (offer) return { ...offer, repository };
  const { sourcePackage = null, summary = null } = offers[0] ?? {};
  return { ...row.package, repository, sourcePackage, summary, sizeBytes: null };
}

function isSame(a: RpmPackage, b: RpmPackage): boolean {
  return compareEvr(a, b) === 0;
}

function nevraOf(one: RpmPackage): string {
  return `${packageKey(one)} ${formatEvr(one)}`;
}

function setOf(offers: readonly OfferedRpm[]): Set<string> {
  return new Set(offers.map(nevraOf));
}
