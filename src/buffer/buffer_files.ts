/**
 * The names of the buffer's files. A Pennon that finds a newer one's `buffer.sqlite` leaves it alone
 * and keeps its own beside it, named by the version of its tables; a later Pennon takes that over.
 */

import type { Files } from "../system/files.ts";
import { SCHEMA_VERSION } from "./schema.ts";

/** With one that a salvage was to move out of the way: the process died before there was another. */
const SIDE = /^(buffer-v(\d{1,3})\.sqlite)(\.damaged)?$/;

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
  const paths = new Set<string>();
  for (const name of names) {
    const [, main, version] = SIDE.exec(name) ?? [];
    if (main === undefined || Number(version) > SCHEMA_VERSION) continue;
    // A link to nothing has nothing to give, or not until a disk is mounted.
    const found = await files.inspect("look for older buffers", `${stateDirectory}/${name}`);
    const path = `${stateDirectory}/${main}`;
    if (found !== undefined && path !== except) paths.add(path);
  }
  return [...paths].sort();
}
