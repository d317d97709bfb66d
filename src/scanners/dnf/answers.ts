/** Asks dnf everything about its updates, with and without the rules that keep some of them back. */

import { joinNames } from "../../wording.ts";
import { matchesWildcard } from "../wildcard.ts";
import { dnfGaps, outputOf } from "./commands.ts";
import {
  type DnfConfiguration,
  findExclude,
  hasIncludes,
  lockedNames,
  mayHaveExcludes,
  mayHaveLocks,
  priorityOf,
  sortByCost,
  suspectPlugins,
} from "./configuration.ts";
import type { DnfDialect } from "./dialect.ts";
import type { ChosenDnfLists } from "./lists.ts";
import {
  ask,
  askOptional,
  describeAdvisories,
  type DnfContext,
  findPluginOptions,
  findReplacingSecurity,
  listAvailable,
  listReplacing,
  MOST_NAMES,
} from "./questions.ts";
import { type DnfRules, findMissing, reconcile } from "./reconcile.ts";
import {
  EMPTY_LIST,
  formatEvr,
  type OfferedRpm,
  type PackageList,
  parseOfferedRpms,
} from "./rpm.ts";
import type { DnfState } from "./updates.ts";

/** Asks dnf everything about its updates, from the lists that were chosen. */
export async function collectAnswers(
  context: DnfContext,
  configuration: DnfConfiguration,
  lists: Pick<ChosenDnfLists, "plugins" | "repositories">,
): Promise<Omit<DnfState, "installed" | "marksSecurity"> & { readonly unparsed: number }> {
  const { dialect, gaps } = context;
  const { settings } = configuration;
  const [excludes, locks] = [mayHaveExcludes(configuration), mayHaveLocks(configuration)];
  const locksHide = dialect.locksActOn === "everything";
  const { offers, pluginOptions, options } = await listOffers(context, configuration, lists);
  const hasUpdates = Object.values(offers).some(({ packages }) => packages.length > 0);
  const advisories = hasUpdates
    ? await askOptional(context, "read advisories", dialect.advisories, options)
    : EMPTY_LIST;
  const details = advisories?.packages.length ? await describeAdvisories(context, options) : [];
  const action = "check updates and list replaced packages";
  // An empty list of updates needs a confirmation: without one, the scan fails.
  const checked = hasUpdates
    ? await askOptional(context, action, dialect.updates)
    : await ask(context, action, dialect.updates);
  const replacing = await listReplacing(context, checked);
  const missing = findMissing(offers.offered.packages, checked);
  const lifting = [
    ...(excludes && (!locksHide || !locks) ? dialect.liftExcludes : []),
    ...(locks || (missing.length > 0 && !locksHide) ? dialect.liftLocks : []),
    ...pluginOptions,
  ];
  const question = dialect.replacing ?? dialect.updates;
  const lifted = lifting.length > 0
    ? await askOptional(context, "check updates that are kept back", question, lifting)
    : undefined;
  const unexplained = locksHide ? missing : findMissing(missing, lifted ?? { upgrades: [] });
  const reconciled = reconcile({
    offered: offers.offered.packages,
    withoutExcludes: offers.withoutExcludes.packages,
    withoutLocks: offers.withoutLocks.packages,
    withoutPlugins: offers.withoutPlugins.packages,
    checked: checked && {
      ...checked,
      upgrades: sortByCost(checked.upgrades, settings),
      obsoletes: replacing.packages,
    },
    lifted,
    available: await listAvailable(context, [...new Set(unexplained.map(({ name }) => name))]),
    rules: rulesOf(configuration, dialect, pluginOptions.length > 0 ? lists.plugins : []),
  });
  if (reconciled.doubtful.length > 0) {
    const names = joinNames(reconciled.doubtful, MOST_NAMES);
    gaps.push(`Two of dnf's answers contradict each other about the updates of ${names}`);
  }
  const all = [...Object.values(offers), advisories, checked, replacing, lifted];
  const replacingRpms = [...replacing.packages, ...reconciled.blockedReplacing]
    .map((row) => row.package);
  return {
    offers: reconciled.offers,
    blockedReplacing: reconciled.blockedReplacing,
    obsoletes: sortByCost(replacing.packages, settings),
    replacingSecurity: await findReplacingSecurity(context, replacingRpms, lifting),
    advisories: advisories?.packages ?? null,
    details,
    unparsed: all.reduce((sum, list) => sum + (list?.unparsed ?? 0), 0),
  };
}

/**
 * Lists the updates, and again with the rules lifted that may hide some. `options` lift the rules that
 * do: dnf lists the advisories of hidden updates only with them.
 */
async function listOffers(
  context: DnfContext,
  configuration: DnfConfiguration,
  lists: Pick<ChosenDnfLists, "plugins" | "repositories">,
) {
  const { dialect } = context;
  const listLifted = async (isNeeded: boolean, options: readonly string[]) =>
    isNeeded && await askOptional(context, "list excluded updates", dialect.offered, options) ||
    EMPTY_LIST;
  const excludes = mayHaveExcludes(configuration);
  const locksHide = mayHaveLocks(configuration) && dialect.locksActOn === "everything";
  const offered = await listOffered(context);
  const withoutExcludes = await listLifted(excludes, dialect.liftExcludes);
  const withoutLocks = await listLifted(locksHide, dialect.liftLocks);
  const pluginOptions = await findPluginOptions(context, lists);
  const liftAll = [...(excludes ? dialect.liftExcludes : []), ...pluginOptions];
  const withoutPlugins = await listLifted(pluginOptions.length > 0, liftAll);
  const options = withoutLocks.packages.length > 0
    ? dialect.liftLocks
    : withoutPlugins.packages.length > 0
    ? liftAll
    : withoutExcludes.packages.length > 0
    ? dialect.liftExcludes
    : [];
  const offers = { offered, withoutExcludes, withoutLocks, withoutPlugins };
  return { offers, pluginOptions, options };
}

/** Lists the updates that dnf offers; the scan fails without them. */
async function listOffered(
  { commands, program, dialect, gaps }: DnfContext,
): Promise<PackageList<OfferedRpm>> {
  const action = "list updates with dnf";
  const result = await commands.run(action, [...program, "-C", ...dialect.offered.command]);
  const offered = parseOfferedRpms(outputOf(action, result));
  gaps.push(...dnfGaps(result));
  return offered;
}

/** The rules of the configuration; `plugins` are those that dnf loads if suspect ones were disabled. */
function rulesOf(
  configuration: DnfConfiguration,
  dialect: DnfDialect,
  plugins: readonly string[],
): DnfRules {
  const { settings } = configuration;
  const names = dialect.locksActOn === "everything" ? lockedNames(configuration) : undefined;
  const suspects = suspectPlugins(plugins);
  return {
    priorityOf: (repository) => priorityOf(repository, settings),
    excludeOf: (package_, repository) => {
      const { name, architecture } = package_;
      const full = `${name}-${formatEvr(package_)}`;
      const forms = [name, `${name}.${architecture}`, full, `${full}.${architecture}`];
      return findExclude(forms, repository, settings);
    },
    isLocked: (name) => names?.some((pattern) => matchesWildcard(pattern, name)),
    hasIncludes: hasIncludes(settings),
    plugins: suspects.length > 0 ? joinNames(suspects, MOST_NAMES) : null,
    mayHaveLocks: mayHaveLocks(configuration),
  };
}
