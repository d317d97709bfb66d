/** The files port on Deno: atomic writes, bounded reads, and locks that end with the process. */

import { FileError, type FileErrorReason, type FileFacts, type Files } from "./files.ts";
import { databaseErrorReason } from "./real_database_error.ts";
import { onceLetGo } from "./real_let_go.ts";
import { takeRealLock } from "./real_lock.ts";
import { makeFolder } from "./real_private_folder.ts";

/** Read unless the caller says otherwise. */
const DEFAULT_MAX_BYTES = 1_048_576;

/** A temporary file this old was left by a process that died: no write takes so long. */
const LEFTOVER_AGE_MS = 600_000;

const isWindows = Deno.build.os === "windows";

/** The file system of this machine. */
export const realFiles: Files = {
  readText(purpose, path, options = {}) {
    return guard(purpose, path, () => readText(path, options.maxBytes ?? DEFAULT_MAX_BYTES));
  },
  writeText(purpose, path, text, options) {
    return guard(purpose, path, () => writeText(path, text, options));
  },
  overwriteText(purpose, path, text) {
    return guard(purpose, path, () => overwriteText(path, text));
  },
  makeDirectory(purpose, path, options) {
    return guard(purpose, path, () => makeDirectory(path, options.mode));
  },
  remove(purpose, path) {
    return guard(purpose, path, async () => {
      await unlessAbsent(onceLetGo(() => Deno.remove(path)));
    });
  },
  rename(purpose, from, to) {
    return guard(purpose, from, async () => {
      await onceLetGo(() => Deno.rename(from, to));
      await syncFolderOf(to);
    });
  },
  inspect(purpose, path) {
    return guard(purpose, path, () => inspect(path));
  },
  list(purpose, path) {
    return guard(purpose, path, async () => await unlessAbsent(namesIn(path)) ?? []);
  },
  lock(purpose, path) {
    return guard(purpose, path, () => Promise.resolve(takeRealLock(path)));
  },
};

async function readText(path: string, maxBytes: number): Promise<string | undefined> {
  const facts = await unlessAbsent(Deno.stat(path));
  if (!facts) return undefined;
  // Opening a pipe waits for its other end, for ever if nobody comes.
  if (!facts.isFile) throw new Refusal("not a regular file", "failed");
  const file = await unlessAbsent(onceLetGo(() => Deno.open(path, { read: true })));
  if (!file) return undefined;
  try {
    return new TextDecoder().decode(await readAtMost(file, maxBytes));
  } finally {
    file.close();
  }
}

