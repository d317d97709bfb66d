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
import type { ChosenLists } from "./lists.ts";
import {
  checkLifted,
  checkUpdates,
  describeAdvisories,
  type DnfContext,
  findPluginOptions,
  findReplacingSecurity,
  listAdvisories,
  listAvailable,
  listLifted,
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
  lists: Pick<ChosenLists, "plugins" | "repositories">,
): Promise<Omit<DnfState, "installed" | "marksSecurity"> & { readonly unparsed: number }> {
  const { dialect, gaps } = context;
  const { settings } = configuration;
  const [excludes, locks] = [mayHaveExcludes(configuration), mayHaveLocks(configuration)];
  const locksHide = dialect.locksActOn === "everything";
  const offered = await listOffered(context);
  const excluded = excludes ? await listLifted(context, dialect.liftExcludes) : EMPTY_LIST;
  const locked = locks && locksHide ? await listLifted(context, dialect.liftLocks) : EMPTY_LIST;
  const withoutPlugins = await findPluginOptions(context, lists);
  const liftAll = [...(excludes ? dialect.liftExcludes : []), ...withoutPlugins];
  const hidden = withoutPlugins.length > 0 ? await listLifted(context, liftAll) : EMPTY_LIST;
  const hasUpdates = [offered, excluded, locked, hidden].some((list) => list.packages.length > 0);
  const options = locked.packages.length > 0
    ? dialect.liftLocks
    : hidden.packages.length > 0
    ? liftAll
    : excluded.packages.length > 0
    ? dialect.liftExcludes
    : [];
  const advisories = hasUpdates ? await listAdvisories(context, options) : EMPTY_LIST;
  const hasAdvisories = advisories !== null && advisories.packages.length > 0;
  const details = hasAdvisories ? await describeAdvisories(context, options) : [];
  const checked = await checkUpdates(context, !hasUpdates);
  const replacing = await listReplacing(context, checked);
  const missing = findMissing(offered.packages, checked);
  const lifting = [
    ...(excludes && (!locksHide || !locks) ? dialect.liftExcludes : []),
    ...(locks || (missing.length > 0 && !locksHide) ? dialect.liftLocks : []),
    ...withoutPlugins,
  ];
  const lifted = lifting.length > 0 ? await checkLifted(context, lifting) : undefined;
  const unexplained = locksHide ? missing : findMissing(missing, lifted ?? { upgrades: [] });
  const names = [...new Set(unexplained.map(({ name }) => name))];
  const disabled = withoutPlugins.length > 0 ? suspectPlugins(lists.plugins) : [];
  const reconciled = reconcile({
    offered: offered.packages,
    withoutExcludes: excluded.packages,
    withoutLocks: locked.packages,
    withoutPlugins: hidden.packages,
    checked: checked && {
      ...checked,
      upgrades: sortByCost(checked.upgrades, settings),
      obsoletes: replacing.packages,
    },
    lifted,
    available: await listAvailable(context, names),
    rules: rulesOf(configuration, dialect, disabled),
  });
  if (reconciled.doubtful.length > 0) {
    const names = joinNames(reconciled.doubtful, MOST_NAMES);
    gaps.push(`Two of dnf's answers contradict each other about the updates of ${names}`);
  }
  const all = [offered, excluded, locked, hidden, advisories, checked, replacing, lifted];
  return {
    offers: reconciled.offers,
    blockedReplacing: reconciled.blockedReplacing,
    obsoletes: sortByCost(replacing.packages, settings),
    replacingSecurity: await findReplacingSecurity(
      context,
      [...replacing.packages, ...reconciled.blockedReplacing].map((row) => row.package),
      lifting,
    ),
    advisories: advisories?.packages ?? null,
    details,
    unparsed: all.reduce((sum, list) => sum + (list?.unparsed ?? 0), 0),
  };
}

/** Lists the updates that dnf offers; the scan fails without them. */
async function listOffered(
  { commands, program, dialect, gaps }: DnfContext,
): Promise<PackageList<OfferedRpm>> {
  const action = "list updates with dnf";
  const result = await commands.run(action, [...program, "-C", ...dialect.offered]);
  const offered = parseOfferedRpms(outputOf(action, result));
  gaps.push(...dnfGaps(result));
  return offered;
}

/** The rules of the configuration; `plugins` are those that were disabled to lift their effects. */
function rulesOf(
  configuration: DnfConfiguration,
  dialect: DnfDialect,
  plugins: readonly string[],
): DnfRules {
  const { settings } = configuration;
  const names = dialect.locksActOn === "everything" ? lockedNames(configuration) : undefined;
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
    plugins: plugins.length > 0 ? joinNames(plugins, MOST_NAMES) : null,
    mayHaveLocks: mayHaveLocks(configuration),
  };
}
