/** The buffer's tables, and the steps from one version of them to the next. */

import { type Database, DatabaseError } from "../system/database.ts";

/** A buffer that cannot be opened as it is, or an event that never fits. */
export class BufferError extends Error {
  override readonly name: string = "BufferError";
}

/** A buffer that a newer Pennon wrote: it is left as it is. */
export class NewerBufferError extends BufferError {
  override readonly name = "NewerBufferError";
}

/** Each step leads from its index to the next version; steps are only ever added. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE events (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL CHECK (kind IN ('updates', 'log', 'dependencies', 'system_info')),
    command_id   TEXT,
    snapshot_of  TEXT,
    state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'set_aside')),
    -- 1: an event with the same snapshot_of was appended after it
    superseded   INTEGER NOT NULL DEFAULT 0,
    urgency      INTEGER NOT NULL,
    importance   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_ms   INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    last_error   TEXT,
    -- Last, so that the others are read without it.
    body         TEXT NOT NULL
  );
  CREATE INDEX events_to_send ON events (state, urgency DESC, sequence);
  CREATE INDEX events_to_drop ON events (state, superseded DESC, importance, sequence);
  CREATE INDEX events_current ON events (snapshot_of) WHERE superseded = 0 AND snapshot_of IS NOT NULL;
  CREATE INDEX events_by_command ON events (command_id) WHERE command_id IS NOT NULL;

  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE commands (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    type         TEXT NOT NULL,
    params       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('received', 'started', 'finished')),
    received_ms  INTEGER NOT NULL
  );
  CREATE INDEX commands_unfinished ON commands (number) WHERE state <> 'finished';
  `,
  `
  -- The sequence of the event that this one is a part of; NULL: its own
  ALTER TABLE events ADD COLUMN place INTEGER;
  DROP INDEX events_to_send;
  CREATE INDEX events_to_send
    ON events (state, urgency DESC, coalesce(place, sequence), sequence);
  `,
  `
  -- 1: it was sent, and no answer came: the server may have it
  ALTER TABLE events ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX events_unanswered ON events (command_id) WHERE unanswered = 1;

  -- SQLite changes no CHECK of a table that is there.
  CREATE TABLE commands_with_reported (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    type         TEXT NOT NULL,
    params       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('received', 'started', 'finished', 'reported')),
    received_ms  INTEGER NOT NULL
  );
  INSERT INTO commands_with_reported (number, id, type, params, state, received_ms)
    SELECT number, id, type, params,
      CASE WHEN state = 'finished' AND id NOT IN (
        SELECT command_id FROM events WHERE command_id IS NOT NULL AND state = 'pending'
      ) THEN 'reported' ELSE state END,
      received_ms
    FROM commands;
  DROP TABLE commands;
  ALTER TABLE commands_with_reported RENAME TO commands;
  CREATE INDEX commands_unfinished ON commands (number) WHERE state IN ('received', 'started');
  `,
  `
  CREATE TABLE events_to_sort (
    sequence     INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('updates', 'log', 'dependencies', 'system_info')),
    command_id   TEXT,
    snapshot_of  TEXT,
    state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'set_aside')),
    superseded   INTEGER NOT NULL DEFAULT 0,
    urgency      INTEGER NOT NULL,
    importance   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_ms   INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    last_error   TEXT,
    place        INTEGER,
    unanswered   INTEGER NOT NULL DEFAULT 0,
    -- 0: only written down so far: not counted, in no index, urgency and superseded not yet right
    is_sorted    INTEGER NOT NULL DEFAULT 0,
    -- size_bytes of all that was ever written down, with this one
    bytes_to     INTEGER NOT NULL DEFAULT 0,
    -- Last, so that the others are read without it.
    body         TEXT NOT NULL
  );
  INSERT INTO events_to_sort SELECT sequence, id, kind, command_id, snapshot_of, state, superseded,
    urgency, importance, attempts, created_ms, size_bytes, last_error, place, unanswered, 1, 0,
    body FROM events;

  -- One row, of what is sorted in.
  CREATE TABLE counters_in_a_row (
    one                   INTEGER PRIMARY KEY CHECK (one = 1),
    pending               INTEGER NOT NULL,
    set_aside             INTEGER NOT NULL,
    size_bytes            INTEGER NOT NULL,
    appended              INTEGER NOT NULL,
    delivered             INTEGER NOT NULL,
    purged                INTEGER NOT NULL,
    dropped_system_info   INTEGER NOT NULL,
    dropped_updates       INTEGER NOT NULL,
    dropped_dependencies  INTEGER NOT NULL,
    dropped_log           INTEGER NOT NULL,
    first_drop_ms         INTEGER,
    -- The last sequence that is sorted in; those after it have no gaps
    sorted_to             INTEGER NOT NULL,
    -- That event's
    bytes_to              INTEGER NOT NULL
  );
  INSERT INTO counters_in_a_row SELECT 1,
    coalesce(sum(value) FILTER (WHERE name = 'pending'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'set_aside'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'size_bytes'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'appended'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'delivered'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'purged'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'dropped_system_info'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'dropped_updates'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'dropped_dependencies'), 0),
    coalesce(sum(value) FILTER (WHERE name = 'dropped_log'), 0),
    sum(value) FILTER (WHERE name = 'first_drop_ms'),
    coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'), 0),
    0
    FROM counters;

  DROP TABLE events;
  DROP TABLE counters;
  ALTER TABLE events_to_sort RENAME TO events;
  ALTER TABLE counters_in_a_row RENAME TO counters;
  CREATE UNIQUE INDEX events_by_id ON events (id) WHERE is_sorted = 1;
  CREATE INDEX events_to_send ON events (state, urgency DESC, coalesce(place, sequence), sequence)
    WHERE is_sorted = 1;
  CREATE INDEX events_to_drop ON events (state, superseded DESC, importance, sequence)
    WHERE is_sorted = 1;
  CREATE INDEX events_current ON events (snapshot_of)
    WHERE superseded = 0 AND snapshot_of IS NOT NULL AND is_sorted = 1;
  CREATE INDEX events_by_command ON events (command_id)
    WHERE command_id IS NOT NULL AND is_sorted = 1;
  CREATE INDEX events_unanswered ON events (command_id) WHERE unanswered = 1;

  -- The counters with what is not yet sorted in
  CREATE VIEW totals AS SELECT
    pending + tail_events AS pending, set_aside, size_bytes + tail_bytes AS size_bytes,
    appended + tail_events AS appended, delivered, purged, dropped_system_info, dropped_updates,
    dropped_dependencies, dropped_log, first_drop_ms, sorted_to + tail_events AS last_sequence,
    bytes_to + tail_bytes AS bytes_to
    FROM (
      SELECT counters.*, coalesce(last.sequence - counters.sorted_to, 0) AS tail_events,
        coalesce(last.bytes_to - counters.bytes_to, 0) AS tail_bytes
      FROM counters LEFT JOIN events AS last
        ON last.sequence = (SELECT max(sequence) FROM events WHERE sequence > counters.sorted_to)
    );
  `,
  `
  -- Other files, and how far their counters are in this one's; number 0 is this file itself. By its
  -- id a file is known, whatever its name.
  CREATE TABLE taken_over (
    number               INTEGER PRIMARY KEY,
    id                   TEXT NOT NULL,
    appended             INTEGER NOT NULL DEFAULT 0,
    delivered            INTEGER NOT NULL DEFAULT 0,
    purged               INTEGER NOT NULL DEFAULT 0,
    dropped_system_info  INTEGER NOT NULL DEFAULT 0,
    dropped_updates      INTEGER NOT NULL DEFAULT 0,
    dropped_dependencies INTEGER NOT NULL DEFAULT 0,
    dropped_log          INTEGER NOT NULL DEFAULT 0
  );
  INSERT INTO taken_over (number, id) VALUES (0, lower(hex(randomblob(16))));
  `,
];

/** The version that this Pennon writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings a database to this version (or to an earlier one, as an earlier Pennon would), in one
 * transaction. One of a later version is refused and left as it is: a newer Pennon wrote it, and may
 * yet want it.
 */
