/**
 * The files port on Deno: atomic writes, bounded reads, and locks that end with the process.
 *
 * What each check-in does with files runs on this thread, except for the syncs, which wait for the
 * disk: a call to another thread and back costs more than the call itself.
 */

import { Buffer } from "node:buffer";
import type { FileHandle } from "node:fs/promises";
import {
  type Durability,
  FileError,
  type FileErrorReason,
  type FileFacts,
  type Files,
  type FileText,
  type WriteOptions,
} from "../files.ts";
import { ReasonedError } from "../reasoned_error.ts";
import { acquireRealLock, databaseErrorReason } from "./database.ts";
import { commandEnvironment, isWindows, SILENT, systemRoot } from "./environment.ts";
import {
  factsOf,
  isAbsence,
  NotRegularError,
  openRegular,
  tracePath,
  unlessAbsent,
} from "./regular_file.ts";

const DEFAULT_MAX_BYTES = 1_048_576;

/** A temporary file this old was left by a process that died: no write takes so long. */
const LEFTOVER_AGE_MS = 600_000;

/** Longer than a virus scanner reads a small file, short enough for the caller. */
const MAX_RETRY_MS = 1_000;

/** Pauses between retries double from the first to the longest. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * `icacls` grants of full control, also of what is created inside. By SID, because names are in the
 * user's language: SYSTEM, the administrators, and the owner of each object,
 * https://learn.microsoft.com/en-us/windows-server/identity/ad-ds/manage/understand-security-identifiers.
 */
const OWNER_GRANTS = ["S-1-5-18", "S-1-5-32-544", "S-1-3-4"].map((sid) => `*${sid}:(OI)(CI)F`);

/** The file system of this machine. */
export const realFiles: Files = {
  readText: (purpose, path, { maxBytes } = {}) =>
    guard(purpose, path, async () => (await readText(path, maxBytes))?.text),
  readTextAndFacts: (purpose, path, { maxBytes } = {}) =>
    guard(purpose, path, () => readText(path, maxBytes)),
  readBytes: (purpose, path, { maxBytes } = {}) =>
    guard(purpose, path, async () => (await readBytes(path, maxBytes))?.bytes),
  writeText: (purpose, path, text, options) =>
    guard(purpose, path, () => writeText(path, text, options)),
  overwriteText: (purpose, path, text) => guard(purpose, path, () => overwriteText(path, text)),
  appendText: (purpose, path, text, { mode }) =>
    guard(purpose, path, () => appendText(path, text, mode)),
  makeDirectory: (purpose, path, { mode }) => guard(purpose, path, () => makeDirectory(path, mode)),
  remove: (purpose, path) =>
    guard(purpose, path, async () => {
      await unlessAbsent(retryWhileInUse(() => Deno.remove(path)));
    }),
  rename: (purpose, from, to) =>
    guard(purpose, from, async () => {
      await retryWhileInUse(() => Deno.rename(from, to));
      await syncParent(to);
    }),
  inspect: (purpose, path) => guard(purpose, path, () => inspect(path)),
  trace: (purpose, path) => guard(purpose, path, () => tracePath(path)),
  list: (purpose, path) =>
    guard(purpose, path, async () => await unlessAbsent(namesIn(path)) ?? []),
  lock: (purpose, path) => guard(purpose, path, () => acquireRealLock(path)),
};

async function readText(path: string, maxBytes?: number): Promise<FileText | undefined> {
  const read = await readBytes(path, maxBytes);
  return read && { text: new TextDecoder().decode(read.bytes), facts: read.facts };
}

async function readBytes(
  path: string,
  maxBytes = DEFAULT_MAX_BYTES,
): Promise<{ bytes: Uint8Array; facts: FileFacts } | undefined> {
  const file = await retryWhileInUse(() => openRegular(path, "read"));
  if (!file) return undefined;
  try {
    return { bytes: await readAtMost(file.handle, maxBytes), facts: file.facts };
  } finally {
    await file.handle.close();
  }
}

