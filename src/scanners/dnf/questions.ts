/** The questions to dnf; where nothing hangs on one, its failure is a gap. */

import type { AdvisoryDetails, AdvisoryRow } from "./advisories.ts";
import { answerOf, type DnfCommands } from "./commands.ts";
import type { DnfDialect, DnfQuestion } from "./dialect.ts";
import type { CheckedUpdates, ObsoletingRpm } from "./check_update.ts";
import { doubtfulPlugins, withoutDoubtful } from "./plugins.ts";
import type { DnfRepositories } from "./repositories.ts";
import {
  type OfferedRpm,
  packageKey,
  type PackageList,
  parseNames,
  parseOffered,
  type RpmPackage,
} from "./rpm_packages.ts";
import { compareEvr } from "./rpm_version.ts";
import { ScanError } from "../scanner.ts";
import type { RebootState, Severity } from "../../update.ts";
import { joinNames } from "../../wording.ts";

/** How dnf is run. */
export interface DnfRun {
  readonly commands: DnfCommands;
  readonly dialect: DnfDialect;
  /** The program and what is put before each command. */
  readonly program: readonly string[];
}

/** Everything a question needs. */
export interface Asking extends DnfRun {
  /** Gaps are added here. */
  readonly gaps: string[];
}

/** The answer where there is none, or where it was not asked. */
export const NOTHING: PackageList<never> = { packages: [], unparsed: 0 };

/** What dnf would offer with `flags`, which lift what the administrator keeps from it. */
export async function listLifted(
  asking: Asking,
  flags: readonly string[],
): Promise<PackageList<OfferedRpm>> {
  const command = [...flags, ...asking.dialect.offered];
  const question = { command, codes: [0], read: parseOffered };
  return await askOr(asking, "list excluded updates", question) ?? NOTHING;
}

/**
 * The flags that leave out plugins which may keep updates back, if `plugins` has such ones. Where dnf
 * does not have the same repositories without them, nothing can be told of what they do: that is a gap.
 */
export async function findPluginFlags(
  asking: Asking,
  { plugins, repositories }: Pick<DnfRepositories, "plugins" | "repositories">,
): Promise<readonly string[]> {
  const doubtful = doubtfulPlugins(plugins);
  if (doubtful.length === 0) return [];
  const flags = withoutDoubtful(plugins);
  const question = withFlags(asking.dialect.repositories, flags);
  const told = await askOr(asking, "list the repositories without plugins", question);
  if (told === undefined) return [];
  const left = new Map(told.repositories.map((one) => [one.id, one]));
  const lost = repositories.filter(({ id, url, hasLists }) => {
    const same = left.get(id);
    return hasLists && (same?.hasLists !== true || same.url !== url);
  });
  if (lost.length === 0) return flags;
  const fact = `without them, repositories are missing: ${
    joinNames(lost.map(({ id }) => id), TOLD_NAMES)
  }`;
  asking.gaps.push(
    `Cannot tell what dnf's plugins (${joinNames(doubtful, TOLD_NAMES)}) keep back: ${fact}`,
  );
  return [];
}

/** How many plugins or repositories a gap names. */
const TOLD_NAMES = 5;

/**
 * What dnf itself would update and replace; `undefined`, and a gap, if that cannot be told. Where dnf
 * offers nothing it has to succeed: an empty list that nothing confirms says nothing.
 */
export function checkUpdates(
  asking: Asking,
  isNeeded: boolean,
): Promise<CheckedUpdates | undefined> {
  const action = "check updates and list replaced packages";
  const { updates } = asking.dialect;
  return isNeeded ? ask(asking, action, updates) : askOr(asking, action, updates);
}

/** As `checkUpdates`, with `flags` that lift what the administrator keeps from dnf. */
export function checkLifted(
  asking: Asking,
  flags: readonly string[],
): Promise<CheckedUpdates | undefined> {
  const { updates, replacing } = asking.dialect;
  const question = withFlags(replacing ?? updates, flags);
  return askOr(asking, "check updates that are kept back", question);
}

/** What would be replaced by a package of another name; `checked` is what `checkUpdates` answered. */
export async function listReplacing(
  asking: Asking,
  checked: CheckedUpdates | undefined,
): Promise<PackageList<ObsoletingRpm>> {
  const { replacing } = asking.dialect;
  if (replacing === null) return { packages: checked?.obsoletes ?? [], unparsed: 0 };
  const answer = await askOr(asking, "list replaced packages", replacing);
  return { packages: answer?.obsoletes ?? [], unparsed: answer?.unparsed ?? 0 };
}

/** Which advisories there are, and `null` if that cannot be told; `flags` go before the command. */
export async function listAdvisories(
  asking: Asking,
  flags: readonly string[],
): Promise<PackageList<AdvisoryRow> | null> {
  const question = withFlags(asking.dialect.advisories, flags);
  return await askOr(asking, "read advisories", question) ?? null;
}

/** What those advisories tell of themselves; `flags` go before the command. */
export async function describeAdvisories(
  asking: Asking,
  flags: readonly string[],
): Promise<readonly AdvisoryDetails[]> {
  const { details } = asking.dialect;
  if (details !== null) {
    const question = withFlags(details, flags);
    return await askOr(asking, "read the advisories' CVEs", question) ?? [];
  }
  asking.gaps.push("Cannot read the advisories' CVEs: this needs dnf 5.2.9 or later");
  return [];
}

