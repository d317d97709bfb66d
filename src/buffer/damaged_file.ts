/**
 * Where a damaged buffer goes. While what can be read of it is not yet in the new one it has a name
 * that says so, and a start that finds that name puts it back and begins once more: a process may die
 * between any two of these steps.
 */

import { SQLITE_SUFFIXES } from "../system/database.ts";
import type { FileFacts, FileKind, Files } from "../system/files.ts";

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
  // A FIFO or a directory of that name is no salvage's, and the buffer stays where it is.
  if ((await look(files, path + OWED))?.kind !== "file") return false;
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
  const kept = keptPath(path, nowMs);
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + OWED + suffix, kept + suffix);
  return kept;
}

/**
 * Moves away what has the buffer's name and is no regular file, such as a FIFO or a directory, with
 * what lies beside it: nothing in it can be read, and it is a person's to look at. `null` if there is
 * no such thing. A symbolic link to nothing stays: its target may be on a disk that is not mounted.
 */
export async function moveStranger(
  files: Files,
  path: string,
  nowMs: number,
): Promise<{ movedTo: string; kind: FileKind } | null> {
  const kind = (await look(files, path))?.kind ?? "file";
  if (kind === "file") return null;
  const movedTo = keptPath(path, nowMs);
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + suffix, movedTo + suffix);
  return { movedTo, kind };
}

function keptPath(path: string, nowMs: number): string {
  return `${path}.corrupt-${new Date(nowMs).toISOString().replaceAll(":", "")}`;
}

async function move(files: Files, from: string, to: string): Promise<void> {
  if (await isThere(files, from)) await files.rename("move the damaged buffer", from, to);
}

async function isThere(files: Files, path: string): Promise<boolean> {
  return await look(files, path) !== undefined;
}

async function look(files: Files, path: string): Promise<FileFacts | undefined> {
  return await files.inspect("look at the buffer", path);
}
