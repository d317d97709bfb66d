/**
 * Opens the buffer's file: for the agent, for `status` to read, for the changes of an operator. The
 * events of a corrupt database are salvaged into a new file; the corrupt one stays beside it.
 */

import { type Database, DatabaseError, SQLITE_SUFFIXES } from "../system/database.ts";
import {
  FileError,
  type FileFacts,
  type FileKind,
  type Files,
  notRegular,
} from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits } from "./buffer.ts";
import { recount, type Recounted } from "./counters.ts";
import { hasCorruptRow } from "./event_row.ts";
import { type CommandJournal, SqliteJournal } from "./journal.ts";
import { salvage, type Salvaged } from "./salvage.ts";
import { BufferError, hasTables, migrate } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";

/** A buffer and a journal in one file, open. */
export interface OpenedBuffer {
  readonly buffer: SqliteBuffer;
  readonly journal: CommandJournal;
  readonly database: Database;
  readonly path: string;
  /** Set if a corrupt file was moved aside, with what was salvaged from it. */
  readonly recovered: ({ readonly movedTo: string; readonly why: string } & Salvaged) | null;
  /** Set if the counters were wrong and were recounted. */
  readonly recounted: Recounted | null;
  /** Whether SQLite checked the whole file; if not, `checkWhole` does that later. */
  readonly isChecked: boolean;
  close(): void;
}

type Deps = Pick<System, "clock" | "random" | "files" | "openDatabase">;

/** A larger file is checked as a whole only after the start: 28 MB take some 130 ms of CPU time. */
const CHECKED_AT_OPEN_BYTES = 4 * 1_048_576;

function pathIn(stateDirectory: string): string {
  return `${stateDirectory}/buffer.sqlite`;
}

/**
 * Opens the buffer in the state directory, or creates it. A file that is corrupt, or no database, is
 * moved aside, and a new one holds what can be salvaged. With `isSuspect` a large file is checked as a
 * whole too. Throws `BufferError` if another version wrote the file, `DatabaseError` or `FileError` if
 * the disk refuses.
 */
export async function openBuffer(
  deps: Deps,
  stateDirectory: string,
  limits: BufferLimits,
  { isSuspect = false } = {},
): Promise<OpenedBuffer> {
  const path = pathIn(stateDirectory);
  await restoreCorrupt(deps.files, path);
  const stranger = await moveStranger(deps.files, path, deps.clock.nowMs());
  try {
    const { database, ...checks } = openMigrated(deps, path, isSuspect);
    const recovered = stranger && {
      movedTo: stranger.movedTo,
      why: notRegular(path, stranger.kind),
      ...NOTHING_SALVAGED,
    };
    return { ...wrap(deps, database, { path, limits }), ...checks, recovered };
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "corrupt") throw error;
    return await openSalvaged(deps, path, { limits, why: error.message });
  }
}

/** Opens once more, without a check, what this process has opened before. Throws `DatabaseError`. */
export function reopenBuffer(deps: Deps, path: string, limits: BufferLimits): OpenedBuffer {
  return wrap(deps, deps.openDatabase(path), { path, limits });
}

/** Where the disk takes no new file, the corrupt one goes back: it may yet be salvaged. */
async function openSalvaged(
  deps: Deps,
  path: string,
  { limits, why }: { limits: BufferLimits; why: string },
): Promise<OpenedBuffer> {
  const corrupt = await moveCorrupt(deps.files, path);
  let database: Database | null = null;
  try {
    ({ database } = openMigrated(deps, path, false));
    const salvaged = salvageFrom(deps, corrupt, database);
    const movedTo = await archiveCorrupt(deps.files, path, deps.clock.nowMs());
    return { ...wrap(deps, database, { path, limits }), recovered: { movedTo, why, ...salvaged } };
  } catch (error) {
    database?.close();
    await restoreCorrupt(deps.files, path);
    throw error;
  }
}

const NOTHING_SALVAGED: Salvaged = { events: 0, commands: 0, lostEvents: null };

