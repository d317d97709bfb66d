/** Opens the buffer's file: for the agent, for `status` to look into, for a person to change. */

import { type Database, DatabaseError, SQLITE_SUFFIXES } from "../system/database.ts";
import { FileError, notRegular } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits, EventBuffer } from "./buffer.ts";
import { findSideFiles, mainPath, sidePath } from "./buffer_files.ts";
import { checkCounters, type Recounted } from "./check_counters.ts";
import { keepForPeople, moveAside, moveStranger, putBack } from "./damaged_file.ts";
import type { CommandJournal } from "./journal.ts";
import { salvage, type Salvaged } from "./salvage.ts";
import { BufferError, checkVersion, migrate, NewerBufferError } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";
import { SqliteJournal } from "./sqlite_journal.ts";
import { takeOver } from "./take_over.ts";

/** A buffer and a journal in one file, open. */
export interface OpenedBuffer {
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  readonly database: Database;
  readonly path: string;
  /** Set if a damaged file was found and moved aside, with what was read out of it. */
  readonly recovered: ({ readonly movedTo: string; readonly why: string } & Salvaged) | null;
  /** Set if its counters were not those of its events, and were counted anew. */
  readonly recounted: Recounted | null;
  /** Whether opening it had SQLite compare all of the file with itself; `checkWhole` does that later. */
  readonly isChecked: boolean;
  /** The newer Pennon's file that is left alone, beside which this one is; `null`: there is none. */
  readonly beside: string | null;
  /** What was taken over from files that older Pennons left beside, if there were any. */
  readonly takenOver: { readonly files: number; readonly events: number } | null;
  close(): void;
}

type Parts = Pick<System, "clock" | "random" | "files" | "openDatabase">;

interface OpenOptions {
  readonly limits: BufferLimits;
  readonly isSuspect: boolean;
}

/** A larger file is checked as a whole only after the start: 28 MB take some 130 ms of CPU time. */
const CHECKED_AT_OPEN_BYTES = 4 * 1_048_576;

/**
 * Opens the buffer in the state folder, or makes it. A file that is damaged, or no database, is moved
 * aside and a new one begun with what can be read of it; one of a newer Pennon is left alone, and
 * another begun beside it. What was left beside earlier is taken over. `isSuspect` has a large file
 * checked as a whole too, because it may be damaged. Throws `DatabaseError` or `FileError` if the disk
 * refuses.
 */
