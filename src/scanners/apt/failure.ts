/** Tells apart why an apt command failed, by its own words in the C locale. */

import { quoteWords } from "../../redact.ts";
import { outputLines } from "../output_lines.ts";
import { ScanError, type ScanErrorReason } from "../scanner.ts";
import type { RunResult } from "../../system/process.ts";

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
/** Apt has no list of sources: then it knows of no update, and nothing that it says is worth much. */
const NO_SOURCES =
  /The list of sources could not be read|Malformed (?:entry|line|stanza)|is invalid for APT::Default-Release/;
/** Warnings after which something is missing from a list; any other is only to be known. */
const LOST = /Unable to read |could(?: not|n't) be read|You may want to run apt-get update/;
const REPLACED =
  /Unable to parse package file|Could not open file .*\/lists\/|lists or status file/;

/** Complaints that are read; the rest of a flood is not. */
const MAX_COMPLAINTS = 1_000;

/** Apt's complaints of a severity, one a line, without what begins them. They may hold secrets. */
export function rawComplaints(stderr: string, severity: "errors" | "warnings"): string[] {
  const text = stderr.slice(0, MAX_STDERR_LENGTH).replace(COLOUR, "");
  return outputLines(`${text}\n`).lines.flatMap((line) => {
    const [start = "", kind = ""] = COMPLAINT.exec(line) ?? [];
    if (start === "" || kind.startsWith("W") !== (severity === "warnings")) return [];
    // Nothing is missing where the same list is configured twice.
    const text = line.slice(start.length).trim();
    return / is configured multiple times /.test(text) ? [] : [text];
  }).slice(0, MAX_COMPLAINTS);
}

/** Apt's complaints as a message quotes them: each once, and not all of many. */
export function complaints(stderr: string, severity: "errors" | "warnings"): string[] {
  const found = rawComplaints(stderr, severity).map((text) => quoteWords(text, LONGEST_COMPLAINT));
  return [...new Set(found)].slice(0, TOLD_COMPLAINTS);
}

/** Whether something is missing from the answer of a command that ended well and warned so. */
export function isLoss(warning: string): boolean {
  return LOST.test(warning);
}

/**
 * Whether apt refused a question for a reason of the packages on this host. Nothing else can be asked
 * where it is locked, has no sources, or reads lists that are being replaced.
 */
export function isRefusal(result: RunResult): boolean {
  const errors = complaints(result.stderr, "errors");
  const isElse = [LOCKED, NO_SOURCES, REPLACED].some((words) =>
    errors.some((error) => words.test(error))
  );
  return result.code !== 0 && result.code <= 128 && !isElse;
}

/** The error for a command that ended with another code than 0; `action` completes "Cannot …". */
export function aptFailure(action: string, { code, stderr }: RunResult): ScanError {
  const errors = complaints(stderr, "errors");
  const facts = [...errors, ...dpkgErrors(stderr)].join("; ") || `exit ${code}`;
  const message = `Cannot ${action}: ${facts}`;
  if (errors.some((error) => REPLACED.test(error))) {
    return new ReplacedListsError(message, { reason: "transient" });
  }
  return new ScanError(message, { reason: reasonOf(errors, code) });
}

/** `dpkg-query: error: FACT`, with the lines that are set in behind it. */
const DPKG_ERROR =
  /^dpkg(?:-query)?: (?:unrecoverable fatal |fatal )?error[:,] ?(.*(?:\n[ \t].*)*)/gm;

function dpkgErrors(stderr: string): string[] {
  const { lines } = outputLines(`${stderr.slice(0, MAX_STDERR_LENGTH)}\n`);
  const found = [...lines.join("\n").matchAll(DPKG_ERROR)].slice(0, TOLD_COMPLAINTS);
  return found.map(([, fact = ""]) => quoteWords(fact.replace(/\s+/g, " "), LONGEST_COMPLAINT));
}

function reasonOf(errors: readonly string[], code: number): ScanErrorReason {
  if (errors.some((error) => LOCKED.test(error))) return "locked";
  // A signal ended it: memory ran out, or the host is shutting down.
  return code > 128 ? "transient" : "permanent";
}