/** A package as a repository has it. */
export interface AvailableRpm extends RpmPackage {
  readonly repository: string;
}

/** Names of packages that one command is asked about, in characters. */
const LONGEST_NAMES = 100_000;

const FIELDS = ["name", "epoch", "version", "release", "arch", "repoid"];
const FORMAT = FIELDS.map((tag) => `%{${tag}}`).join("\t");

/** The repositories that have packages of these names, in whatever version. */
export function listAvailable(
  asking: Asking,
  names: readonly string[],
): Promise<readonly AvailableRpm[]> {
  return queryNames(asking, "list the repositories of packages", ["--available"], names);
}

/** How bad the hole is that a package closes which replaces another; `null` if it closes none. */
export interface ReplacingSecurity {
  readonly severity: Severity | null;
}

/** From the worst on, in the words of advisories. */
const SEVERITIES = ["Critical", "Important", "Moderate", "Low"] as const;

/**
 * What security advisories say of packages that replace others: dnf lists advisories of installed
 * names alone, but filters packages by any. By package; `null` if that cannot be told.
 */
export async function readReplacingSecurity(
  asking: Asking,
  replacing: readonly RpmPackage[],
  flags: readonly string[],
): Promise<Map<string, ReplacingSecurity> | null> {
  const found = new Map<string, ReplacingSecurity>();
  const names = [...new Set(replacing.map(({ name }) => name))];
  if (names.length === 0) return found;
  const gaps = asking.gaps.length;
  const query = async (severity?: string) => {
    const filter = [...flags, "repoquery", ...asking.dialect.securityFilter(severity)];
    const rows = await queryNames(asking, "read advisories of replacing packages", filter, names);
    const same = (row: RpmPackage) => (one: RpmPackage) =>
      packageKey(one) === packageKey(row) && compareEvr(one, row) === 0;
    return rows.filter((row) => replacing.some(same(row)));
  };
  for (const row of await query()) found.set(packageKey(row), { severity: null });
  for (const severity of SEVERITIES) {
    const isOpen = [...found.values()].some((known) => known.severity === null);
    if (!isOpen) break;
    for (const row of await query(severity)) {
      if (found.get(packageKey(row))?.severity !== null) continue;
      found.set(packageKey(row), { severity: SEVERITY_WORDS[severity] });
    }
  }
  return asking.gaps.length === gaps ? found : null;
}

const SEVERITY_WORDS = {
  Critical: "critical",
  Important: "important",
  Moderate: "moderate",
  Low: "low",
} as const;

async function queryNames(
  asking: Asking,
  action: string,
  filter: readonly string[],
  names: readonly string[],
): Promise<readonly AvailableRpm[]> {
  const { lineEnd, locksActOn } = asking.dialect;
  const option = locksActOn === "updates" ? "--qf" : "--queryformat";
  const command = filter.includes("repoquery") ? filter : ["repoquery", ...filter];
  const found: AvailableRpm[] = [];
  for (const batch of inBatches(names)) {
    const question: DnfQuestion<PackageList<AvailableRpm>> = {
      command: ["-q", ...command, option, `${FORMAT}${lineEnd}`, ...batch],
      codes: [0],
      read: parseNames,
    };
    found.push(...(await askOr(asking, action, question))?.packages ?? []);
  }
  return found;
}

function inBatches(names: readonly string[]): string[][] {
  const batches: string[][] = [];
  let length = Infinity;
  for (const name of names) {
    length += name.length + 1;
    if (length > LONGEST_NAMES) {
      batches.push([]);
      length = name.length;
    }
    batches.at(-1)?.push(name);
  }
  return batches;
}

/** Whether the host asks for a restart; nothing hangs on it, and a dnf without the command says nothing. */
export async function readReboot(run: DnfRun): Promise<RebootState | null> {
  const asking: Asking = { ...run, gaps: [] };
  const { reboot } = run.dialect;
  // `undefined` would be an answer that is not understood.
  const question = {
    ...reboot,
    read: (...said: Parameters<typeof reboot.read>) => ({ state: reboot.read(...said) }),
  };
  return (await askOr(asking, "ask whether a restart is required", question))?.state ?? null;
}

function withFlags<T>(question: DnfQuestion<T>, flags: readonly string[]): DnfQuestion<T> {
  return { ...question, command: [...flags, ...question.command] };
}

/** The answer to a question that the list of updates does not hang on: a failure is a gap. */
export async function askOr<Answer>(
  asking: Asking,
  action: string,
  question: DnfQuestion<Answer>,
): Promise<Answer | undefined> {
  try {
    return await ask(asking, action, question);
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    asking.gaps.push(error.message);
    return undefined;
  }
}

async function ask<Answer>(
  { commands, program }: DnfRun,
  action: string,
  { command, codes, read, ...options }: DnfQuestion<Answer>,
): Promise<Answer> {
  const result = await commands.run(action, [...program, "-C", ...command], options);
  const answer = read(answerOf(action, result, codes), result.code, result.stderr);
  if (answer !== undefined) return answer;
  const fact = "the answer is not understood";
  throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "permanent" });
}
