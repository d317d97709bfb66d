/** What a run found: a score for each directory, and every mutation that no test noticed. */

import { formatTable } from "../../src/cli/table.ts";
import type { Accepted } from "./accepted.ts";
import { directoryOf, type Mutant } from "./choose.ts";
import { applyEdit } from "./mutation.ts";

/** What became of a mutation; "timeout" and "memory" are ways to be killed. */
export type Fate = "killed" | "timeout" | "memory" | "survived" | "accepted";

/** A mutation, and what became of it. */
export interface Result {
  readonly file: string;
  readonly line: number;
  readonly operator: string;
  readonly before: string;
  readonly after: string;
  readonly fate: Fate;
  /** The accepted mutation's reason. */
  readonly reason?: string;
  readonly tookMs: number;
}

/** A directory's figures; accepted mutations count neither way. */
export interface Score {
  readonly directory: string;
  readonly killed: number;
  readonly survived: number;
  readonly accepted: number;
  /** Per cent; 100 where nothing was tried. */
  readonly percent: number;
}

/** Longer excerpts are cut. */
const LONGEST_EXCERPT = 240;

/** The lines that a mutation touches, before and after it, each as one line. */
export function excerptOf(text: string, mutant: Mutant): { before: string; after: string } {
  const start = text.lastIndexOf("\n", mutant.start - 1) + 1;
  const lineEnd = text.indexOf("\n", mutant.end);
  const end = lineEnd < 0 ? text.length : lineEnd;
  const mutated = applyEdit(text, mutant);
  const shift = mutant.to.length - (mutant.end - mutant.start);
  return {
    before: inOneLine(text.slice(start, end)),
    after: inOneLine(mutated.slice(start, end + shift)),
  };
}

function inOneLine(lines: string): string {
  const line = lines.split(/\s+/).join(" ").trim();
  return line.length <= LONGEST_EXCERPT ? line : `${line.slice(0, LONGEST_EXCERPT)}...`;
}

/** The entry that excuses a survivor, if there is one. */
export function findAccepted(
  accepted: readonly Accepted[],
  result: Pick<Result, "file" | "operator" | "before" | "after">,
): Accepted | undefined {
  return accepted.find((entry) =>
    entry.file === result.file && entry.operator === result.operator &&
    entry.before === result.before && entry.after === result.after
  );
}

/** A score for each directory, and one for all of them, which comes last. */
export function scoresOf(results: readonly Result[]): Score[] {
  const groups = [...Map.groupBy(results, ({ file }) => directoryOf(file))]
    .sort(([a], [b]) => a < b ? -1 : 1);
  return [...groups, ["all", results] as const].map(([directory, group]) =>
    scoreOf(directory, group)
  );
}

function scoreOf(directory: string, results: readonly Result[]): Score {
  const count = (...fates: Fate[]) => results.filter(({ fate }) => fates.includes(fate)).length;
  const killed = count("killed", "timeout", "memory");
  const survived = count("survived");
  const tried = killed + survived;
  const percent = tried === 0 ? 100 : 100 * killed / tried;
  return { directory, killed, survived, accepted: count("accepted"), percent };
}

/** A score that is worse than this chance allows is no bad luck of the draw. */
const LEAST_CHANCE = 0.01;

/**
 * Whether tests that notice `goalPercent` of all mutations would do as badly as this, or worse, with at
 * least one sample in a hundred: then the sample does not prove that the goal is missed.
 */
export function mayReach(
  { killed, survived }: Pick<Score, "killed" | "survived">,
  goalPercent: number,
): boolean {
  const tried = killed + survived;
  const missed = 1 - goalPercent / 100;
  // The binomial distribution from 0 to `survived - 1`, each term made from the one before.
  let term = (1 - missed) ** tried;
  let fewer = 0;
  for (let count = 0; count < survived; count++) {
    fewer += term;
    term *= (tried - count) / (count + 1) * missed / (1 - missed);
  }
  return 1 - fewer >= LEAST_CHANCE;
}

/** The report for people. */
export function formatReport(results: readonly Result[]): string {
  const rows = scoresOf(results).map(({ directory, killed, survived, accepted, percent }) =>
    [directory, killed, survived, accepted, `${percent.toFixed(1)} %`].map(String)
  );
  const columns = ["directory", "killed", "survived", "accepted", "score"]
    .map((title, column) => ({ title, alignRight: column > 0 }));
  const table = formatTable(columns, rows, Infinity);
  return [...listOf(results, "accepted"), ...listOf(results, "survived"), "", ...table].join("\n");
}

function listOf(results: readonly Result[], wanted: Fate): string[] {
  const found = results.filter(({ fate }) => fate === wanted);
  if (found.length === 0) return [];
  const title = wanted === "accepted" ? "Accepted survivors:" : "Survivors:";
  return ["", title, ...found.map(formatSurvivor)];
}

/** A survivor as four lines at most. */
export function formatSurvivor({ file, line, operator, before, after, reason }: Result): string {
  const lines = [`${file}:${line} (${operator})`, `  - ${before}`, `  + ${after}`];
  return [...lines, ...(reason === undefined ? [] : [`  ${reason}`])].join("\n");
}