/** Reads to the end of the file, whatever its size says: it may grow meanwhile. */
async function readAtMost(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  while (true) {
    const chunk = new Uint8Array(65_536);
    const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) break;
    sizeBytes += bytesRead;
    if (sizeBytes > maxBytes) {
      throw new RefusedError(`more than ${maxBytes} bytes`, { reason: "too_large" });
    }
    chunks.push(chunk.subarray(0, bytesRead));
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Draws a new temporary name for each write, so that two writers never share one. */
async function writeText(path: string, text: string, options: WriteOptions): Promise<void> {
  const { durability = "name", encoding = "utf-8" } = options;
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    const bytes = encoding === "utf-16"
      ? Buffer.from(`\ufeff${text}`, "utf16le")
      : new TextEncoder().encode(text);
    await writeNew(temporary, bytes, { mode: options.mode, durability });
    await retryWhileInUse(() => Deno.renameSync(temporary, path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  if (durability === "name") await syncParent(path);
  removeLeftovers(path);
}

/** Creates the file with `mode`, before its first byte is written. */
async function writeNew(
  path: string,
  bytes: Uint8Array,
  { mode, durability }: { mode: number; durability: Durability },
): Promise<void> {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    // The umask may have cleared bits of the mode.
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
  if (!file) throw new RefusedError("no such file", { reason: "failed" });
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

async function appendText(path: string, text: string, mode: number): Promise<number> {
  const bytes = new TextEncoder().encode(text);
  const file = await openRegular(path, "append");
  if (!file) {
    await writeNew(path, bytes, { mode, durability: "none" });
    return bytes.length;
  }
  try {
    await file.handle.appendFile(bytes);
    return file.facts.sizeBytes + bytes.length;
  } finally {
    await file.handle.close();
  }
}

/** Syncs each parent: otherwise a power cut can remove a new directory with everything in it. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const missing = await missingDirectories(path);
  await makeWithMode(path, mode);
  for (const directory of missing) await syncParent(directory);
}

/**
 * Makes a directory and its parents with `mode`. Windows has no modes: there, a new directory that
 * is for its owner alone loses inherited rights, which below `%ProgramData%` let every user read it.
 * A directory that exists keeps its rights.
 */
async function makeWithMode(path: string, mode: number): Promise<void> {
  const isPrivate = isWindows && (mode & 0o077) === 0;
  const isThere = isPrivate && await Deno.stat(path).then(() => true, () => false);
  await Deno.mkdir(path, { recursive: true, mode });
  if (isPrivate && !isThere) await restrictToOwners(path);
}

async function restrictToOwners(path: string): Promise<void> {
  const { code } = await new Deno.Command(`${systemRoot()}\\System32\\icacls.exe`, {
    args: [path, "/inheritance:r", "/grant:r", ...OWNER_GRANTS, "/q"],
    ...SILENT,
    env: commandEnvironment(),
  }).output();
  if (code === 0) return;
  await Deno.remove(path);
  throw new Error(`its rights cannot be set: icacls ended with ${code}`);
}

/** Of `path` and its parents those that do not exist, the innermost first. */
async function missingDirectories(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let current = path.replace(/\/+$/, ""); !await exists(current);) {
    missing.push(current);
    current = splitPath(current).directory;
  }
  return missing;
}

/** Also `true` where access is denied: making a directory below then reports the reason. */
async function exists(path: string): Promise<boolean> {
  return await unlessAbsent(Deno.stat(path || "/")).catch(() => true) !== undefined;
}

/** Makes a new name survive a power cut, where the system allows directories to be synced. */
async function syncParent(path: string): Promise<void> {
  if (isWindows) return;
  try {
    const parent = Deno.openSync(splitPath(path).directory, { read: true });
    try {
      await parent.sync();
    } finally {
      parent.close();
    }
  } catch {
    // Some file systems refuse; the rename has happened all the same.
  }
}

/** When the leftovers of a file were last looked for (monotonic). */
const lookedMs = new Map<string, number>();

/**
 * Removes temporary files of writers of `path` that died between creating and renaming them. Looks
 * for them at the first write of a file and then as often as one can have become old: a directory is
 * slow to list, and a check-in writes one file.
 */
function removeLeftovers(path: string): void {
  const nowMs = performance.now();
  if (nowMs - (lookedMs.get(path) ?? -Infinity) < LEFTOVER_AGE_MS) return;
  lookedMs.set(path, nowMs);
  const { directory, name } = splitPath(path);
  const prefix = `${name}.`;
  try {
    for (const { name: other } of Deno.readDirSync(directory)) {
      const middle = other.slice(prefix.length, -".tmp".length);
      if (other !== `${prefix}${middle}.tmp` || !/^[0-9a-f]{8}$/.test(middle)) continue;
      const leftover = `${directory}/${other}`;
      const { mtime } = Deno.statSync(leftover);
      if (mtime && Date.now() - mtime.getTime() > LEFTOVER_AGE_MS) Deno.removeSync(leftover);
    }
  } catch {
    // The text is written; a leftover that stays does no harm.
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

function splitPath(path: string): { directory: string; name: string } {
  const at = Math.max(path.lastIndexOf("/"), isWindows ? path.lastIndexOf("\\") : -1);
  if (at < 0) return { directory: ".", name: path };
  return { directory: path.slice(0, at) || "/", name: path.slice(at + 1) };
}

/**
 * Runs `work`; on Windows again for up to a second while another process uses the file: there, a
 * virus scanner or a backup that reads a file briefly prevents its replacement.
 *
 * Retried are: in use (32), partly locked (33), and access denied (5). The last one is the answer to
 * replacing an open file and to opening a file that is being deleted, as well as to missing rights:
 * https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--0-499-.
 */
export async function retryWhileInUse<T>(work: () => T | Promise<T>): Promise<T> {
  let waitedMs = 0;
  let pauseMs = FIRST_PAUSE_MS;
  while (true) {
    try {
      return await work();
    } catch (error) {
      if (!isWindows || waitedMs >= MAX_RETRY_MS || !isInUse(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      waitedMs += pauseMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }
}

function isInUse(error: unknown): boolean {
  return /\(os error (5|32|33)\)/.test(String(error));
}

/** A refusal by this module, not by the operating system. */
class RefusedError extends ReasonedError<FileErrorReason> {}

async function guard<T>(purpose: string, path: string, work: () => T | Promise<T>): Promise<T> {
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
  // Deno adds "(os error 2): open '/path'", and Node "ENOENT: " and ", open '/path'"; this message
  // names the path already.
  const fact = /^(.+?) \(os error \d+\)/.exec(message)?.[1] ??
    /^E[A-Z0-9]+: (.+), \w+(?: '.*')?$/.exec(message)?.[1] ?? message;
  return `"${path}": ${fact}`;
}

function reasonOf(error: unknown): FileErrorReason {
  if (error instanceof RefusedError) return error.reason;
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
    case "ERR_SQLITE_ERROR": {
      const reason = databaseErrorReason(error);
      return reason === "denied" || reason === "full" ? reason : "failed";
    }
    default:
      return windowsReasonOf(error);
  }
}

/** Windows' error numbers without a name: disk full (39, 112, 1295), write-protected (19). */
function windowsReasonOf(error: unknown): FileErrorReason {
  if (!isWindows) return "failed";
  const [, number] = /\(os error (\d+)\)/.exec(String(error)) ?? [];
  if (number === "39" || number === "112" || number === "1295") return "full";
  return number === "19" ? "denied" : "failed";
}