export function migrate(database: Database, target: number = SCHEMA_VERSION): void {
  const version = readVersion(database);
  if (version > SCHEMA_VERSION) throw newer(version);
  if (version >= target) return;
  database.transaction(() => {
    for (const step of MIGRATIONS.slice(version, target)) takeStep(database, step);
    database.execute(`PRAGMA user_version = ${target}`);
  });
}

/** A step that does not fit the tables was taken before: the version that is written is not true. */
function takeStep(database: Database, step: string): void {
  try {
    database.execute(step);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "failed") throw error;
    throw new DatabaseError(`Cannot bring the buffer to this version: ${error.message}`, {
      reason: "corrupt",
      cause: error,
    });
  }
}

/** Refuses a database of any other version than this one's. */
export function checkVersion(database: Database): void {
  const version = readVersion(database);
  if (version > SCHEMA_VERSION) throw newer(version);
  if (version === SCHEMA_VERSION) return;
  throw new BufferError(
    `Cannot open the buffer: an older Pennon wrote it (version ${version}, this one's is ` +
      `${SCHEMA_VERSION}). Next: start this one's agent, which brings it over`,
  );
}

/** No Pennon will have come so far: such a number is damage. */
const LAST_VERSION = 200;

function readVersion(database: Database): number {
  const version = Number(database.all("PRAGMA user_version")[0]?.["user_version"] ?? 0);
  const isNew = database.all("SELECT 1 FROM sqlite_master LIMIT 1").length === 0;
  if (isNew || version > 0 && version <= LAST_VERSION) return version;
  throw new DatabaseError(`Cannot read version ${version} of the buffer`, { reason: "corrupt" });
}

function newer(version: number): BufferError {
  return new NewerBufferError(
    `Cannot open the buffer: a newer Pennon wrote it (version ${version}, this one knows ` +
      `${SCHEMA_VERSION}). Next: run that Pennon, or give this one another "--state-dir"`,
  );
}
