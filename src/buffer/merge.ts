/**
 * Merges one buffer into another: the overflow out of memory into the file, or a file that is no
 * longer in its directory into the one that has its name now.
 */

import type { Database, Row, SqlValue } from "../system/database.ts";
import type { StoredEvent } from "./buffer.ts";
import {
  addHistory,
  addToCounters,
  allocateSequence,
  asCount,
  HISTORY,
  type History,
  readCounts,
  readHistory,
} from "./counters.ts";
import { indexPending } from "./dequeue_order.ts";
import { toEvent } from "./event_row.ts";
import { NOTICE_KEY, recordEvictions } from "./eviction.ts";
import type { StoreTables } from "./journal.ts";
import { BufferError } from "./schema.ts";
import type { OpenedBuffer } from "./store.ts";

/** In the dequeue order, which the new sequences then have by themselves. */
const EVENTS = "SELECT sequence FROM events ORDER BY coalesce(place, sequence), sequence";

/** An event as it was; the order of appending is the target's own. */
const RESTORE = `
  UPDATE events SET id = ?, created_ms = ?, attempts = ?, last_error = ?, unanswered = ?,
    superseded = ?
  WHERE id = ? AND is_indexed = 1`;

/** How far a command has come: what was done with it is never undone. */
const RANKS = ["received", "started", "finished", "reported"];

const ADVANCE = `
  UPDATE commands SET state = ?, params = ?, started_ms = coalesce(?, started_ms) WHERE id = ? AND
    CASE state WHEN 'received' THEN 0 WHEN 'started' THEN 1 WHEN 'finished' THEN 2 ELSE 3 END < ?`;

const OTHER_TABLES = `
  SELECT name FROM sqlite_master
  WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name NOT IN ('events', 'counters', 'commands', 'imports')`;

/**
 * Copies events with their ids and states, commands with theirs, and adds the counters, in one
 * transaction of the target; both have this version's tables. What is in the target already is
 * skipped; a full target evicts by its own rules, and dead letters stay. Returns how many events came.
 *
 * With `mayRepeat`, for a source that still exists afterwards, the target records what it has of the
 * source's counters, and a source that has not changed since is not read again.
 */
export function merge(
  source: Database,
  target: StoreTables,
  { mayRepeat = false }: { mayRepeat?: boolean } = {},
): number {
  return target.database.transaction(() => {
    indexPending(target.database);
    const { isChanged, history } = mayRepeat
      ? recordImport(source, target.database)
      : { isChanged: true, history: readHistory(source) };
    const events = isChanged ? mergeEvents(source, target, history) : 0;
    mergeCommands(source, target.database);
    for (const { name } of source.all(OTHER_TABLES)) {
      for (const row of source.all(`SELECT * FROM "${name}"`)) {
        insert(target.database, String(name), row);
      }
    }
    return events;
  });
}

function mergeEvents(source: Database, target: StoreTables, history: History): number {
  let events = 0;
  let notice: StoredEvent | null = null;
  // One by one: together they may be as large as a whole buffer.
  for (const { sequence = null } of source.all(EVENTS)) {
    const [row] = source.all("SELECT * FROM events WHERE sequence = ?", sequence);
    if (row === undefined) continue;
    const event = toEvent(row);
    if (event.snapshotOf === NOTICE_KEY) notice = event;
    else if (mergeEvent(event, row, target)) events += 1;
  }
  // Of what is no longer there: what is there was counted as it came.
  addHistory(target.database, history);
  if (notice !== null) recordEvictions(target.database, notice);
  return events;
}

function mergeEvent(event: StoredEvent, row: Row, target: StoreTables): boolean {
  const { database } = target;
  const { id, createdMs, attempts, lastError, sizeBytes } = event;
  if (database.all("SELECT 1 FROM events WHERE id = ? AND is_indexed = 1", id).length > 0) {
    return false;
  }
  if (event.state === "dead_lettered") {
    insert(database, "events", { ...row, place: null, sequence: allocateSequence(database) });
    addToCounters(database, { appended: 1, dead_lettered: 1, size_bytes: sizeBytes });
    return true;
  }
  const appendedId = append(event, target);
  if (appendedId === null) return false;
  indexPending(database);
  const unanswered = row["unanswered"] === 1 ? 1 : 0;
  // What superseded it may be delivered already: nothing in the target tells.
  const superseded = event.isSuperseded ? 1 : 0;
  const restored = [id, createdMs, attempts, lastError, unanswered, superseded];
  return database.run(RESTORE, ...restored, appendedId) === 1;
}

