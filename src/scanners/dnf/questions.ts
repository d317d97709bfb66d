/** The questions that a scan asks dnf; a failed question that the list of updates can do without is a gap. */

import type { RebootState, Severity } from "../../update.ts";
import { joinNames } from "../../wording.ts";
import { ScanError } from "../scanner.ts";
import { type AdvisoryDetails, SEVERITIES } from "./advisories.ts";
import { type DnfCommands, outputOf } from "./commands.ts";
import { harmlessPluginOptions, suspectPlugins } from "./configuration.ts";
import type { CheckedUpdates, DnfDialect, DnfQuestion, ObsoletingRpm } from "./dialect.ts";
import type { DnfRepositories } from "./repositories.ts";
import {
  AVAILABLE_FORMAT,
  type AvailableRpm,
  compareEvr,
  packageKey,
  type PackageList,
  parseAvailableRpms,
  type RpmPackage,
} from "./rpm.ts";

/** How dnf is run, and where gaps are recorded. */
export interface DnfContext {
  readonly commands: DnfCommands;
  readonly dialect: DnfDialect;
  /** The program and the options that precede each command. */
  readonly program: readonly string[];
  readonly gaps: string[];
}

/**
 * The options that disable plugins which may hide updates; empty if `plugins` has none. If dnf has
 * other repositories without these plugins, their effect cannot be determined: that is a gap.
 */
export async function findPluginOptions(
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
  const missing = joinNames(lost.map(({ id }) => id), MOST_NAMES);
  context.gaps.push(
    `Cannot determine what dnf's plugins (${joinNames(suspects, MOST_NAMES)}) keep back: ` +
      `without them, repositories are missing: ${missing}`,
  );
  return [];
}

/** How many plugins, repositories or packages a message names. */
export const MOST_NAMES = 5;

/** Lists packages that would replace others; `checked` is the answer to `updates`. */
export async function listReplacing(
  context: DnfContext,
  checked: CheckedUpdates | undefined,
): Promise<PackageList<ObsoletingRpm>> {
  const { replacing } = context.dialect;
  if (replacing === null) return { packages: checked?.obsoletes ?? [], unparsed: 0 };
  const answer = await askOptional(context, "list replaced packages", replacing);
  return { packages: answer?.obsoletes ?? [], unparsed: answer?.unparsed ?? 0 };
}

/** Describes the advisories; `options` precede the command. */
export async function describeAdvisories(
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

/** A package that replaces another and fixes a vulnerability; `null` if its severity is unknown. */
export interface ReplacingSecurity {
  readonly severity: Severity | null;
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
  for (const severity of SEVERITIES.toReversed()) {
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

/** The limit of the names in one command, in characters. */
const LONGEST_NAMES = 100_000;

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
  try {
    return await ask(context, action, question, options);
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    context.gaps.push(error.message);
    return undefined;
  }
}

/** Asks a question; throws `ScanError`. `action` completes "Cannot …", `options` precede the command. */
export async function ask<Answer>(
  { commands, program }: DnfContext,
  action: string,
  { command, codes, read, ...runOptions }: DnfQuestion<Answer>,
  options: readonly string[] = [],
): Promise<Answer> {
  const argv = [...program, "-C", ...options, ...command];
  const result = await commands.run(action, argv, runOptions);
  const answer = read(outputOf(action, result, codes), result.code, result.stderr);
  if (answer !== undefined) return answer;
  const fact = "the answer is not understood";
  throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "permanent" });
}