/** A file that cannot even be opened yields nothing. */
function salvageFrom(deps: Deps, path: string, fresh: Database): Salvaged {
  let corrupt: Database | null = null;
  try {
    corrupt = deps.openDatabase(path, { readOnly: true });
    return salvage(corrupt, fresh);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "corrupt") throw error;
    return NOTHING_SALVAGED;
  } finally {
    corrupt?.close();
  }
}

function openMigrated(
  deps: Deps,
  path: string,
  isSuspect: boolean,
): Pick<OpenedBuffer, "database" | "recounted" | "isChecked"> {
  return openThen(deps.openDatabase(path), (database) => {
    migrate(database);
    const isChecked = isSuspect || sizeBytesOf(database) <= CHECKED_AT_OPEN_BYTES;
    if (isChecked) checkIntegrity(database);
    // Wrong counters cost events: they are compared at every start.
    const recounted = recount(database);
    refuseReadOnly(database);
    return { database, recounted, isChecked };
  });
}

/** Closes the database where `work` throws. */
function openThen<T>(database: Database, work: (database: Database) => T): T {
  try {
    return work(database);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** `null` if there is no buffer yet: no file, or one without tables. */
async function openExisting(
  deps: Deps,
  path: string,
  { limits, readOnly }: { limits: BufferLimits; readOnly: boolean },
): Promise<OpenedBuffer | null> {
  if (await deps.files.inspect("look for the buffer", path) === undefined) return null;
  return openThen(deps.openDatabase(path, { readOnly }), (database) => {
    if (hasTables(database)) {
      if (!readOnly) refuseReadOnly(database);
      return wrap(deps, database, { path, limits });
    }
    database.close();
    return null;
  });
}

/** Opens the buffer for reading alone; `null` if there is none yet. */
export async function openBufferReadOnly(
  deps: Deps,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer | null> {
  return await openExisting(deps, pathIn(stateDirectory), { limits, readOnly: true });
}

/**
 * Opens the buffer for a change by a person, beside an agent that may be running; `null` if there is
 * none yet. Creates, migrates and salvages nothing: that is the agent's. Throws `BufferError` with
 * what to do if the file is corrupt, not writable or another version's, `DatabaseError` or `FileError`
 * otherwise.
 */
export async function openBufferForChange(
  deps: Deps,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer | null> {
  const path = pathIn(stateDirectory);
  try {
    return await openExisting(deps, path, { limits, readOnly: false });
  } catch (error) {
    throw withAdvice(error, path);
  }
}

/** SQLite opens without an error what it may only read, and refuses each change from then on. */
function refuseReadOnly(database: Database): void {
  database.transaction(() => database.run("DELETE FROM counters WHERE one IS NULL"));
}

function withAdvice(error: unknown, path: string): unknown {
  if (!(error instanceof DatabaseError || error instanceof FileError)) return error;
  const because = (fact: string) =>
    new BufferError(`Cannot change the buffer: ${fact}`, { cause: error });
  switch (error.reason) {
    case "corrupt":
      return because(`"${path}" is damaged. Next: start the agent, which salvages it`);
    case "denied":
      return because(`no right to write "${path}". Next: run this as the agent's user, or as root`);
    default:
      return error;
  }
}

/**
 * Checks all of an open buffer, as a start does with a small one; returns what was wrong with the
 * counters. Throws `DatabaseError` with the reason `corrupt` if the file is corrupt.
 */
export function checkWhole({ database }: Pick<OpenedBuffer, "database">): Recounted | null {
  checkIntegrity(database);
  return recount(database);
}

function sizeBytesOf(database: Database): number {
  const [row] = database.all(
    "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
  );
  return Number(row?.["bytes"]);
}

/**
 * SQLite's own check of every page, index and rule, some 2.5 ms for a thousand events; then of the
 * values, which SQLite does not know.
 */
function checkIntegrity(database: Database): void {
  const [row] = database.all("PRAGMA integrity_check(1)");
  const found = String(row?.["integrity_check"]);
  const isWhole = found === "ok";
  if (isWhole && !hasCorruptRow(database)) return;
  const fact = isWhole ? "a value of an event is damaged" : found;
  throw new DatabaseError(`Cannot trust database: ${fact}`, { reason: "corrupt" });
}

/**
 * Leaves the file of an agent that stops in SQLite's form without a log, to which the next opening adds
 * one again: where a log is expected and missing, even a reader creates it, and on a read-only disk it
 * cannot read. Does nothing where another process has the file open, or the disk refuses.
 */
export function endLog({ database }: Pick<OpenedBuffer, "database">): void {
  try {
    database.execute("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE");
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
  }
}

function wrap(
  { clock, random }: Deps,
  database: Database,
  { path, limits }: { path: string; limits: BufferLimits },
): OpenedBuffer {
  const buffer = new SqliteBuffer(database, { clock, random }, limits);
  const tables = { database, buffer };
  return {
    ...tables,
    journal: new SqliteJournal(
      { onDisk: (work) => work(tables), onDiskOr: (work) => work(tables) },
      clock,
    ),
    path,
    recovered: null,
    recounted: null,
    isChecked: false,
    close: () => database.close(),
  };
}

/**
 * Ends the name of a corrupt file until everything that can be read of it is in the new one. A start
 * that finds this name puts the file back and begins once more, since a process may die at any step.
 */
const CORRUPT = ".damaged";

/** SQLite's own files, which are nothing without the database. */
const SIDE_SUFFIXES = SQLITE_SUFFIXES.filter((suffix) => suffix !== "");

/** Moves the database first: from then on the rest is known to belong to it. Returns its new name. */
export async function moveCorrupt(files: Files, path: string): Promise<string> {
  for (const suffix of SIDE_SUFFIXES) {
    await files.remove("clear the way for the damaged buffer", path + CORRUPT + suffix);
  }
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + suffix, path + CORRUPT + suffix);
  return path + CORRUPT;
}

/**
 * Puts back what an unfinished salvage left; nothing else is in the new file by then. The database
 * moves last, as it moved first. Returns whether there was one.
 */
export async function restoreCorrupt(files: Files, path: string): Promise<boolean> {
  // A FIFO or a directory of that name is no salvage's, and the buffer stays where it is.
  if ((await inspect(files, path + CORRUPT))?.kind !== "file") return false;
  if (await exists(files, path)) {
    for (const suffix of [...SIDE_SUFFIXES, ""]) {
      await files.remove("undo half a salvage", path + suffix);
    }
  }
  for (const suffix of [...SIDE_SUFFIXES, ""]) {
    await move(files, path + CORRUPT + suffix, path + suffix);
  }
  return true;
}

/** Gives a salvaged file its final name, for a person to look at. Returns that name. */
export async function archiveCorrupt(files: Files, path: string, nowMs: number): Promise<string> {
  const archived = archivePath(path, nowMs);
  for (const suffix of SQLITE_SUFFIXES) {
    await move(files, path + CORRUPT + suffix, archived + suffix);
  }
  return archived;
}

/**
 * Moves away what has the buffer's name and is no regular file, such as a FIFO or a directory, with
 * what lies beside it: nothing in it can be read. `null` if there is no such thing. A symbolic link to
 * nothing stays: its target may be on a disk that is not mounted.
 */
export async function moveStranger(
  files: Files,
  path: string,
  nowMs: number,
): Promise<{ movedTo: string; kind: FileKind } | null> {
  const kind = (await inspect(files, path))?.kind ?? "file";
  if (kind === "file") return null;
  const movedTo = archivePath(path, nowMs);
  for (const suffix of SQLITE_SUFFIXES) await move(files, path + suffix, movedTo + suffix);
  return { movedTo, kind };
}

function archivePath(path: string, nowMs: number): string {
  return `${path}.corrupt-${new Date(nowMs).toISOString().replaceAll(":", "")}`;
}

async function move(files: Files, from: string, to: string): Promise<void> {
  if (await exists(files, from)) await files.rename("move the damaged buffer", from, to);
}

async function exists(files: Files, path: string): Promise<boolean> {
  return await inspect(files, path) !== undefined;
}

async function inspect(files: Files, path: string): Promise<FileFacts | undefined> {
  return await files.inspect("look at the buffer", path);
}
