/**
 * Opens regular files and nothing else: opening a FIFO waits for its other end, opening a device can
 * act on it, and neither a socket nor a directory has a text.
 */

import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { SQLITE_SUFFIXES } from "../database.ts";
import { type FileFacts, type FileKind, notRegular } from "../files.ts";

const isWindows = Deno.build.os === "windows";

/** The path leads to something that is not a regular file; the message names the path and the kind. */
export class NotRegularError extends Error {
  override readonly name = "NotRegularError";

  constructor(path: string, kind: FileKind) {
    super(
      `${notRegular(path, kind)}. Next: move it away, or put a regular file in its place`,
    );
  }
}

/** A regular file that is open, and what is known of that very file. */
export interface RegularFile {
  readonly handle: FileHandle;
  readonly facts: FileFacts;
}

/**
 * Opens the regular file that `path` leads to, for reading or for writing over its beginning;
 * `undefined` if nothing is there. A symbolic link counts as its target.
 *
 * The kind is looked at twice. Before opening, because opening a device can already act on it; and on
 * the open file, which is the one that is used. `O_NONBLOCK` lets a FIFO that takes the file's place
 * in between be opened without waiting (open(2)), so that the second look can refuse it.
 *
 * @throws {NotRegularError} if it is anything but a regular file, or a link to nothing
 * @throws {Error} Deno's own or Node's, if it cannot be opened
 */
export async function openRegular(
  path: string,
  access: "read" | "overwrite",
): Promise<RegularFile | undefined> {
  if (!isRegular(path)) return undefined;
  const flags = access === "read" ? constants.O_RDONLY : constants.O_RDWR;
  const handle = await open(path, flags | (constants.O_NONBLOCK ?? 0));
  try {
    const facts = factsOfHandle(await handle.stat());
    if (facts.kind !== "file") throw new NotRegularError(path, facts.kind);
    return { handle, facts };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Whether a regular file is at `path`; `false` if nothing is. For programs that open a path by
 * themselves, as SQLite does: whoever can write in its directory can put something else there between
 * this look and that opening, and only they can.
 *
 * @throws {NotRegularError} if it is anything but a regular file, or a link to nothing
 */
function isRegular(path: string): boolean {
  try {
    return checkKind(path, Deno.statSync(path));
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  try {
    Deno.lstatSync(path);
  } catch {
    return false;
  }
  throw new NotRegularError(path, "link");
}

/**
 * Refuses a database of which one file is there and is not a regular one: SQLite would wait for a
 * FIFO's other end, and make a new file where a link leads to nothing. What may not be looked at,
 * SQLite may not open either, and says so.
 *
 * @throws {NotRegularError}
 */
export function checkSqliteFiles(path: string): void {
  for (const suffix of SQLITE_SUFFIXES) {
    try {
      isRegular(path + suffix);
    } catch (error) {
      if (error instanceof NotRegularError) throw error;
    }
  }
}

function checkKind(path: string, info: Deno.FileInfo): true {
  const { kind } = factsOf(info);
  if (kind !== "file") throw new NotRegularError(path, kind);
  return true;
}

/** Nothing is there; a file where a directory of the path should be has nothing below it either. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** What Deno says of a file, in the port's terms. */
export function factsOf(info: Deno.FileInfo): FileFacts {
  return {
    kind: kindOf(info),
    sizeBytes: info.size,
    modifiedMs: info.mtime?.getTime() ?? 0,
    ...unixFacts(info),
  };
}

function kindOf(info: Deno.FileInfo): FileKind {
  if (info.isFile) return "file";
  if (info.isDirectory) return "directory";
  if (info.isSymlink) return "link";
  if (info.isFifo) return "fifo";
  if (info.isSocket) return "socket";
  return info.isCharDevice || info.isBlockDevice ? "device" : "unknown";
}

function factsOfHandle(stats: Stats): FileFacts {
  return {
    kind: kindOfHandle(stats),
    sizeBytes: stats.size,
    modifiedMs: stats.mtimeMs,
    ...unixFacts(stats),
  };
}

function kindOfHandle(stats: Stats): FileKind {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  if (stats.isFIFO()) return "fifo";
  if (stats.isSocket()) return "socket";
  return stats.isCharacterDevice() || stats.isBlockDevice() ? "device" : "unknown";
}

/** Windows has none of these: its rights are lists of their own. */
function unixFacts(
  info: Pick<Deno.FileInfo, "mode" | "uid" | "gid" | "dev" | "ino">,
): Pick<FileFacts, "mode" | "owner" | "group" | "identity"> {
  if (isWindows) return { mode: null, owner: null, group: null, identity: null };
  const { mode, uid, gid, dev, ino } = info;
  return {
    mode: mode === null ? null : mode & 0o7777,
    owner: uid,
    group: gid,
    identity: ino === null ? null : `${dev}:${ino}`,
  };
}
