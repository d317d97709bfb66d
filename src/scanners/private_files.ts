/**
 * The agent's own copies of package lists: when they are fetched again, and the small JSON files beside
 * them. If such a file is lost, the next scan fetches again: nothing else is lost.
 */

import type * as v from "valibot";
import { ANSWER_LIMITS, decodeJson, type JsonLimits } from "../json.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** Age at which lists are fetched again. */
export const REFETCH_MS = 24 * 3_600_000;

/** How far in the future a time may be: one of two clocks may take local time for UTC. */
export const CLOCK_SLACK_MS = 24 * 3_600_000;

const MIN_RETRY_MS = 3_600_000;
const MAX_RETRY_MS = 24 * 3_600_000;

/** How long a source that failed is not asked again; doubles with each failure, up to a day. */
export function retryPauseMs(failures: number): number {
  return Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** (failures - 1));
}

/** Returns the result of `work`, or `fallback` where it throws a `FileError`; other errors propagate. */
export async function unlessFileError<T>(work: () => Promise<T>, fallback: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileError) return fallback;
    throw error;
  }
}

/** Names in a directory; none where it cannot be read. */
export function listNames(
  { files }: Pick<System, "files">,
  purpose: string,
  directory: string,
): Promise<string[]> {
  return unlessFileError(() => files.list(purpose, directory), []);
}

/** Reads a JSON file; `undefined` where it is missing, unreadable or damaged. */
export async function readPrivateFile<T>(
  { files }: Pick<System, "files">,
  path: string,
  { purpose, schema, limits = ANSWER_LIMITS }: {
    purpose: string;
    schema: v.GenericSchema<unknown, T>;
    limits?: JsonLimits;
  },
): Promise<T | undefined> {
  const options = { maxBytes: limits.maxLength };
  const text = await unlessFileError(() => files.readText(purpose, path, options), undefined);
  const read = text === undefined ? undefined : decodeJson(schema, text, limits);
  return read?.ok ? read.value : undefined;
}

/** Writes a JSON file, if that is possible. */
export function writePrivateFile(
  { files }: Pick<System, "files">,
  path: string,
  { purpose, value }: { purpose: string; value: unknown },
): Promise<void> {
  const text = JSON.stringify(value);
  return unlessFileError(() => files.writeText(purpose, path, text, { mode: 0o600 }), undefined);
}
