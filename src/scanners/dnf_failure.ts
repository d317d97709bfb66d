/** Tells apart why a dnf or rpm command failed, by its own words in the C locale. */

import type { RunResult } from "../system/process.ts";
import { outputLines } from "./output_lines.ts";
import { ScanError, type ScanErrorReason } from "./scanner.ts";

/** Told shortened: they go to a terminal and to a server. */
const LONGEST_COMPLAINT = 300;
const TOLD_COMPLAINTS = 5;

const NO_CACHE = /Cache-only enabled but no cache/;
const LOCKED = /Waiting for process with pid|Failed to obtain .*lock/i;
const REFUSED = /GPG|Status code: 40[13]|not registered/;
const UNREACHABLE = /Failed to download metadata|All mirrors were tried|Curl error/;

/** Whether dnf was told to use only what it has fetched before, and it never fetched anything. */
export function hasNoCache({ code, stderr }: RunResult): boolean {
  return code !== 0 && NO_CACHE.test(stderr);
}

/** The error for a command that ended with another code than 0; `action` completes "Cannot …". */
export function dnfFailure(action: string, { code, stderr }: RunResult): ScanError {
  const lines = outputLines(`${stderr}\n`).lines.filter((line) => line.trim() !== "");
  const errors = lines.filter((line) => /^(?:Config )?error:/i.test(line));
  const told = (errors.length > 0 ? errors : lines.slice(-1)).slice(0, TOLD_COMPLAINTS)
    .map((line) => line.replace(/^error: */i, "").slice(0, LONGEST_COMPLAINT));
  const facts = told.length > 0 ? told.join("; ") : `exit ${code}`;
  return new ScanError(`Cannot ${action}: ${facts}`, { reason: reasonOf(stderr, code) });
}

function reasonOf(stderr: string, code: number): ScanErrorReason {
  if (LOCKED.test(stderr)) return "locked";
  // A refusal comes with the words for an unreachable mirror, too.
  if (REFUSED.test(stderr)) return "permanent";
  if (UNREACHABLE.test(stderr) || NO_CACHE.test(stderr)) return "transient";
  // A signal ended it: memory ran out, or the host is shutting down.
  return code > 128 ? "transient" : "permanent";
}

/** What a command that succeeded says it left out. */
export function dnfWarnings({ stderr }: RunResult): string[] {
  return outputLines(`${stderr}\n`).lines.flatMap((line) => {
    const [, ignored] = /^Ignoring repositories: (.+)$/.exec(line) ?? [];
    if (ignored !== undefined) {
      return [`Repositories that could not be read: ${ignored.slice(0, LONGEST_COMPLAINT)}`];
    }
    const [, skipped] = /^Warning: failed loading '(.+)', skipping\.$/.exec(line) ?? [];
    if (skipped === undefined) return [];
    return [`A repository's file could not be read: "${skipped.slice(0, LONGEST_COMPLAINT)}"`];
  });
}
