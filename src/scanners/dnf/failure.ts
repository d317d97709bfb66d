/** Tells apart why a dnf or rpm command failed, by its own words in the C locale. */

import type { RunResult } from "../../system/process.ts";
import { quoteWords } from "../../redact.ts";
import { outputLines } from "../output_lines.ts";
import { ScanError, type ScanErrorReason } from "../scanner.ts";

/** Told shortened: they go to a terminal and to a server. */
const LONGEST_COMPLAINT = 300;
const TOLD_COMPLAINTS = 5;

/** How dnf 4 ends when it may not wait for a lock (dnf(8)). */
const LOCKED_CODE = 200;

/** How both generations end when they were given arguments that they do not know. */
const USAGE_CODE = 2;

const NO_CACHE = /Cache-only enabled but no cache/;
const LOCKED =
  /Waiting for (?:process with pid|a lock)|already locked by \d|Failed to obtain .*lock/i;
const PROMPT = /Is this ok \[y\/N\]:/;
const UNREGISTERED = /This system is not registered|Unable to read consumer identity/;
const NO_REPOSITORIES = /There are no enabled repositories|No repositories (?:are )?available/i;
/** Dnf 5's answer to a setting for all repositories where there is none. */
const NO_REPOSITORY_AT_ALL = /^No matching repositories for \*/m;
const SIGNATURE = /GPG (?:verification|signature|key)|Bad GPG|PGP|signature verification error/i;
const REFUSED = /Status code: 40[13]\b/;
const UNREACHABLE =
  /Failed to download metadata|All mirrors were tried|Curl error|Librepo error|Usable URL not found/;

/** Below dnf 4's "Errors during downloading metadata for repository 'x':". */
const CAUSE = /^ {2}- (\S.*)/;

/** Dnf 5's line of progress on a repository. */
const PROGRESS = /^ ?(\S.{0,199}?) {1,200}(?:\d{1,3}|\?\?\?)% \| /;

/** Whether these words tell of another dnf that is in the way; dnf 5 waits for it without an end. */
export function tellsOfLock(stderr: string): boolean {
  return LOCKED.test(endOf(stderr));
}

/** Whether another dnf was in the way. */
export function isLocked({ code, stderr }: RunResult): boolean {
  return code === LOCKED_CODE || (code !== 0 && code !== 100 && tellsOfLock(stderr));
}

/**
 * The error for a command that ended with another code than it should; `action` as in "Cannot …". With
 * `facts`, which are quoted words, it tells those in the place of dnf's own.
 */
export function dnfFailure(
  action: string,
  result: RunResult,
  facts?: readonly string[],
): ScanError {
  if (NO_REPOSITORY_AT_ALL.test(endOf(result.stderr))) {
    const fact = "there are no enabled repositories";
    return new ScanError(`Cannot ${action}: ${fact}`, { reason: "permanent" });
  }
  const { reason, next } = classify(result);
  const words = facts?.slice(0, TOLD_COMPLAINTS) ?? quoteComplaints(result, reason);
  const told = words.length > 0 ? words.join("; ") : `exit ${result.code}`;
  return new ScanError(`Cannot ${action}: ${told}${next === "" ? "" : `; ${next}`}`, { reason });
}

/** More of a line is not read; of this, `quoteWords` quotes the beginning. */
const LONGEST_LINE = 4_000;

/** More is not looked through. What a command ends with stands at the end. */
const LONGEST_SAID = 1_000_000;

/** The end of a long text, from a line's beginning on: half an address could be half a password. */
function endOf(text: string): string {
  if (text.length <= LONGEST_SAID) return text;
  const end = text.slice(-LONGEST_SAID);
  const line = end.indexOf("\n") + 1;
  return line === 0 ? "" : end.slice(line);
}

/** The lines of what dnf said; the last one may lack its end. */
function saidLines(stderr: string): readonly string[] {
  return outputLines(`${endOf(stderr)}\n`).lines.map((line) => line.slice(0, LONGEST_LINE));
}

function quoteComplaints(result: RunResult, reason: ScanErrorReason): string[] {
  const lines = saidLines(result.stderr).filter((line) => line.trim() !== "");
  const telling = reason === "locked" ? LOCKED : /^(?:Config )?error:/i;
  const errors = lines.filter((line) => telling.test(line));
  // What dnf 4 calls the error is "All mirrors were tried"; the cause stands above it.
  const causes = lines.flatMap((line) => CAUSE.exec(line)?.[1] ?? [])
    .filter((cause) => !errors.some((error) => error.includes(cause)));
  const complaints = errors.length > 0 ? [...errors, ...causes] : lastComplaint(lines);
  return [...new Set(complaints)].slice(0, TOLD_COMPLAINTS)
    .map((line) => quoteWords(line.trim().replace(/^error: */i, ""), LONGEST_COMPLAINT));
}

/** The last line that tells something; dnf 5 tells below it, indented, why that is. */
function lastComplaint(lines: readonly string[]): readonly string[] {
  const own = lines.filter((line) => !PROGRESS.test(line));
  return own.slice(Math.max(0, own.findLastIndex((line) => !/^\s/.test(line))));
}

