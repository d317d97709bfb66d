/** Asks dnf all that is to be known of its updates, lifting what keeps some of them from it. */

import { answerOf } from "./commands.ts";
import { type DnfConfiguration, lockedNames, mayExclude, mayLock } from "./configuration.ts";
import type { DnfDialect } from "./dialect.ts";
import { dnfGaps } from "./failure.ts";
import type { ChosenLists } from "./lists.ts";
import { doubtfulPlugins } from "./plugins.ts";
import {
  type Asking,
  checkLifted,
  checkUpdates,
  describeAdvisories,
  findPluginFlags,
  listAdvisories,
  listAvailable,
  listLifted,
  listReplacing,
  NOTHING,
  readReplacingSecurity,
} from "./questions.ts";
import { type DnfRules, findMissing, reconcile } from "./reconcile.ts";
import { cheapestFirst, findExclude, hasIncludes, priorityOf } from "./settings.ts";
import type { DnfState } from "./updates.ts";
import { type OfferedRpm, type PackageList, parseOffered } from "./rpm_packages.ts";
import { formatEvr } from "./rpm_version.ts";
import { matchesWildcard } from "../wildcard.ts";
import { joinNames } from "../../wording.ts";

/** Asks dnf everything about its updates, from the lists that were chosen. */
export async function askAll(
  asking: Asking,
  configuration: DnfConfiguration,
  lists: Pick<ChosenLists, "plugins" | "repositories">,
): Promise<Omit<DnfState, "installed" | "tellsSecurity"> & { readonly unparsed: number }> {
  const { dialect, gaps } = asking;
  const { settings } = configuration;
  const [excludes, locks] = [mayExclude(configuration), mayLock(configuration)];
  const actsOnAll = dialect.locksActOn === "everything";
  const offered = await listOffered(asking);
  const excluded = excludes ? await listLifted(asking, dialect.withExcluded) : NOTHING;
  const locked = locks && actsOnAll ? await listLifted(asking, dialect.withLocked) : NOTHING;
  const withoutPlugins = await findPluginFlags(asking, lists);
  const liftingAll = [...(excludes ? dialect.withExcluded : []), ...withoutPlugins];
  const hidden = withoutPlugins.length > 0 ? await listLifted(asking, liftingAll) : NOTHING;
  const hasUpdates = [offered, excluded, locked, hidden].some(({ packages }) =>
    packages.length > 0
  );
  const flags = locked.packages.length > 0
    ? dialect.withLocked
    : hidden.packages.length > 0
    ? liftingAll
    : excluded.packages.length > 0
    ? dialect.withExcluded
    : [];
  const advisories = hasUpdates ? await listAdvisories(asking, flags) : NOTHING;
  const hasAdvisories = advisories !== null && advisories.packages.length > 0;
  const details = hasAdvisories ? await describeAdvisories(asking, flags) : [];
  const checked = await checkUpdates(asking, !hasUpdates);
  const replacing = await listReplacing(asking, checked);
  const missing = findMissing(offered.packages, checked);
  const lifting = [
    ...(excludes && (!actsOnAll || !locks) ? dialect.withExcluded : []),
    ...(locks || (missing.length > 0 && !actsOnAll) ? dialect.withLocked : []),
    ...withoutPlugins,
  ];
  const lifted = lifting.length > 0 ? await checkLifted(asking, lifting) : undefined;
  const unexplained = actsOnAll ? missing : findMissing(missing, lifted ?? { upgrades: [] });
  const names = [...new Set(unexplained.map(({ name }) => name))];
  const reconciled = reconcile({
    offered: offered.packages,
    withExcluded: excluded.packages,
    withLocked: locked.packages,
    withoutPlugins: hidden.packages,
    checked: checked && {
      ...checked,
      upgrades: cheapestFirst(checked.upgrades, settings),
      obsoletes: replacing.packages,
    },
    lifted,
    available: await listAvailable(asking, names),
    rules: rulesOf(
      configuration,
      dialect,
      withoutPlugins.length > 0 ? doubtfulPlugins(lists.plugins) : [],
    ),
  });
  if (reconciled.doubtful.length > 0) {
    const names = joinNames(reconciled.doubtful, TOLD_PACKAGES);
    gaps.push(`Two of dnf's answers do not fit together, on the updates of ${names}`);
  }
  const obsoleting = [...replacing.packages, ...reconciled.keptReplacing].map((row) => row.package);
  const all = [
    offered,
    excluded,
    locked,
    hidden,
    advisories ?? NOTHING,
    checked ?? NOTHING,
    replacing,
  ];
  return {
    offers: reconciled.offers,
    keptReplacing: reconciled.keptReplacing,
    obsoletes: cheapestFirst(replacing.packages, settings),
    replacingSecurity: await readReplacingSecurity(asking, obsoleting, lifting),
    advisories: advisories?.packages ?? null,
    details,
    unparsed: all.reduce((sum, list) => sum + list.unparsed, lifted?.unparsed ?? 0),
  };
}

/** How many packages a gap names. */
const TOLD_PACKAGES = 5;

async function listOffered(
  { commands, program, dialect, gaps }: Asking,
): Promise<PackageList<OfferedRpm>> {
  const action = "list updates with dnf";
  const result = await commands.run(action, [...program, "-C", ...dialect.offered]);
  const offered = parseOffered(answerOf(action, result));
  gaps.push(...dnfGaps(result));
  return offered;
}

/** `plugins` are those that were left out of what lifts. */
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
      const forms = [name, `${name}.${architecture}`, `${name}-${formatEvr(package_)}`];
      forms.push(`${forms[2]}.${architecture}`);
      return findExclude(forms, repository, settings);
    },
    isLocked: (name) => names?.some((pattern) => matchesWildcard(pattern, name)),
    hasIncludes: hasIncludes(settings),
    plugins: plugins.length > 0 ? joinNames(plugins, TOLD_PACKAGES) : null,
    mayLock: mayLock(configuration),
  };
}
