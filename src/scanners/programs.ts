/**
 * The programs of package managers, as all scanners use them: whether they are installed, how they run,
 * how their output is split into lines, how their versions compare, and what a failure means.
 */

import { hasControls, stripControls } from "../strip_controls.ts";
import { CommandError, type RunOptions, type RunResult } from "../system/process.ts";
import type { System } from "../system/system.ts";
import { cannot, type ScanError, type ScanErrorReason } from "./scanner.ts";

/** Whether of each group of paths at least one exists; `false` if that cannot be found out. */
export async function hasFiles(
  { files }: Pick<System, "files">,
  purpose: string,
  groups: readonly (readonly string[])[],
): Promise<boolean> {
  try {
    const found = await Promise.all(
      groups.map((paths) => Promise.all(paths.map((path) => files.inspect(purpose, path)))),
    );
    return found.every((facts) => facts.some((fact) => fact !== undefined));
  } catch {
    return false;
  }
}

/** Like `Promise.all`, but waits for all of them even if one fails: no command is left running. */
export async function waitForAll<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: T[K] | Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work) as Promise<unknown> as Promise<T>;
}

/** Runs a program; where it does not end by itself, throws the error that `describe` makes of that. */
export async function runProgram(
  system: Pick<System, "runCommand">,
  argv: readonly string[],
  { signal, ...options }: Omit<RunOptions, "signal"> & { signal: AbortSignal | undefined },
  describe: (cause: CommandError) => ScanError,
): Promise<RunResult> {
  try {
    return await system.runCommand(argv, { ...options, ...(signal && { signal }) });
  } catch (cause) {
    throw cause instanceof CommandError ? describe(cause) : cause;
  }
}

/** The reason of a scan's failure, from the failure to run a program. */
export function reasonNotRun({ reason }: CommandError): ScanErrorReason {
  switch (reason) {
    case "not_found":
      return "not_available";
    case "denied":
      return "permanent";
    case "timeout":
    case "aborted":
    case "failed":
      return "transient";
  }
}

/** The error for an output that exceeds the limit of its length. */
export function answerTooLong(action: string): ScanError {
  return cannot(action, "the answer is too long", "permanent");
}

/** The meaning of an error code of a package manager; `next`: what an operator can do. */
export type FailureMeaning = readonly [reason: ScanErrorReason, fact: string, next?: string];

/** Indexes meanings by their codes, which each row lists separated by blanks. */
export function meaningsByCode(
  rows: readonly (readonly [codes: string, ...FailureMeaning])[],
): ReadonlyMap<string, FailureMeaning> {
  return new Map(
    rows.flatMap(([codes, ...meaning]) =>
      codes.split(" ").map((code): [string, FailureMeaning] => [code, meaning])
    ),
  );
}

/** Longer lines belong to no format of a package manager. */
const MAX_LINE_LENGTH = 65_536;

/**
 * Splits `text` at LF, CRLF or CR, and removes a byte order mark and all control characters except
 * tabs.
 *
 * A last line without an end is dropped: it can hold only the beginning of a name or a version.
 * `dropped` counts such lines, and lines that are too long.
 */
export function outputLines(text: string): { lines: readonly string[]; dropped: number } {
  // Most outputs have no other control characters; then no line needs to be cleaned.
  const isPlain = !hasControls(text, "\n\t");
  const all = text.split(isPlain ? "\n" : /\r\n|\n|\r/);
  const rest = all.pop();
  const short = all.filter((line) => line.length <= MAX_LINE_LENGTH);
  const lines = isPlain ? short : short.map((line) => stripControls(line, "\t"));
  return { lines, dropped: all.length - lines.length + (rest ? 1 : 0) };
}

/** Reads a date that ECMAScript knows, in ms since the epoch; `null` if it is none. */
export function parseDate(text: string): number | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** Linux accepts at most 128 KiB of arguments where the stack is small; the rest is reserve. */
const MAX_ARGUMENT_BYTES = 100_000;

/** Splits a list of arguments so that each part fits into one command line. Names are ASCII. */
export function inBatches(names: readonly string[]): string[][] {
  const batches: string[][] = [];
  let roomBytes = 0;
  for (const name of names) {
    const sizeBytes = name.length + 1;
    if (sizeBytes > roomBytes) {
      batches.push([]);
      roomBytes = MAX_ARGUMENT_BYTES;
    }
    batches.at(-1)?.push(name);
    roomBytes -= sizeBytes;
  }
  return batches;
}

/** Compares number by number (`1.9` before `1.10`); a missing number counts as 0. */
export function compareVersionNumbers(a: readonly number[], b: readonly number[]): number {
  const length = Math.max(a.length, b.length);
  const differences = Array.from({ length }, (_, index) => (a[index] ?? 0) - (b[index] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}

/** Compares numbers as text: a version may have more digits than a number can hold. */
export function compareDigits(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return left.length - right.length || compareTexts(left, right);
}

/** Compares by UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
