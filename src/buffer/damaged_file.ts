/**
 * Where a damaged buffer goes. While what can be read of it is not yet in the new one it has a name
 * that says so, and a start that finds that name puts it back and begins once more: a process may die
 * between any two of these steps.
 */

import type { Files } from "../system/files.ts";
import { SQLITE_SUFFIXES } from "./buffer_files.ts";

/** Of a damaged buffer that is still to be read. */
const OWED = ".damaged";

/** SQLite's own files, which are nothing without the database. */
const SIDE_SUFFIXES = SQLITE_SUFFIXES.filter((suffix) => suffix !== "");

/** The database goes first: from then on it is known that the rest belongs to it. Answers its name. */
export async function moveAside(files: Files, path: string): Promise<string> {
  for (const suffix of SIDE_SUFFIXES) {
    await files.remove("clear the way for the damaged buffer", path + OWED + suffix);
  }
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + suffix, path + OWED + suffix);
  return path + OWED;
}

/**
 * Puts back what an unfinished salvage left; nothing else is in the new one by then. The database
 * comes last, as it went first. Whether there was one.
 */
export async function putBack(files: Files, path: string): Promise<boolean> {
  if (!await isThere(files, path + OWED)) return false;
  if (await isThere(files, path)) {
    for (const suffix of [...SIDE_SUFFIXES, ""]) {
      await files.remove("undo half a salvage", path + suffix);
    }
  }
  for (const suffix of [...SIDE_SUFFIXES, ""]) {
    await move(files, path + OWED + suffix, path + suffix);
  }
  return true;
}

/** All that can be read is in the new one: keeps the damaged one for people. Answers its name. */
export async function keepForPeople(files: Files, path: string, nowMs: number): Promise<string> {
  const instant = new Date(nowMs).toISOString().replaceAll(":", "");
  const kept = `${path}.corrupt-${instant}`;
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + OWED + suffix, kept + suffix);
  return kept;
}

async function move(files: Files, from: string, to: string): Promise<void> {
  if (await isThere(files, from)) await files.rename("move the damaged buffer", from, to);
}

async function isThere(files: Files, path: string): Promise<boolean> {
  return await files.inspect("look at the buffer", path) !== undefined;
}
