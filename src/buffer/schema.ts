/** The tables of the buffer's database, their version, and the migrations to it. */

import { type Database, DatabaseError } from "../system/database.ts";
import { EVENT_KINDS } from "./buffer.ts";

/** A buffer that cannot be opened as it is, or an event that never fits. */
export class BufferError extends Error {
  override readonly name = "BufferError";
}

/** The columns of `CountByKind` in two tables. */
const EVICTED = EVENT_KINDS.map((kind) => `evicted_${kind}`);

/** Version 1. Released databases have these tables: changes go into `MIGRATIONS`. */
const SCHEMA = `
  CREATE TABLE events (
    sequence     INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN (${
  EVENT_KINDS.map((kind) => `'${kind}'`).join(", ")
})),
    command_id   TEXT,
    snapshot_of  TEXT,
    state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead_lettered')),
    -- 1: an event with the same snapshot_of was appended after it
    superseded   INTEGER NOT NULL DEFAULT 0,
    urgency      INTEGER NOT NULL,
    importance   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_ms   INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    last_error   TEXT,
    -- The sequence of the event that this one is a part of; NULL: its own
    place        INTEGER,
    -- 1: it was sent, and no answer came: the server may have it
    unanswered   INTEGER NOT NULL DEFAULT 0,
    -- 0: only appended so far: not counted, in no index, urgency and superseded not yet right
    is_indexed   INTEGER NOT NULL DEFAULT 0,
    -- size_bytes of everything that was ever appended, with this event
    bytes_to     INTEGER NOT NULL DEFAULT 0,
    -- Last, so that the other columns are read without it.
    body         TEXT NOT NULL
  );
  CREATE UNIQUE INDEX events_by_id ON events (id) WHERE is_indexed = 1;
  CREATE INDEX events_to_dequeue ON events (state, urgency DESC, coalesce(place, sequence), sequence)
    WHERE is_indexed = 1;
  CREATE INDEX events_to_evict ON events (state, superseded DESC, importance, sequence)
    WHERE is_indexed = 1;
  CREATE INDEX events_current ON events (snapshot_of)
    WHERE superseded = 0 AND snapshot_of IS NOT NULL AND is_indexed = 1;
  CREATE INDEX events_by_command ON events (command_id)
    WHERE command_id IS NOT NULL AND is_indexed = 1;
  CREATE INDEX events_unanswered ON events (command_id) WHERE unanswered = 1;

  -- One row, of the indexed events.
  CREATE TABLE counters (
    one                   INTEGER PRIMARY KEY CHECK (one = 1),
    pending               INTEGER NOT NULL DEFAULT 0,
    dead_lettered         INTEGER NOT NULL DEFAULT 0,
    size_bytes            INTEGER NOT NULL DEFAULT 0,
    appended              INTEGER NOT NULL DEFAULT 0,
    delivered             INTEGER NOT NULL DEFAULT 0,
    purged                INTEGER NOT NULL DEFAULT 0,
    ${EVICTED.map((name) => `${name} INTEGER NOT NULL DEFAULT 0`).join(",\n    ")},
    first_eviction_ms     INTEGER,
    -- The last sequence that is indexed; those after it have no gaps
    indexed_to            INTEGER NOT NULL DEFAULT 0,
    -- That event's
    bytes_to              INTEGER NOT NULL DEFAULT 0
  );
  INSERT INTO counters (one) VALUES (1);

  -- The counters with what is not yet indexed
  CREATE VIEW totals AS SELECT
    pending + new_events AS pending, dead_lettered, size_bytes + new_bytes AS size_bytes,
    appended + new_events AS appended, delivered, purged, ${EVICTED.join(", ")},
    first_eviction_ms, indexed_to + new_events AS last_sequence,
    bytes_to + new_bytes AS bytes_to
    FROM (
      SELECT counters.*, coalesce(last.sequence - counters.indexed_to, 0) AS new_events,
        coalesce(last.bytes_to - counters.bytes_to, 0) AS new_bytes
      FROM counters LEFT JOIN events AS last
        ON last.sequence = (SELECT max(sequence) FROM events WHERE sequence > counters.indexed_to)
    );

  CREATE TABLE commands (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    type         TEXT NOT NULL,
    params       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('received', 'started', 'finished', 'reported')),
    received_ms  INTEGER NOT NULL,
    -- When it was last begun to run; NULL: never
    started_ms   INTEGER,
    -- 1: since the latest delivery no answered check-in has listed it as received
    receipt_due  INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX commands_unfinished ON commands (number) WHERE state IN ('received', 'started');
  CREATE INDEX commands_receipt_due ON commands (number) WHERE receipt_due = 1;

  -- Files that were merged into this one, and how far their counters are in this one's; number 0 is
  -- this file itself. The id identifies a file, whatever its name.
  CREATE TABLE imports (
    number               INTEGER PRIMARY KEY,
    id                   TEXT NOT NULL,
    appended             INTEGER NOT NULL DEFAULT 0,
    delivered            INTEGER NOT NULL DEFAULT 0,
    purged               INTEGER NOT NULL DEFAULT 0,
    ${EVICTED.map((name) => `${name} INTEGER NOT NULL DEFAULT 0`).join(",\n    ")}
  );
  INSERT INTO imports (number, id) VALUES (0, lower(hex(randomblob(16))));
`;

