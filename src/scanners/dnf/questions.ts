/**
 * Asks dnf everything about its updates, with and without the rules that keep some of them back. A failed
 * question that the list of updates can do without is a gap.
 */

import { type RebootState, SEVERITIES, type Severity } from "../../update.ts";
import { joinNames } from "../../wording.ts";
import { matchesWildcard } from "../ignored.ts";
import { inBatches } from "../programs.ts";
import { attempt, cannot, ScanError } from "../scanner.ts";
import { type DnfCommands, dnfGaps, outputOf } from "./commands.ts";
import {
  type DnfConfiguration,
  findExclude,
  harmlessPluginOptions,
  hasIncludes,
  lockedNames,
  mayHaveExcludes,
  mayHaveLocks,
  priorityOf,
  sortByCost,
  suspectPlugins,
} from "./configuration.ts";
import {
  type AdvisoryDetails,
  type CheckedUpdates,
  type DnfDialect,
  type DnfQuestion,
  MAX_NAMES,
  type ObsoletingRpm,
} from "./dialect.ts";
import { type DnfRules, findMissing, reconcile } from "./reconcile.ts";
import type { DnfRepositories } from "./repositories.ts";
import {
  AVAILABLE_FORMAT,
  type AvailableRpm,
  compareEvr,
  EMPTY_LIST,
  formatEvr,
  type OfferedRpm,
  packageKey,
  type PackageList,
  parseAvailableRpms,
  parseOfferedRpms,
  type RpmPackage,
} from "./rpm.ts";
import type { DnfState, ReplacingSecurity } from "./updates.ts";

/** How dnf is run, and where gaps are recorded. */
export interface DnfContext {
  readonly commands: DnfCommands;
  readonly dialect: DnfDialect;
  /** The program and the options that precede each command. */
  readonly program: readonly string[];
  readonly gaps: string[];
}

/** Asks dnf everything about its updates, from the lists that were chosen. */
export async function collectAnswers(
  context: DnfContext,
  configuration: DnfConfiguration,
  lists: Pick<DnfRepositories, "plugins" | "repositories">,
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
    const names = joinNames(reconciled.doubtful, MAX_NAMES);
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

/** Lists the updates with and without rules that may hide some. `options` lift those that do, for advisories. */
async function listOffers(
  context: DnfContext,
  configuration: DnfConfiguration,
  lists: Pick<DnfRepositories, "plugins" | "repositories">,
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
    plugins: suspects.length > 0 ? joinNames(suspects, MAX_NAMES) : null,
    mayHaveLocks: mayHaveLocks(configuration),
  };
}

/**
 * The options that disable plugins which may hide updates; empty if `plugins` has none. If dnf has
 * other repositories without these plugins, their effect cannot be determined: that is a gap.
 */
async function findPluginOptions(
  context: DnfContext,
  { plugins, repositories }: Pick<DnfRepositories, "plugins" | "repositories">,
): Promise<readonly string[]> {
  const suspects = suspectPlugins(plugins);
  if (suspects.length === 0) return [];
  const options = harmlessPluginOptions(plugins);
  const action = "list the repositories without plugins";
  const answer = await askOptional(context, action, context.dialect.repositories, options);
  if (answer === undefined) return [];
  const left = new Map(answer.repositories.map((one) => [one.id, one]));
  const lost = repositories.filter(({ id, url, hasLists }) => {
    const same = left.get(id);
    return hasLists && (same?.hasLists !== true || same.url !== url);
  });
  if (lost.length === 0) return options;
  const missing = joinNames(lost.map(({ id }) => id), MAX_NAMES);
  context.gaps.push(
    `Cannot determine what dnf's plugins (${joinNames(suspects, MAX_NAMES)}) keep back: ` +
      `without them, repositories are missing: ${missing}`,
  );
  return [];
}

/** Lists packages that would replace others; `checked` is the answer to `updates`. */
async function listReplacing(
  context: DnfContext,
  checked: CheckedUpdates | undefined,
): Promise<PackageList<ObsoletingRpm>> {
  const { replacing } = context.dialect;
  if (replacing === null) return { packages: checked?.obsoletes ?? [], unparsed: 0 };
  const answer = await askOptional(context, "list replaced packages", replacing);
  return { packages: answer?.obsoletes ?? [], unparsed: answer?.unparsed ?? 0 };
}