export async function openBuffer(
  parts: Parts,
  stateDirectory: string,
  limits: BufferLimits,
  { isSuspect = false } = {},
): Promise<OpenedBuffer> {
  const opened = await openMainOrSide(parts, stateDirectory, { limits, isSuspect });
  try {
    return await takeSideFiles(parts, stateDirectory, { opened, limits });
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** Opens once more, without a look, what this process has opened before. Throws `DatabaseError`. */
export function reopenBuffer(
  parts: Parts,
  { path, beside }: OpenedBuffer,
  limits: BufferLimits,
): OpenedBuffer {
  return { ...wrap(parts, parts.openDatabase(path), { path, limits }), beside };
}

async function openMainOrSide(
  parts: Parts,
  stateDirectory: string,
  options: OpenOptions,
): Promise<OpenedBuffer> {
  const path = mainPath(stateDirectory);
  try {
    return await openAt(parts, path, options);
  } catch (error) {
    if (!(error instanceof NewerBufferError)) throw error;
    return { ...await openAt(parts, sidePath(stateDirectory), options), beside: path };
  }
}

async function openAt(
  parts: Parts,
  path: string,
  { limits, isSuspect }: OpenOptions,
): Promise<OpenedBuffer> {
  await putBack(parts.files, path);
  const stranger = await moveStranger(parts.files, path, parts.clock.nowMs());
  try {
    const { database, ...checks } = openMigrated(parts, path, isSuspect);
    const recovered = stranger && {
      movedTo: stranger.movedTo,
      why: notRegular(path, stranger.kind),
      events: 0,
      commands: 0,
      lostEvents: null,
    };
    return { ...wrap(parts, database, { path, limits }), ...checks, recovered };
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "corrupt") throw error;
    return await beginAnew(parts, path, { limits, why: error.message });
  }
}

/** A disk that takes no new file gets the damaged one back: it may yet be salvaged. */
async function beginAnew(
  parts: Parts,
  path: string,
  { limits, why }: { limits: BufferLimits; why: string },
): Promise<OpenedBuffer> {
  const damaged = await moveAside(parts.files, path);
  let database: Database | null = null;
  try {
    ({ database } = openMigrated(parts, path, false));
    const salvaged = salvageFrom(parts, damaged, database);
    const movedTo = await keepForPeople(parts.files, path, parts.clock.nowMs());
    return { ...wrap(parts, database, { path, limits }), recovered: { movedTo, why, ...salvaged } };
  } catch (error) {
    database?.close();
    await putBack(parts.files, path);
    throw error;
  }
}

/**
 * In one transaction each, and then the file goes: dying in between takes it over once more. Damage
 * in one of them is told as the buffer's own would be.
 */
async function takeSideFiles(
  parts: Parts,
  stateDirectory: string,
  { opened, limits }: { opened: OpenedBuffer; limits: BufferLimits },
): Promise<OpenedBuffer> {
  const paths = await findSideFiles(parts.files, stateDirectory, opened.path);
  let { recovered, recounted } = opened;
  let events = 0;
  for (const path of paths) {
    const side = await openAt(parts, path, { limits, isSuspect: true });
    recovered ??= side.recovered;
    recounted ??= side.recounted;
    try {
      events += takeOver(side.database, opened, { mayRepeat: true });
    } finally {
      side.close();
    }
    for (const suffix of SQLITE_SUFFIXES) {
      await parts.files.remove("remove what was taken over", path + suffix);
    }
  }
  const takenOver = paths.length === 0 ? null : { files: paths.length, events };
  return { ...opened, recovered, recounted, takenOver };
}

/** Opens it for reading alone; `null` if there is none yet. */
export async function openBufferReadOnly(
  parts: Parts,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer | null> {
  return await eitherOf(parts, stateDirectory, (path) => {
    const database = parts.openDatabase(path, { readOnly: true });
    try {
      checkVersion(database);
      return wrap(parts, database, { path, limits });
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** The buffer, or this version's own beside a newer one; `null` if there is neither. */
async function eitherOf(
  { files }: Parts,
  stateDirectory: string,
  open: (path: string) => OpenedBuffer,
): Promise<OpenedBuffer | null> {
  const isThere = async (path: string) =>
    await files.inspect("look for the buffer", path) !== undefined;
  const path = mainPath(stateDirectory);
  const side = sidePath(stateDirectory);
  try {
    return await isThere(path) ? open(path) : null;
  } catch (error) {
    if (!(error instanceof NewerBufferError) || !await isThere(side)) throw error;
    return { ...open(side), beside: path };
  }
}

/**
 * Opens it for a change by hand, beside an agent that may be running; `null` if there is none yet.
 * Makes nothing, migrates nothing, moves nothing aside: that is the agent's. Throws `BufferError` with
 * what to do if the file is damaged, somebody else's, or a newer Pennon's, `DatabaseError` or
 * `FileError` otherwise.
 */
export async function openBufferForChange(
  parts: Parts,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer | null> {
  try {
    return await eitherOf(
      parts,
      stateDirectory,
      (path) => wrap(parts, openWritable(parts, path), { path, limits }),
    );
  } catch (error) {
    throw withAdvice(error, mainPath(stateDirectory));
  }
}

function openWritable(parts: Parts, path: string): Database {
  const database = parts.openDatabase(path);
  try {
    checkVersion(database);
    refuseReadOnly(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite opens what it may only read without a word, and refuses the first change, for ever. */
function refuseReadOnly(database: Database): void {
  database.transaction(() => database.run("DELETE FROM counters WHERE one IS NULL"));
}

function withAdvice(error: unknown, path: string): unknown {
  if (!(error instanceof DatabaseError || error instanceof FileError)) return error;
  const because = (fact: string) =>
    new BufferError(`Cannot change the buffer: ${fact}`, { cause: error });
  switch (error.reason) {
    case "corrupt":
      return because(`"${path}" is damaged. Next: start the agent, which keeps it and begins anew`);
    case "denied":
      return because(`no right to write "${path}". Next: run this as the agent's user, or as root`);
    default:
      return error;
  }
}

function openMigrated(
  parts: Parts,
  path: string,
  isSuspect: boolean,
): Pick<OpenedBuffer, "database" | "recounted" | "isChecked"> {
  const database = parts.openDatabase(path);
  try {
    migrate(database);
    const isChecked = isSuspect || sizeBytesOf(database) <= CHECKED_AT_OPEN_BYTES;
    if (isChecked) checkIntegrity(database);
    // Wrong counters cost events: they are compared at every start.
    const recounted = checkCounters(database);
    refuseReadOnly(database);
    return { database, recounted, isChecked };
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Compares all of an open buffer with itself, as a start does with a small one; answers what was wrong
 * with the counters. Throws `DatabaseError` with the reason `corrupt` if the file is damaged.
 */
export function checkWhole({ database }: OpenedBuffer): Recounted | null {
  checkIntegrity(database);
  return checkCounters(database);
}

function sizeBytesOf(database: Database): number {
  const [row] = database.all(
    "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
  );
  return Number(row?.["bytes"]);
}

/** SQLite's own check of every page, index and rule: some 2.5 ms for a thousand events. */
function checkIntegrity(database: Database): void {
  const [row] = database.all("PRAGMA integrity_check(1)");
  const found = String(row?.["integrity_check"]);
  if (found !== "ok") {
    throw new DatabaseError(`Cannot trust database: ${found}`, { reason: "corrupt" });
  }
}

/** A file that cannot even be opened has nothing to give. */
function salvageFrom({ openDatabase }: Parts, path: string, fresh: Database): Salvaged {
  let damaged: Database | null = null;
  try {
    damaged = openDatabase(path, { readOnly: true });
    return salvage(damaged, fresh);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "corrupt") throw error;
    return { events: 0, commands: 0, lostEvents: null };
  } finally {
    damaged?.close();
  }
}

function wrap(
  { clock, random }: Parts,
  database: Database,
  { path, limits }: { path: string; limits: BufferLimits },
): OpenedBuffer {
  return {
    buffer: new SqliteBuffer(database, { clock, random }, limits),
    journal: new SqliteJournal(database, clock),
    database,
    path,
    recovered: null,
    recounted: null,
    isChecked: false,
    beside: null,
    takenOver: null,
    close: () => database.close(),
  };
}
