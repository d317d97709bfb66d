/**
 * The names of the buffer's files. A Pennon that finds a newer one's `buffer.sqlite` leaves it alone
 * and keeps its own beside it, named by the version of its tables; a later Pennon takes that over.
 */

import type { Files } from "../system/files.ts";
import { SCHEMA_VERSION } from "./schema.ts";

/** SQLite's own files beside a database; they belong to it. */
export const SQLITE_SUFFIXES = ["", "-wal", "-shm"] as const;

const SIDE = /^buffer-v(\d{1,3})\.sqlite$/;

/** Where the buffer is. */
export function mainPath(stateDirectory: string): string {
  return `${stateDirectory}/buffer.sqlite`;
}

/** Where this version's is while a newer one's is in its place. */
export function sidePath(stateDirectory: string): string {
  return `${stateDirectory}/buffer-v${SCHEMA_VERSION}.sqlite`;
}

/** Those that this version or an older one left beside, `except` apart. Throws `FileError`. */
export async function findSideFiles(
  files: Files,
  stateDirectory: string,
  except: string,
): Promise<string[]> {
  const names = await files.list("look for older buffers", stateDirectory);
  return names.filter((name) => Number(SIDE.exec(name)?.[1] ?? Infinity) <= SCHEMA_VERSION)
    .map((name) => `${stateDirectory}/${name}`)
    .filter((path) => path !== except)
    .sort();
}
