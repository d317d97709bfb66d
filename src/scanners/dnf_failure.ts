/** Tells apart why a dnf or rpm command failed, by its own words in the C locale. */

import type { RunResult } from "../system/process.ts";
import { quoteWords } from "../redact.ts";
import { outputLines } from "./output_lines.ts";
import { ScanError, type ScanErrorReason } from "./scanner.ts";

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
const SIGNATURE = /GPG (?:verification|signature|key)|Bad GPG|PGP|signature verification error/i;
const REFUSED = /Status code: 40[13]\b/;
const UNREACHABLE =
  /Failed to download metadata|All mirrors were tried|Curl error|Librepo error|Usable URL not found/;

/** Dnf 5's line of progress on a repository. */
const PROGRESS = /^ ?(\S.{0,199}?) {1,200}(?:\d{1,3}|\?\?\?)% \| /;

/** Whether dnf was told to use only what it has fetched before, and it never fetched anything. */
export function hasNoCache({ code, stderr }: RunResult): boolean {
  return code !== 0 && NO_CACHE.test(stderr);
}

/** Whether these words tell of another dnf that is in the way; dnf 5 waits for it without an end. */
export function tellsOfLock(stderr: string): boolean {
  return LOCKED.test(stderr);
}

/** Whether another dnf was in the way. */
export function isLocked({ code, stderr }: RunResult): boolean {
  return code === LOCKED_CODE || (code !== 0 && code !== 100 && tellsOfLock(stderr));
}

/** The error for a command that ended with another code than it should; `action` as in "Cannot …". */
export function dnfFailure(action: string, result: RunResult): ScanError {
  const { reason, next } = classify(result);
  const lines = outputLines(`${result.stderr}\n`).lines.filter((line) => line.trim() !== "");
  const telling = reason === "locked" ? LOCKED : /^(?:Config )?error:/i;
  const errors = lines.filter((line) => telling.test(line));
  const told = (errors.length > 0 ? errors : lastComplaint(lines)).slice(0, TOLD_COMPLAINTS)
    .map((line) => quoteWords(line.trim().replace(/^error: */i, ""), LONGEST_COMPLAINT));
  const facts = told.length > 0 ? told.join("; ") : `exit ${result.code}`;
  return new ScanError(`Cannot ${action}: ${facts}${next === "" ? "" : `; ${next}`}`, { reason });
}

/** The last line that tells something; dnf 5 tells below it, indented, why that is. */
function lastComplaint(lines: readonly string[]): readonly string[] {
  const own = lines.filter((line) => !PROGRESS.test(line));
  return own.slice(Math.max(0, own.findLastIndex((line) => !/^\s/.test(line))));
}

/** What kind of failure it is, and what a person can do about it, if dnf does not say so itself. */
function classify(result: RunResult): { reason: ScanErrorReason; next: string } {
  const { code, stdout, stderr } = result;
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

/** Dnf 5's complaint once no mirror is left. */
const GAVE_UP = /^>>> .*(?:All mirrors were tried|Usable URL not found|Librepo error)/;

/** What a command that succeeded says it left out. */
export function dnfWarnings({ stdout, stderr }: RunResult): string[] {
  const warnings: string[] = [];
  let repository = "one of them";
  for (const line of outputLines(`${stderr}\n`).lines) {
    const [, ignored] = /^Ignoring repositories: (.+)$/.exec(line) ?? [];
    if (ignored !== undefined) warnings.push(leftOut(ignored));
    const [, skipped] = /^Warning: failed loading '(.+)', skipping\.$/.exec(line) ?? [];
    if (skipped !== undefined) {
      const file = quoteWords(skipped, LONGEST_COMPLAINT);
      warnings.push(`A repository's file could not be read: "${file}"`);
    }
    repository = PROGRESS.exec(line)?.[1] ?? repository;
    if (GAVE_UP.test(line)) warnings.push(leftOut(repository));
  }
  if (/^This system is not registered/m.test(`${stderr}\n${stdout}`)) {
    warnings.push(
      "This system is not registered: the repositories of its subscription are missing",
    );
  }
  return [...new Set(warnings)];
}

function leftOut(repositories: string): string {
  return `Repositories that could not be read: ${quoteWords(repositories, LONGEST_COMPLAINT)}`;
}