/** What kind of failure it is, and what a person can do about it, if dnf does not say so itself. */
function classify(result: RunResult): { reason: ScanErrorReason; next: string } {
  const { code } = result;
  const [stdout, stderr] = [endOf(result.stdout), endOf(result.stderr)];
  const said = `${stderr}\n${stdout}`;
  if (isLocked(result)) return { reason: "locked", next: "" };
  if (code === USAGE_CODE) {
    return { reason: "permanent", next: "this version of dnf is asked in another way" };
  }
  if (UNREGISTERED.test(said) && (NO_REPOSITORIES.test(said) || REFUSED.test(said))) {
    const next = 'register this system: run "subscription-manager register"';
    return { reason: "permanent", next };
  }
  // These come with the words for an unreachable mirror, too.
  if (PROMPT.test(stdout) || SIGNATURE.test(stderr)) {
    const next = 'look at the repository\'s key: run "dnf makecache" and answer it';
    return { reason: "permanent", next };
  }
  if (REFUSED.test(stderr)) return { reason: "permanent", next: "" };
  if (UNREACHABLE.test(stderr) || NO_CACHE.test(stderr)) return { reason: "transient", next: "" };
  // A signal ended it: memory ran out, or the host is shutting down.
  return { reason: code > 128 ? "transient" : "permanent", next: "" };
}

/** Repositories that a plugin of dnf 4's makes of packages on this host, and that may be empty. */
const NO_SOURCE = "_dnf_local";

/** Failures that are kept. */
const MOST_FAILURES = 500;

/**
 * Why repositories could not be fetched: of dnf 4 by their ids, of dnf 5 by their names. Whatever dnf 5
 * complains of below a repository's progress counts: it goes on without it, and ends well.
 */
export function fetchFailures(stderr: string): Map<string, string> {
  const causes = new Map<string, Set<string>>();
  const facts = new Map<string, string>();
  const add = (repository: string, cause: string) => {
    if (repository === NO_SOURCE) return;
    causes.set(repository, (causes.get(repository) ?? new Set()).add(cause));
  };
  let repository: string | undefined;
  for (const line of saidLines(stderr)) {
    const progress = PROGRESS.exec(line)?.[1];
    const [, begun] = ERRORS_OF.exec(line) ?? [];
    const [, failed, fact = ""] = FAILED.exec(line) ?? [];
    const complaint = /^>>> (.+)/.exec(line)?.[1] ?? CAUSE.exec(line)?.[1];
    if (progress !== undefined) repository = progress;
    else if (begun !== undefined) repository = begun;
    else if (failed !== undefined && failed !== NO_SOURCE) facts.set(failed, fact);
    else if (complaint !== undefined && repository !== undefined) add(repository, complaint);
  }
  const all = [...new Set([...causes.keys(), ...facts.keys()])].slice(0, MOST_FAILURES);
  return new Map(all.map((id) => {
    const told = [...causes.get(id) ?? []];
    // Dnf 5 tells each try, and what it gave up with; the first says what happened.
    const cause = told.find((one) => one !== "Usable URL not found") ?? facts.get(id) ??
      (told[0] ?? "");
    const words = cause.replace(/ - [a-z+]{1,20}:\/\/\S+$/, "");
    return [id, quoteWords(words || "dnf does not say why", LONGEST_COMPLAINT)];
  }));
}

const ERRORS_OF = /^Errors during downloading metadata for repository '([^']{1,255})':/;
const FAILED =
  /^(?:Error|Warning): (?:Failed to download metadata for repo|Loading repository) '([^']{1,255})'[: ] ?(.*)/;

/** Problems that a gap names. */
const TOLD_PROBLEMS = 2;

/** What a command that succeeded says is missing, besides the repositories that it left out. */
export function dnfGaps(result: RunResult): string[] {
  const [stdout, stderr] = [endOf(result.stdout), endOf(result.stderr)];
  const gaps: string[] = [];
  const lines = saidLines(stderr);
  for (const line of lines) {
    const [, skipped] = /^Warning: failed loading '(.+)', skipping\.$/.exec(line) ?? [];
    if (skipped !== undefined) {
      const file = quoteWords(skipped, LONGEST_COMPLAINT);
      gaps.push(`A repository's file could not be read: "${file}"`);
    }
  }
  const modular = lines.findIndex((line) => /^Modular dependency problems?:/.test(line));
  if (modular >= 0) gaps.push(describeModular(lines.slice(modular + 1)));
  if (/^This system is not registered/m.test(`${stderr}\n${stdout}`)) {
    gaps.push("This system is not registered: the repositories of its subscription are missing");
  }
  return [...new Set(gaps)];
}

/** A module that cannot be enabled hides its packages from dnf. */
function describeModular(lines: readonly string[]): string {
  const end = lines.findIndex((line) => !/^(?:\s|$)/.test(line));
  const block = lines.slice(0, end < 0 ? lines.length : end).map((line) => line.trim());
  const problems = block.filter((line) => /^(?:Problem\b.*:|- )/.test(line))
    .map((line) => line.replace(/^Problem(?: \d+)?: |^- /, ""));
  const reasons = problems.filter((line) => line !== "conflicting requests");
  const told = (reasons.length > 0 ? reasons : problems).slice(0, TOLD_PROBLEMS).join("; ");
  return `Modular dependency problem, packages of modules may be missing: ${
    quoteWords(told, LONGEST_COMPLAINT)
  }`;
}