/** What the file holds, not what its size says: it may grow while it is read. */
async function readAtMost(file: Deno.FsFile, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  while (true) {
    const chunk = new Uint8Array(65_536);
    const count = await file.read(chunk);
    if (count === null) break;
    sizeBytes += count;
    if (sizeBytes > maxBytes) throw new Refusal(`more than ${maxBytes} bytes`, "too_large");
    chunks.push(chunk.subarray(0, count));
  }
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * The name beside is drawn anew each time, so that two writers never share one; `mode` is there from
 * the first byte on.
 */
async function writeText(path: string, text: string, options: { mode: number }): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await writeSynced(temporary, new TextEncoder().encode(text), options.mode);
    await onceLetGo(() => Deno.rename(temporary, path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await syncFolderOf(path);
  await sweepLeftovers(path);
}

async function writeSynced(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const file = await Deno.open(path, { write: true, createNew: true, mode });
  try {
    // The umask may have taken bits away that were asked for.
    if (!isWindows) await Deno.chmod(path, mode);
    await writeAll(file, bytes);
    await file.syncData();
  } finally {
    file.close();
  }
}

async function overwriteText(path: string, text: string): Promise<void> {
  const file = await Deno.open(path, { read: true, write: true });
  try {
    await writeAll(file, new TextEncoder().encode(text));
    await file.syncData();
  } finally {
    file.close();
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

/** Without a sync of its parent a new directory may be gone after a power cut, with all that is in it. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const made = await missingDirectories(path);
  await makeFolder(path, mode);
  for (const directory of made) await syncFolderOf(directory);
}

/** Of `path` and its parents those that do not exist, the innermost first. */
async function missingDirectories(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let current = path.replace(/\/+$/, ""); !await isThere(current);) {
    missing.push(current);
    current = splitPath(current).folder;
  }
  return missing;
}

/** Also `true` for a place that may not be looked at: making what is below it will say why. */
async function isThere(path: string): Promise<boolean> {
  return await unlessAbsent(Deno.stat(path || "/")).catch(() => true) !== undefined;
}

/** Makes a new name in this folder survive a power cut, where the system lets a folder be synced. */
async function syncFolderOf(path: string): Promise<void> {
  if (isWindows) return;
  try {
    const folder = await Deno.open(splitPath(path).folder, { read: true });
    try {
      await folder.sync();
    } finally {
      folder.close();
    }
  } catch {
    // Some file systems refuse; the rename has happened all the same.
  }
}

/** Removes what writers of `path` left when they died between creating and renaming. */
async function sweepLeftovers(path: string): Promise<void> {
  const { folder, name } = splitPath(path);
  const prefix = `${name}.`;
  try {
    for await (const { name: other } of Deno.readDir(folder)) {
      const middle = other.slice(prefix.length, -".tmp".length);
      if (other !== `${prefix}${middle}.tmp` || !/^[0-9a-f]{8}$/.test(middle)) continue;
      const leftover = `${folder}/${other}`;
      const { mtime } = await Deno.stat(leftover);
      if (mtime && Date.now() - mtime.getTime() > LEFTOVER_AGE_MS) await Deno.remove(leftover);
    }
  } catch {
    // Tidying up is not what the caller asked for: the text is written.
  }
}

async function inspect(path: string): Promise<FileFacts | undefined> {
  const facts = await unlessAbsent(Deno.stat(path));
  if (!facts) return undefined;
  return {
    isDirectory: facts.isDirectory,
    sizeBytes: facts.size,
    modifiedMs: facts.mtime?.getTime() ?? 0,
    mode: isWindows || facts.mode === null ? null : facts.mode & 0o7777,
    identity: isWindows || facts.ino === null ? null : `${facts.dev}:${facts.ino}`,
  };
}

async function namesIn(path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(path)) names.push(name);
  return names;
}

function splitPath(path: string): { folder: string; name: string } {
  const at = Math.max(path.lastIndexOf("/"), isWindows ? path.lastIndexOf("\\") : -1);
  if (at < 0) return { folder: ".", name: path };
  return { folder: path.slice(0, at) || "/", name: path.slice(at + 1) };
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    // A file where a folder of the path should be: then there is nothing below it either.
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/** A refusal of ours, not of the system's. */
class Refusal extends Error {
  readonly reason: FileErrorReason;

  constructor(message: string, reason: FileErrorReason) {
    super(message);
    this.reason = reason;
  }
}

async function guard<T>(purpose: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // Deno adds "(os error 2): open '/path'"; the path is in our message already.
    const fact = /^(.+?) \(os error \d+\)/.exec(message)?.[1] ?? message;
    throw new FileError(`Cannot ${purpose}: "${path}": ${fact}`, {
      reason: reasonOf(cause),
      cause,
    });
  }
}

function reasonOf(error: unknown): FileErrorReason {
  if (error instanceof Refusal) return error.reason;
  if (error instanceof Deno.errors.PermissionDenied) return "denied";
  if (error instanceof Deno.errors.NotCapable) return "denied";
  switch ((error as { code?: unknown }).code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "denied";
    case "ENOSPC":
    case "EDQUOT":
      return "full";
    case "ERR_SQLITE_ERROR":
      return lockReasonOf(error);
    default:
      return windowsReasonOf(error);
  }
}

function lockReasonOf(error: unknown): FileErrorReason {
  const reason = databaseErrorReason(error);
  return reason === "denied" || reason === "full" ? reason : "failed";
}

/** Windows' own numbers where they have no name: disk full (39, 112, 1295), write-protected (19). */
function windowsReasonOf(error: unknown): FileErrorReason {
  if (!isWindows) return "failed";
  const [, number] = /\(os error (\d+)\)/.exec(String(error)) ?? [];
  if (number === "39" || number === "112" || number === "1295") return "full";
  return number === "19" ? "denied" : "failed";
}