/** Its id there; `null` if it is larger than the whole target, and so counted as evicted. */
function append(event: StoredEvent, { buffer, database }: StoreTables): string | null {
  try {
    return buffer.append([event]).ids[0] ?? null;
  } catch (error) {
    if (!(error instanceof BufferError)) throw error;
    addToCounters(database, { appended: 1, [`evicted_${event.kind}`]: 1 });
    recordEvictions(database, event); // In the name of the event that is not merged itself.
    return null;
  }
}

function mergeCommands(source: Database, target: Database): void {
  for (const row of source.all("SELECT * FROM commands ORDER BY number")) {
    const { number: _, ...command } = row;
    if (insert(target, "commands", command) > 0) continue;
    const { state = null, params = null, started_ms = null, id = null } = command;
    target.run(ADVANCE, state, params, started_ms, id, RANKS.indexOf(String(state)));
  }
}

/** Inserts a row of a table with the same columns; returns 0 if there is one with its key. */
function insert(database: Database, table: string, row: Row): number {
  const names = Object.keys(row);
  const values: SqlValue[] = names.map((name) => row[name] ?? null);
  const marks = names.map(() => "?").join(", ");
  return database.run(
    `INSERT OR IGNORE INTO "${table}" (${names.join(", ")}) VALUES (${marks})`,
    ...values,
  );
}

/** How many imported files are remembered, the newest; as a rule there is none, or one. */
const REMEMBERED_IMPORTS = 100;

/** Number 0 is a buffer itself. */
const OWN_ID = "SELECT id FROM imports WHERE number = 0";

const FIND_IMPORT = `
  SELECT ${["appended", ...HISTORY].map((name) => asCount(name)).join(", ")} FROM imports
  WHERE id = ? AND number > 0`;

const DELETE_IMPORT = "DELETE FROM imports WHERE id = ? AND number > 0";

const ADD_IMPORT = `
  INSERT INTO imports (number, id, appended, ${HISTORY.join(", ")})
  SELECT max(number) + 1, ?, ?, ${HISTORY.map(() => "?").join(", ")} FROM imports`;

const FORGET_IMPORTS = `
  DELETE FROM imports
  WHERE number BETWEEN 1 AND (SELECT max(number) FROM imports) - ${REMEMBERED_IMPORTS}`;

/** What is new in a source since it was merged last. */
interface NewInSource {
  /** `false`: nothing was written to it since. */
  readonly isChanged: boolean;
  /** Of its counters, what was not added yet. */
  readonly history: History;
}

/** Records a source as imported; part of the transaction of `target` that merges it. */
export function recordImport(source: Database, target: Database): NewInSource {
  const history = readHistory(source);
  const id = source.all(OWN_ID)[0]?.["id"] ?? null;
  if (id === null) return { isChanged: true, history };
  const { appended } = readCounts(source);
  const [before] = target.all(FIND_IMPORT, id);
  target.run(DELETE_IMPORT, id);
  target.run(ADD_IMPORT, id, appended, ...HISTORY.map((name) => history[name]));
  target.run(FORGET_IMPORTS);
  if (before === undefined) return { isChanged: true, history };
  const isChanged = before["appended"] !== appended ||
    HISTORY.some((name) => before[name] !== history[name]);
  return { isChanged, history: since(before, history) };
}

/** Damage may have made a counter smaller; nothing is subtracted for that. */
function since(before: Row, history: History): History {
  const counts = HISTORY.map((name) => [name, Math.max(0, history[name] - Number(before[name]))]);
  return { ...history, ...Object.fromEntries(counts) };
}

/**
 * Merges a file that is no longer in its directory into the one that has its name now, without
 * waiting for anything, so that nothing is appended meanwhile. Closing a database deletes its `-wal`
 * and `-shm` by name, unless SQLite sees by the inode's number that the file has moved; it does not
 * where another file system has been mounted over the directory. Those names are the target's now: so
 * the target is closed first, when all it has is in its main file; where that cannot be, the source
 * stays open.
 *
 * Returns how many events came, and whether both are closed: the target is then to be opened again.
 * Throws `DatabaseError`; the target is closed then, and the source stays in use.
 */
export function mergeAndClose(
  source: OpenedBuffer,
  target: OpenedBuffer,
): { events: number; areClosed: boolean } {
  let events: number;
  let areClosed: boolean;
  try {
    events = merge(source.database, target, { mayRepeat: true });
    const [checkpoint] = target.database.all("PRAGMA wal_checkpoint(TRUNCATE)");
    areClosed = Number(checkpoint?.["busy"] ?? 1) === 0;
  } catch (error) {
    target.close();
    throw error;
  }
  if (areClosed) {
    target.close();
    source.close();
  }
  return { events, areClosed };
}
