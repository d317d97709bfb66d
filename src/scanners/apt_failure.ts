/** Tells apart why an apt command failed, by its own words in the C locale. */

import { quoteWords } from "../redact.ts";
import { outputLines } from "./output_lines.ts";
import { ScanError, type ScanErrorReason } from "./scanner.ts";
import type { RunResult } from "../system/process.ts";

/** The package lists were replaced while apt read them: asking again helps. */
export class ReplacedListsError extends ScanError {}

/** Apt's complaints begin so; apt 3 spells them out. */
const COMPLAINT = /^(E|W|Err:\d+|Error|Warning): ?/;

/** Apt 3 makes them bold even without a terminal. */
// deno-lint-ignore no-control-regex
const COLOUR = /\x1b\[[\d;]*m/g;

/** Told shortened: they go to a terminal and to a server. */
const LONGEST_COMPLAINT = 300;

/** Complaints are looked for in so much of what a command said: more would be a flood. */
const MAX_STDERR_LENGTH = 1_048_576;

/** Complaints of one command that are told; mirrors come in dozens. */
const TOLD_COMPLAINTS = 10;

const LOCKED = /Could not get lock|Unable to lock|Unable to acquire the dpkg frontend lock/;
const BROKEN = /Unmet dependencies|Unable to correct problems|generated breaks|Broken packages/i;
const UNFETCHED = /^(Failed to fetch|Some index files failed to download)/;
const REPLACED =
  /Unable to parse package file|Could not open file .*\/lists\/|lists or status file/;

/** Apt's complaints of a severity, one a line, without what begins them. */
export function complaints(stderr: string, severity: "errors" | "warnings"): string[] {
  const text = stderr.slice(0, MAX_STDERR_LENGTH).replace(COLOUR, "");
  const found = outputLines(`${text}\n`).lines.flatMap((line) => {
    const [start, kind] = COMPLAINT.exec(line) ?? [];
    if (start === undefined || (kind?.startsWith("W") ?? false) !== (severity === "warnings")) {
      return [];
    }
    // Nothing is missing where the same list is configured twice.
    const text = line.slice(start.length).trim();
    return / is configured multiple times /.test(text) ? [] : [quoteWords(text, LONGEST_COMPLAINT)];
  });
  return [...new Set(found)].slice(0, TOLD_COMPLAINTS);
}

/**
 * Sources that apt failed to fetch and ended well all the same: before apt 2.1 it knows no
 * `APT::Update::Error-Mode`, and warns.
 */
export function unfetched(stderr: string): string[] {
  return complaints(stderr, "warnings").filter((warning) => UNFETCHED.test(warning));
}

/** Whether apt would not simulate because installed packages do not fit together. */
export function isBroken({ code, stderr }: RunResult): boolean {
  return code !== 0 && complaints(stderr, "errors").some((error) => BROKEN.test(error));
}

/** The error for a command that ended with another code than 0; `action` completes "Cannot …". */
export function aptFailure(action: string, { code, stderr }: RunResult): ScanError {
  const errors = complaints(stderr, "errors");
  const facts = errors.length > 0 ? errors.join("; ") : `exit ${code}`;
  const message = `Cannot ${action}: ${facts}`;
  if (errors.some((error) => REPLACED.test(error))) {
    return new ReplacedListsError(message, { reason: "transient" });
  }
  return new ScanError(message, { reason: reasonOf(errors, code) });
}

function reasonOf(errors: readonly string[], code: number): ScanErrorReason {
  if (errors.some((error) => LOCKED.test(error))) return "locked";
  // A signal ended it: memory ran out, or the host is shutting down.
  return code > 128 ? "transient" : "permanent";
}
