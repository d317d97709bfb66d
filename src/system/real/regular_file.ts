/**
 * Inspects paths, and opens regular files and nothing else: opening a FIFO waits for its other end,
 * opening a device can act on it, and neither a socket nor a directory has a text.
 */

import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { SQLITE_SUFFIXES } from "../database.ts";
import {
  type FileFacts,
  type FileKind,
  notRegular,
  type PathStep,
  type PathTrace,
} from "../files.ts";
import { isWindows } from "./environment.ts";

/** Linux follows at most this many symbolic links in one path (path_resolution(7)). */
const MOST_LINKS = 40;

/** The path leads to something that is not a regular file; the message names the path and the kind. */
export class NotRegularError extends Error {
  override readonly name = "NotRegularError";

  constructor(path: string, kind: FileKind) {
    // To move /dev/null away would harm the whole host.
    const next = kind === "device"
      ? "name a regular file instead"
      : "move it away, or put a regular file in its place";
    super(`${notRegular(path, kind)}. Next: ${next}`);
  }
}

const ACCESS = {
  read: constants.O_RDONLY,
  overwrite: constants.O_RDWR,
  append: constants.O_WRONLY | constants.O_APPEND,
} as const;

/** An open regular file, and the facts of that very file. */
interface RegularFile {
  readonly handle: FileHandle;
  readonly facts: FileFacts;
}

/**
 * Opens the regular file that `path` leads to, to read it, to overwrite its beginning or to add
 * to its end; returns `undefined` if nothing is there. A symbolic link counts as its target.
 *
 * The kind is checked twice: before opening, because opening a device can already act on it, and on
 * the open file, which is the one that is used. With `O_NONBLOCK`, a FIFO that replaces the file in
 * between opens without waiting (open(2)), so that the second check can refuse it.
 *
 * @throws {NotRegularError} if it is anything but a regular file, or a link to nothing
 * @throws {Error} Deno's own or Node's, if it cannot be opened
 */
export async function openRegular(
  path: string,
  access: keyof typeof ACCESS,
): Promise<RegularFile | undefined> {
  if (!isRegular(path)) return undefined;
  const flags = ACCESS[access];
  const handle = await open(path, flags | (constants.O_NONBLOCK ?? 0)).catch((error) => {
    if (error.code === "ENOENT") return undefined; // Another process has removed it since.
    throw error;
  });
  if (handle === undefined) return undefined;
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
 * Whether a regular file is at `path`; `false` if nothing is. For code that opens the path itself, as
 * SQLite does: a process that can write in the directory, and no other, can replace the file between
 * this check and that opening.
 *
 * @throws {NotRegularError} if it is anything but a regular file, or a link to nothing
 */
function isRegular(path: string): boolean {
  try {
    const { kind } = factsOf(Deno.statSync(path));
    if (kind !== "file") throw new NotRegularError(path, kind);
    return true;
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  try {
    // Another process may have made the file since.
    if (!Deno.lstatSync(path).isSymlink) return isRegular(path);
  } catch (error) {
    if (error instanceof NotRegularError) throw error;
    return false;
  }
  throw new NotRegularError(path, "link");
}

/**
 * Refuses a database if one of its files exists and is not regular: SQLite would wait for the other
 * end of a FIFO, and create a file where a link leads to nothing. Where access is denied, SQLite is
 * denied too and reports it.
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

/**
 * Follows `path` from the root of the file system name by name, as `Files.trace()` describes. A
 * relative path starts in the current directory.
 *
 * @throws {Error} Deno's own, if a step cannot be inspected; or if there are too many links
 */
export async function tracePath(path: string): Promise<PathTrace> {
  if (isWindows) return { steps: [], isWhole: true };
  const steps: PathStep[] = [{ path: "/", ...factsOf(await Deno.lstat("/")) }];
  const names = (path.startsWith("/") ? path : `${Deno.cwd()}/${path}`).split("/");
  let directory = "";
  let links = 0;
  while (names.length > 0) {
    const name = names.shift() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      // No link is left in `directory`, so cutting its last name gives its parent.
      directory = directory.slice(0, Math.max(0, directory.lastIndexOf("/")));
      continue;
    }
    const here = `${directory}/${name}`;
    const info = await unlessAbsent(Deno.lstat(here));
    if (info === undefined) return { steps, isWhole: false };
    steps.push({ path: here, ...factsOf(info) });
    if (!info.isSymlink) {
      directory = here;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) throw new Error("too many symbolic links");
    const target = await Deno.readLink(here);
    if (target.startsWith("/")) directory = "";
    names.unshift(...target.split("/"));
  }
  return { steps, isWhole: true };
}

/** The result of `work`, or `undefined` if it fails because nothing is there. */
export async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Whether nothing is there, also because a directory of the path is a file. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** Converts Deno's file information to the port's. */
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

/** All `null` on Windows, which has access control lists instead. */
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
