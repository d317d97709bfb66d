/** The questions to dnf besides what it offers; where nothing hangs on one, its failure is a warning. */

import type { AdvisoryDetails, AdvisoryRow } from "./dnf_advisories.ts";
import { answerOf, type DnfCommands } from "./dnf_commands.ts";
import type { DnfDialect, DnfQuestion } from "./dnf_dialect.ts";
import type { CheckedUpdates, ObsoletingRpm } from "./dnf_check_update.ts";
import { type OfferedRpm, type PackageList, parseOffered } from "./rpm_packages.ts";
import { ScanError } from "./scanner.ts";

/** Everything a question needs. */
export interface Asking {
  readonly commands: DnfCommands;
  readonly dialect: DnfDialect;
  /** The program and what is put before each command. */
  readonly program: readonly string[];
  /** Gaps are added here. */
  readonly warnings: string[];
}

/** The answer where there is none, or where it was not asked. */
export const NOTHING: PackageList<never> = { packages: [], unparsed: 0 };

/** What dnf would offer if nobody had told it not to; costs a call, so only where somebody may have. */
export async function listWithExcluded(
  asking: Asking,
  mayExclude: boolean,
): Promise<PackageList<OfferedRpm>> {
  const { withExcluded, offered } = asking.dialect;
  if (!mayExclude) return NOTHING;
  const question = { command: [...withExcluded, ...offered], codes: [0], read: parseOffered };
  return await askOr(asking, "list excluded updates", question) ?? NOTHING;
}

/**
 * What dnf itself would update and replace; `undefined`, and a warning, if that cannot be told.
 *
 * Without an update in the list this one has to succeed: `repoquery` is content with no repository at
 * all, and says nothing. Of dnf 5's questions none minds, so it is asked for its repositories.
 */
export async function checkUpdates(
  asking: Asking,
  hasUpdates: boolean,
): Promise<CheckedUpdates | undefined> {
  const action = "check updates and list replaced packages";
  const { updates, repositories } = asking.dialect;
  if (hasUpdates) return await askOr(asking, action, updates);
  const answer = await ask(asking, action, updates);
  const count = answer.upgrades.length + answer.obsoletes.length;
  if (count === 0 && repositories !== null) {
    const count = await askOr(asking, "list the repositories", repositories);
    if (count === 0) {
      const fact = "there are no enabled repositories";
      throw new ScanError(`Cannot scan with dnf: ${fact}`, { reason: "permanent" });
    }
  }
  return answer;
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

/** Which advisories there are; `flags` go before the command. */
export async function listAdvisories(
  asking: Asking,
  flags: readonly string[],
): Promise<PackageList<AdvisoryRow>> {
  const question = withFlags(asking.dialect.advisories, flags);
  return await askOr(asking, "read advisories", question) ?? NOTHING;
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
  asking.warnings.push("Cannot read the advisories' CVEs: this needs dnf 5.2.9 or later");
  return [];
}

function withFlags<T>(question: DnfQuestion<T>, flags: readonly string[]): DnfQuestion<T> {
  return { ...question, command: [...flags, ...question.command] };
}

/** The answer to a question that the list of updates does not hang on: a failure is a warning. */
async function askOr<Answer>(
  asking: Asking,
  action: string,
  question: DnfQuestion<Answer>,
): Promise<Answer | undefined> {
  try {
    return await ask(asking, action, question);
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    asking.warnings.push(error.message);
    return undefined;
  }
}

async function ask<Answer>(
  { commands, program }: Asking,
  action: string,
  { command, codes, read }: DnfQuestion<Answer>,
): Promise<Answer> {
  const result = await commands.run(action, [...program, "-C", ...command]);
  const answer = read(answerOf(action, result, codes), result.code);
  if (answer !== undefined) return answer;
  const fact = "the answer is not understood";
  throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "permanent" });
}