/** The first leads from version 1 to 2, and so on; migrations are only ever added. */
const MIGRATIONS: readonly string[] = [];

/** The version that this Pennon writes. */
export const SCHEMA_VERSION = 1 + MIGRATIONS.length;

/** A larger number is corrupt: no Pennon will have come so far. */
const LAST_VERSION = 200;

/**
 * Creates the tables, or migrates them to the newest version, in one transaction. Throws
 * `BufferError`, and changes nothing, if a newer Pennon wrote the database; `DatabaseError` with the
 * reason `corrupt` if a migration does not fit the tables, since the recorded version is then wrong.
 */
export function migrate(database: Database, migrations: readonly string[] = MIGRATIONS): void {
  const newest = 1 + migrations.length;
  const version = readVersion(database, newest);
  if (version === newest) return;
  database.transaction(() => {
    const isNew = version === 0;
    if (isNew) database.execute(SCHEMA);
    const due = migrations.slice(isNew ? 0 : version - 1);
    for (const migration of due) runMigration(database, migration);
    database.execute(`PRAGMA user_version = ${newest}`);
  });
}

function runMigration(database: Database, migration: string): void {
  try {
    database.execute(migration);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "failed") throw error;
    throw new DatabaseError(`Cannot migrate the buffer: ${error.message}`, {
      reason: "corrupt",
      cause: error,
    });
  }
}

/**
 * Whether a database has tables: a disk that filled up while the file was created left none. Throws
 * `BufferError` if they are not of the newest version.
 */
export function hasTables(
  database: Database,
  migrations: readonly string[] = MIGRATIONS,
): boolean {
  const newest = 1 + migrations.length;
  const version = readVersion(database, newest);
  if (version === newest || version === 0) return version > 0;
  throw new BufferError(
    `Cannot open the buffer: it was written by an older Pennon (schema ${version}). ` +
      "Next: start this version's agent, which migrates it",
  );
}

/** Of tables and indexes, and of the columns of one table. */
const NAMES = `
  SELECT name FROM sqlite_master UNION ALL SELECT name FROM pragma_table_info('commands')`;

/** 0: there are no tables yet. Throws `BufferError` where this Pennon cannot use the tables. */
function readVersion(database: Database, newest: number): number {
  const version = Number(database.all("PRAGMA user_version")[0]?.["user_version"] ?? 0);
  const names = database.all(NAMES).map(({ name }) => name);
  const isKnown = version > 0 && version <= LAST_VERSION;
  if (names.length > 0 && !isKnown) {
    throw new DatabaseError(`Cannot read version ${version} of the buffer`, { reason: "corrupt" });
  }
  if (version > newest) throw refusal(`a newer Pennon (schema ${version})`);
  // Before the first release there were other tables with the same number.
  if (names.includes("events") && !names.includes("started_ms")) {
    throw refusal(`an unreleased Pennon (schema ${version})`);
  }
  return version;
}

function refusal(writer: string): BufferError {
  return new BufferError(
    `Cannot open the buffer: it was written by ${writer}. ` +
      'Next: run that Pennon. Or: give this one a "--state-dir" of its own, and register it as another agent',
  );
}