/** Describes the advisories; `options` precede the command. */
async function describeAdvisories(
  context: DnfContext,
  options: readonly string[],
): Promise<readonly AdvisoryDetails[]> {
  const { details } = context.dialect;
  if (details !== null) {
    return await askOptional(context, "read the advisories' CVEs", details, options) ?? [];
  }
  context.gaps.push("Cannot read the advisories' CVEs: this needs dnf 5.2.9 or later");
  return [];
}

/** Lists every version of the packages with these names in all repositories. */
export function listAvailable(
  context: DnfContext,
  names: readonly string[],
): Promise<readonly AvailableRpm[]> {
  const command = ["repoquery", "--available"];
  return queryNames(context, "list the repositories of packages", command, names);
}

/**
 * Finds the packages in `replacing` that security advisories are about, by package; `null` after a
 * failure. Dnf lists advisories only of installed names, but its filters apply to all packages.
 */
export async function findReplacingSecurity(
  context: DnfContext,
  replacing: readonly RpmPackage[],
  options: readonly string[],
): Promise<Map<string, ReplacingSecurity> | null> {
  const found = new Map<string, ReplacingSecurity>();
  const names = [...new Set(replacing.map(({ name }) => name))];
  if (names.length === 0) return found;
  const gaps = context.gaps.length;
  const query = async (severity?: Severity) => {
    const command = [...options, "repoquery", ...context.dialect.securityFilter(severity)];
    const action = "read advisories of replacing packages";
    const rows = await queryNames(context, action, command, names);
    return rows.filter((row) =>
      replacing.some((one) => packageKey(one) === packageKey(row) && compareEvr(one, row) === 0)
    );
  };
  for (const row of await query()) found.set(packageKey(row), { severity: null });
  for (const severity of SEVERITIES) {
    if ([...found.values()].every((known) => known.severity !== null)) break;
    for (const row of await query(severity)) {
      if (found.get(packageKey(row))?.severity === null) found.set(packageKey(row), { severity });
    }
  }
  return context.gaps.length === gaps ? found : null;
}

/** Runs a `repoquery` for packages of these names, in several commands if there are many names. */
async function queryNames(
  context: DnfContext,
  action: string,
  command: readonly string[],
  names: readonly string[],
): Promise<readonly AvailableRpm[]> {
  const format = context.dialect.queryFormat(AVAILABLE_FORMAT);
  const found: AvailableRpm[] = [];
  for (const batch of inBatches(names)) {
    const question: DnfQuestion<PackageList<AvailableRpm>> = {
      command: ["-q", ...command, ...format, ...batch],
      codes: [0],
      read: parseAvailableRpms,
    };
    found.push(...(await askOptional(context, action, question))?.packages ?? []);
  }
  return found;
}

/** Whether the host requires a restart; `null`, and no gap, if dnf cannot say. */
export async function readReboot(context: DnfContext): Promise<RebootState | null> {
  const action = "ask whether a restart is required";
  return await askOptional({ ...context, gaps: [] }, action, context.dialect.reboot) ?? null;
}

/** Asks a question that the list of updates can do without: a failure is a gap. */
export async function askOptional<Answer>(
  context: DnfContext,
  action: string,
  question: DnfQuestion<Answer>,
  options: readonly string[] = [],
): Promise<Answer | undefined> {
  const answer = await attempt(() => ask(context, action, question, options));
  if (!(answer instanceof ScanError)) return answer;
  context.gaps.push(answer.message);
  return undefined;
}

/** Asks a question; throws `ScanError`. `action` completes "Cannot …", `options` precede the command. */
async function ask<Answer>(
  { commands, program }: DnfContext,
  action: string,
  { command, codes, read, ...runOptions }: DnfQuestion<Answer>,
  options: readonly string[] = [],
): Promise<Answer> {
  const argv = [...program, "-C", ...options, ...command];
  const result = await commands.run(action, argv, runOptions);
  const answer = read(outputOf(action, result, codes), result.code, result.stderr);
  if (answer !== undefined) return answer;
  throw cannot(action, "the answer is not understood", "permanent");
}
