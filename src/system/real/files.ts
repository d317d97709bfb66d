/**
 * The files port on Deno: atomic writes, bounded reads, and locks that end with the process.
 *
 * What each check-in does with files is done on this thread, but for the syncs, which wait for the disk:
 * a call that goes to another thread and back costs more than the call itself.
 */

import type { FileHandle } from "node:fs/promises";
import {
  FileError,
  type FileErrorReason,
  type FileFacts,
  type Files,
  type FileText,
  type WriteOptions,
} from "../files.ts";
import { databaseErrorReason } from "./database_error.ts";
import { onceLetGo } from "./let_go.ts";
import { takeRealLock } from "./lock.ts";
import { tracePath } from "./path_steps.ts";
import { makeFolder } from "./private_folder.ts";
import { factsOf, isAbsence, NotRegularError, openRegular } from "./regular_file.ts";

/** Read unless the caller says otherwise. */
const DEFAULT_MAX_BYTES = 1_048_576;

/** A temporary file this old was left by a process that died: no write takes so long. */
const LEFTOVER_AGE_MS = 600_000;

const isWindows = Deno.build.os === "windows";

/** The file system of this machine. */
export const realFiles: Files = {
  readText(purpose, path, options = {}) {
    return guard(purpose, path, async () => {
      return (await readText(path, options.maxBytes ?? DEFAULT_MAX_BYTES))?.text;
    });
  },
  readTextAndFacts(purpose, path, options = {}) {
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
  trace(purpose, path) {
    return guard(purpose, path, () => tracePath(path));
  },
  list(purpose, path) {
    return guard(purpose, path, async () => await unlessAbsent(namesIn(path)) ?? []);
  },
  lock(purpose, path) {
    return guard(purpose, path, () => takeRealLock(path));
  },
};

async function readText(path: string, maxBytes: number): Promise<FileText | undefined> {
  const file = await onceLetGo(() => openRegular(path, "read"));
  if (!file) return undefined;
  try {
    const bytes = await readAtMost(file.handle, maxBytes);
    return { text: new TextDecoder().decode(bytes), facts: file.facts };
  } finally {
    await file.handle.close();
  }
}

/** What the file holds, not what its size says: it may grow while it is read. */
async function readAtMost(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  while (true) {
    const chunk = new Uint8Array(65_536);
    const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) break;
    sizeBytes += bytesRead;
    if (sizeBytes > maxBytes) throw new Refusal(`more than ${maxBytes} bytes`, "too_large");
    chunks.push(chunk.subarray(0, bytesRead));
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
async function writeText(path: string, text: string, options: WriteOptions): Promise<void> {
  const { durability = "name" } = options;
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await writeNew(temporary, new TextEncoder().encode(text), { ...options, durability });
    await onceLetGo(() => Deno.renameSync(temporary, path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  if (durability === "name") await syncFolderOf(path);
  sweepLeftovers(path);
}

async function writeNew(
  path: string,
  bytes: Uint8Array,
  { mode, durability }: Required<WriteOptions>,
): Promise<void> {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    // The umask may have taken bits away that were asked for.
    if (!isWindows) Deno.chmodSync(path, mode);
    for (let written = 0; written < bytes.length;) {
      written += file.writeSync(bytes.subarray(written));
    }
    if (durability !== "none") await file.syncData();
  } finally {
    file.close();
  }
}

async function overwriteText(path: string, text: string): Promise<void> {
  const file = await openRegular(path, "overwrite");
  if (!file) throw new Refusal("no such file", "failed");
  try {
    const bytes = new TextEncoder().encode(text);
    let written = 0;
    while (written < bytes.length) {
      written +=
        (await file.handle.write(bytes, written, bytes.length - written, null)).bytesWritten;
    }
    await file.handle.datasync();
  } finally {
    await file.handle.close();
  }
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
    const folder = Deno.openSync(splitPath(path).folder, { read: true });
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
function sweepLeftovers(path: string): void {
  const { folder, name } = splitPath(path);
  const prefix = `${name}.`;
  try {
    for (const { name: other } of Deno.readDirSync(folder)) {
      const middle = other.slice(prefix.length, -".tmp".length);
      if (other !== `${prefix}${middle}.tmp` || !/^[0-9a-f]{8}$/.test(middle)) continue;
      const leftover = `${folder}/${other}`;
      const { mtime } = Deno.statSync(leftover);
      if (mtime && Date.now() - mtime.getTime() > LEFTOVER_AGE_MS) Deno.removeSync(leftover);
    }
  } catch {
    // Tidying up is not what the caller asked for: the text is written.
  }
}

function inspect(path: string): FileFacts | undefined {
  try {
    return factsOf(Deno.statSync(path));
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
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
    if (isAbsence(error)) return undefined;
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

async function guard<T>(
  purpose: string,
  path: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new FileError(`Cannot ${purpose}: ${describe(path, cause)}`, {
      reason: reasonOf(cause),
      cause,
    });
  }
}

function describe(path: string, error: unknown): string {
  if (error instanceof NotRegularError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  // Deno adds "(os error 2): open '/path'", and Node "ENOENT: " and ", open '/path'"; the path is in
  // our message already.
  const fact = /^(.+?) \(os error \d+\)/.exec(message)?.[1] ??
    /^E[A-Z0-9]+: (.+), \w+(?: '.*')?$/.exec(message)?.[1] ?? message;
  return `"${path}": ${fact}`;
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
