/** Opens the buffer's file: for the agent, for `status` to look into, for a person to change. */

import { type Database, DatabaseError } from "../system/database.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits, EventBuffer } from "./buffer.ts";
import type { CommandJournal } from "./journal.ts";
import { salvage, type Salvaged } from "./salvage.ts";
import { BufferError, checkVersion, migrate } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";
import { SqliteJournal } from "./sqlite_journal.ts";

/** A buffer and a journal in one file, open. */
export interface OpenedBuffer {
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  /** Set if a damaged file was found and moved aside, with what was read out of it. */
  readonly recovered: ({ readonly movedTo: string; readonly why: string } & Salvaged) | null;
  close(): void;
}

const FILE = "buffer.sqlite";

type Parts = Pick<System, "clock" | "random" | "files" | "openDatabase">;

/**
 * Opens the buffer in the state folder, or makes it. A file that is damaged, or no database, is moved
 * aside and a new one begun with what can be read of it; throws `BufferError` at one of a newer Pennon, `DatabaseError` or `FileError` if the
 * disk refuses.
 */
export async function openBuffer(
  parts: Parts,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer> {
  const path = `${stateDirectory}/${FILE}`;
  try {
    return wrap(parts, openMigrated(parts, path), { limits, recovered: null });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "corrupt") throw error;
    const movedTo = await moveAside(parts, path);
    const database = openMigrated(parts, path);
    const recovered = { movedTo, why: error.message, ...salvageFrom(parts, movedTo, database) };
    return wrap(parts, database, { limits, recovered });
  }
}

/** Opens it for reading alone; `null` if there is none yet. */
export async function openBufferReadOnly(
  parts: Parts,
  stateDirectory: string,
  limits: BufferLimits,
): Promise<OpenedBuffer | null> {
  const path = `${stateDirectory}/${FILE}`;
  if (await parts.files.inspect("look for the buffer", path) === undefined) return null;
  const database = parts.openDatabase(path, { readOnly: true });
  try {
    checkVersion(database);
    return wrap(parts, database, { limits, recovered: null });
  } catch (error) {
    database.close();
    throw error;
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
  const path = `${stateDirectory}/${FILE}`;
  try {
    const facts = await parts.files.inspect("look for the buffer", path);
    if (facts === undefined) return null;
    const database = openWritable(parts, path);
    return wrap(parts, database, { limits, recovered: null });
  } catch (error) {
    throw withAdvice(error, path);
  }
}

function openWritable(parts: Parts, path: string): Database {
  const database = parts.openDatabase(path);
  try {
    checkVersion(database);
    // SQLite opens what it may only read without a word, and refuses the first change.
    database.transaction(() => {});
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
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

function openMigrated(parts: Parts, path: string): Database {
  const database = parts.openDatabase(path);
  try {
    migrate(database);
    checkIntegrity(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite's own look at every page, index and rule: some 2.5 ms for a thousand events. */
function checkIntegrity(database: Database): void {
  const [row] = database.all("PRAGMA integrity_check(1)");
  const found = String(row?.["integrity_check"]);
  if (found === "ok") return;
  throw new DatabaseError(`Cannot trust database: ${found}`, { reason: "corrupt" });
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
  rest: { limits: BufferLimits; recovered: OpenedBuffer["recovered"] },
): OpenedBuffer {
  const events = new SqliteBuffer(database, { clock, random }, rest.limits);
  return {
    buffer: events,
    journal: new SqliteJournal(database, clock),
    recovered: rest.recovered,
    close: () => database.close(),
  };
}

/** SQLite's own files beside the database belong to it, and must not be taken for the new one's. */
async function moveAside({ files, clock }: Parts, path: string): Promise<string> {
  const instant = new Date(clock.nowMs()).toISOString().replaceAll(":", "");
  for (const suffix of ["", "-wal", "-shm"]) {
    const from = path + suffix;
    if (await files.inspect("look at the buffer", from) === undefined) continue;
    await files.rename(
      "move the damaged buffer aside",
      from,
      `${path}.corrupt-${instant}${suffix}`,
    );
  }
  return `${path}.corrupt-${instant}`;
}
