/** Runs dnf and rpm with time limits, waits for dnf's lock, and explains failures by dnf's own words. */

import { quoteWords } from "../../redact.ts";
import type { RunOptions, RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { answerTooLong, outputLines, reasonNotRun, runProgram } from "../programs.ts";
import { cannot, type ScanError, type ScanErrorReason } from "../scanner.ts";
import { LOCAL_REPOSITORY } from "./repositories.ts";

/** Per command. A command takes one to three seconds, and longer with more installed packages. */
const TIMEOUT_MS = 120_000;
const TIMEOUT_PER_PACKAGE_MS = 50;

/** How long all commands of a scan together wait for another dnf, and how often they retry. */
const LOCK_PATIENCE_MS = 60_000;
const LOCK_POLL_MS = 5_000;

/** Runs commands; every method throws `ScanError`, or the signal's reason after an abort. */
export class DnfCommands {
  readonly #system: System;
  readonly #signal: AbortSignal;
  #waitedMs = 0;
  #timeoutMs = TIMEOUT_MS;

  constructor(system: System, signal: AbortSignal | undefined) {
    this.#system = system;
    this.#signal = signal ?? new AbortController().signal;
  }

  /** Extends the default time limit by 50 ms per installed package. */
  scaleTimeouts(installedPackages: number): void {
    this.#timeoutMs = TIMEOUT_MS + TIMEOUT_PER_PACKAGE_MS * installedPackages;
  }

  /**
   * Runs a program to its end, again while another dnf holds the lock; any exit code is a result.
   * `action` completes "Cannot …". The default time limit is 120 s, and more after `scaleTimeouts`.
   */
  async run(
    action: string,
    argv: readonly string[],
    { timeoutMs = this.#timeoutMs, ...more }: Partial<RunOptions> = {},
  ): Promise<RunResult> {
    const options = { ...more, timeoutMs, signal: this.#signal };
    for (;;) {
      const result = await runProgram(this.#system, argv, options, (cause) => {
        const reason = mentionsLock(cause.stderr) ? "locked" : reasonNotRun(cause);
        return cannot(action, cause.message, reason, { cause });
      });
      if (!isLocked(result) || this.#waitedMs >= LOCK_PATIENCE_MS) return result;
      await this.#system.clock.sleep(LOCK_POLL_MS, this.#signal);
      this.#waitedMs += LOCK_POLL_MS;
    }
  }
}

/** Returns the stdout of a command; throws unless it exited with one of `codes` and is complete. */
export function outputOf(
  action: string,
  result: RunResult,
  codes: readonly number[] = [0],
): string {
  if (!codes.includes(result.code)) throw dnfFailure(action, result);
  if (result.truncated) throw answerTooLong(action);
  return result.stdout;
}

/** Limits of quoted messages, which go to a terminal and to the server. */
const MAX_MESSAGE_LENGTH = 300;
const MAX_MESSAGES = 5;

/** The exit code of dnf 4 if it must not wait for a lock (dnf(8)). */
const LOCKED_CODE = 200;

/** The exit code of both generations for unknown arguments. */
const USAGE_CODE = 2;

const NO_CACHE = /Cache-only enabled but no cache/;
const LOCKED =
  /Waiting for (?:process with pid|a lock)|already locked by \d|Failed to obtain .*lock/i;
const PROMPT = /Is this ok \[y\/N\]:/;
const UNREGISTERED = /This system is not registered|Unable to read consumer identity/;
const NO_REPOSITORIES = /There are no enabled repositories|No repositories (?:are )?available/i;
/** Dnf 5's answer to a setting for all repositories where there are none. */
const NO_REPOSITORY_AT_ALL = /^No matching repositories for \*/m;
const SIGNATURE = /GPG (?:verification|signature|key)|Bad GPG|PGP|signature verification error/i;
const REFUSED = /Status code: 40[13]\b/;
const UNREACHABLE =
  /Failed to download metadata|All mirrors were tried|Curl error|Librepo error|Usable URL not found/;

/** A cause below dnf 4's "Errors during downloading metadata for repository 'x':". */
const CAUSE = /^ {2}- (\S.*)/;

/** Dnf 5's progress line of a repository. */
const PROGRESS = /^ ?(\S.{0,199}?) {1,200}(?:\d{1,3}|\?\?\?)% \| /;

/** Whether stderr reports that another dnf holds the lock. Dnf 5 waits for the lock without limit. */
export function mentionsLock(stderr: string): boolean {
  return LOCKED.test(endOf(stderr));
}

/** Whether a command failed because another dnf holds the lock. */
export function isLocked({ code, stderr }: RunResult): boolean {
  return code === LOCKED_CODE || (code !== 0 && code !== 100 && mentionsLock(stderr));
}

/**
 * The error for a command with an unexpected exit code; `action` completes "Cannot …". `facts`, which
 * must already be redacted, replace dnf's own messages.
 */
export function dnfFailure(
  action: string,
  result: RunResult,
  facts?: readonly string[],
): ScanError {
  if (NO_REPOSITORY_AT_ALL.test(endOf(result.stderr))) {
    return cannot(action, "there are no enabled repositories", "permanent");
  }
  const { reason, next } = classify(result);
  const messages = facts?.slice(0, MAX_MESSAGES) ?? quoteErrors(result, reason);
  const fact = messages.length > 0 ? messages.join("; ") : `exit ${result.code}`;
  return cannot(action, `${fact}${next === "" ? "" : `; ${next}`}`, reason);
}

/** Characters of a line that are parsed; `quoteWords` quotes only the beginning of them. */
const MAX_LINE_LENGTH = 4_000;

/** Characters of an output that are parsed. The final error is at the end. */
const MAX_OUTPUT_LENGTH = 1_000_000;

/** The end of a long text, from the start of a line: half a URL could contain half a password. */
function endOf(text: string): string {
  if (text.length <= MAX_OUTPUT_LENGTH) return text;
  const end = text.slice(-MAX_OUTPUT_LENGTH);
  const line = end.indexOf("\n") + 1;
  return line === 0 ? "" : end.slice(line);
}

/** The lines of stderr; the last one may lack its line end. */
function messageLines(stderr: string): readonly string[] {
  return outputLines(`${endOf(stderr)}\n`).lines.map((line) => line.slice(0, MAX_LINE_LENGTH));
}

function quoteErrors(result: RunResult, reason: ScanErrorReason): string[] {
  const lines = messageLines(result.stderr).filter((line) => line.trim() !== "");
  const pattern = reason === "locked" ? LOCKED : /^(?:Config )?error:/i;
  const errors = lines.filter((line) => pattern.test(line));
  // Dnf 4's error is "All mirrors were tried"; the cause is above it.
  const causes = lines.flatMap((line) => CAUSE.exec(line)?.[1] ?? [])
    .filter((cause) => !errors.some((error) => error.includes(cause)));
  const messages = errors.length > 0 ? [...errors, ...causes] : lastMessage(lines);
  return [...new Set(messages)].slice(0, MAX_MESSAGES)
    .map((line) => quoteWords(line.trim().replace(/^error: */i, ""), MAX_MESSAGE_LENGTH));
}

/** The last line that is not progress; dnf 5 prints its reason below it, indented. */
function lastMessage(lines: readonly string[]): readonly string[] {
  const own = lines.filter((line) => !PROGRESS.test(line));
  return own.slice(Math.max(0, own.findLastIndex((line) => !/^\s/.test(line))));
}

/** The reason of a failure, and the operator's next step if dnf does not name it itself. */
function classify(result: RunResult): { reason: ScanErrorReason; next: string } {
  const { code } = result;
  const [stdout, stderr] = [endOf(result.stdout), endOf(result.stderr)];
  const output = `${stderr}\n${stdout}`;
  if (isLocked(result)) return { reason: "locked", next: "" };
  if (code === USAGE_CODE) {
    return {
      reason: "permanent",
      next: "install a newer Pennon, this version of dnf expects other arguments",
    };
  }
  if (UNREGISTERED.test(output) && (NO_REPOSITORIES.test(output) || REFUSED.test(output))) {
    const next = 'register this system: run "subscription-manager register"';
    return { reason: "permanent", next };
  }
  // Checked before the unreachable mirror, whose messages accompany these failures.
  if (PROMPT.test(stdout) || SIGNATURE.test(stderr)) {
    const next = 'check the repository\'s key: run "dnf makecache" and answer its question';
    return { reason: "permanent", next };
  }
  if (REFUSED.test(stderr)) return { reason: "permanent", next: "" };
  if (UNREACHABLE.test(stderr) || NO_CACHE.test(stderr)) return { reason: "transient", next: "" };
  // Above 128, a signal ended it: out of memory, or the host is shutting down.
  return { reason: code > 128 ? "transient" : "permanent", next: "" };
}

/** Repositories whose failures are returned. */
const MAX_FAILURES = 500;

/**
 * Why repositories could not be fetched: by id for dnf 4, by name for dnf 5. Every complaint of dnf 5
 * below a repository's progress counts: dnf 5 continues without the repository and exits with 0.
 */
export function fetchFailures(stderr: string): Map<string, string> {
  const causes = new Map<string, Set<string>>();
  const facts = new Map<string, string>();
  let repository: string | undefined;
  for (const line of messageLines(stderr)) {
    const progress = PROGRESS.exec(line)?.[1];
    const [, begun] = ERRORS_OF.exec(line) ?? [];
    const [, failed, fact = ""] = FAILED.exec(line) ?? [];
    const cause = /^>>> (.+)/.exec(line)?.[1] ?? CAUSE.exec(line)?.[1];
    if (progress !== undefined) repository = progress;
    else if (begun !== undefined) repository = begun;
    else if (failed !== undefined) facts.set(failed, fact);
    else if (cause !== undefined && repository !== undefined) {
      causes.set(repository, (causes.get(repository) ?? new Set()).add(cause));
    }
  }
  const all = [...new Set([...causes.keys(), ...facts.keys()])]
    .filter((id) => id !== LOCAL_REPOSITORY).slice(0, MAX_FAILURES);
  return new Map(all.map((id) => {
    const found = [...causes.get(id) ?? []];
    // Dnf 5 prints every attempt and a conclusion; the first attempt names the cause.
    const cause = found.find((one) => one !== "Usable URL not found") ?? facts.get(id) ??
      (found[0] ?? "");
    const words = cause.replace(/ - [a-z+]{1,20}:\/\/\S+$/, "");
    return [id, quoteWords(words || "dnf does not say why", MAX_MESSAGE_LENGTH)];
  }));
}

const ERRORS_OF = /^Errors during downloading metadata for repository '([^']{1,255})':/;
const FAILED =
  /^(?:Error|Warning): (?:Failed to download metadata for repo|Loading repository) '([^']{1,255})'[: ] ?(.*)/;

/** Problems that a gap names. */
const MAX_PROBLEMS = 2;

/** What is missing from the output of a successful command, besides repositories that it ignored. */
export function dnfGaps(result: RunResult): string[] {
  const [stdout, stderr] = [endOf(result.stdout), endOf(result.stderr)];
  const lines = messageLines(stderr);
  const skipped = lines.flatMap((line) =>
    /^Warning: failed loading '(.+)', skipping\.$/.exec(line)?.[1] ?? []
  );
  const gaps = skipped.map((file) =>
    `A repository's file could not be read: "${quoteWords(file, MAX_MESSAGE_LENGTH)}"`
  );
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
  const named = (reasons.length > 0 ? reasons : problems).slice(0, MAX_PROBLEMS).join("; ");
  return `Modular dependency problem, packages of modules may be missing: ${
    quoteWords(named, MAX_MESSAGE_LENGTH)
  }`;
}
