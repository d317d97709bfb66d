/** Tries whether the state folder takes writes. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const FILE = "status.try";

/** A page and a little: what a database needs to write anything at all. */
const TRIAL = `${"pennon status\n".repeat(600)}`;

/**
 * Writes a file of 8 KiB there and removes it. `null`: it took it; else why not, for people.
 * `undefined`: there is no such folder.
 */
export async function tryFolder(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<string | null | undefined> {
  const path = `${stateDirectory}/${FILE}`;
  try {
    const folder = await files.inspect("look for the state folder", stateDirectory);
    if (folder === undefined) return undefined;
    await files.writeText("try the state folder", path, TRIAL, { mode: 0o600 });
    await files.remove("remove the trial", path);
    return null;
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}
