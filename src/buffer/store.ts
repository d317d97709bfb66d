/** Opens the buffer's file, for the agent to write or for `status` to look into. */

import { type Database, DatabaseError } from "../system/database.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits, EventBuffer } from "./buffer.ts";
import type { CommandJournal } from "./journal.ts";
import { checkVersion, migrate } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";
import { SqliteJournal } from "./sqlite_journal.ts";

/** A buffer and a journal in one file, open. */
export interface OpenedBuffer {
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  /** Set if a damaged file was found and moved aside. */
  readonly recovered: { readonly movedTo: string; readonly why: string } | null;
  close(): void;
}

const FILE = "buffer.sqlite";

type Parts = Pick<System, "clock" | "random" | "files" | "openDatabase">;

/**
 * Opens the buffer in the state folder, or makes it. A file that is no database is moved aside and a
 * new one begun; throws `BufferError` at one of a newer Pennon, `DatabaseError` or `FileError` if the
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
    const recovered = { movedTo, why: error.message };
    return wrap(parts, openMigrated(parts, path), { limits, recovered });
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

function openMigrated(parts: Parts, path: string): Database {
  const database = parts.openDatabase(path);
  try {
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
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
