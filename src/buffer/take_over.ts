/**
 * Takes what one buffer holds over into another: a tail out of memory, a file whose folder is gone,
 * one that an older Pennon left.
 */

import type { Database, Row, SqlValue } from "../system/database.ts";
import type { EventBuffer, EventKind, NewEvent } from "./buffer.ts";
import { addToCounters, takeSequence } from "./counters.ts";
import { NOTICE_KEY } from "./drop_notice.ts";
import { addHistory, type History, readHistory } from "./history.ts";
import { BufferError } from "./schema.ts";
import { sortIn } from "./sort_in.ts";
import { sizeOf } from "./sqlite_buffer.ts";
import { takeOnce } from "./taken_over.ts";
import { tellDropped } from "./tell_dropped.ts";

/** Where it goes. */
export interface Heir {
  readonly database: Database;
  readonly buffer: EventBuffer;
}

/** In the order of sending, which the new sequences then have by themselves. */
const EVENTS = "SELECT sequence FROM events ORDER BY coalesce(place, sequence), sequence";

/** An event as it was; the order of appending is the new buffer's own. */
const RESTORE = `
  UPDATE events SET id = ?, created_ms = ?, attempts = ?, last_error = ?, unanswered = ?
  WHERE id = ? AND is_sorted = 1`;

/** How far a command has come: what was done with it is never undone. */
const RANKS = ["received", "started", "finished", "reported"];

const ADVANCE = `
  UPDATE commands SET state = ?, params = ? WHERE id = ? AND
    CASE state WHEN 'received' THEN 0 WHEN 'started' THEN 1 WHEN 'finished' THEN 2 ELSE 3 END < ?`;

const OTHER_TABLES = `
  SELECT name FROM sqlite_master
  WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name NOT IN ('events', 'counters', 'commands', 'taken_over')`;

/**
 * Copies events with their ids and states, commands with theirs, and adds the counters, in one
 * transaction of `to`; both have this version's tables. What is in `to` already is passed over; where
 * `to` is full its rules say what goes, and what was set aside stays. Answers how many events came.
 *
 * With `mayRepeat`, for a file that is still there afterwards, what was added to the counters is
 * remembered, and a file that has not changed since is not looked through again.
 */
export function takeOver(
  from: Database,
  to: Heir,
  { mayRepeat = false }: { mayRepeat?: boolean } = {},
): number {
  return to.database.transaction(() => {
    sortIn(to.database);
    const { isAny, history } = mayRepeat
      ? takeOnce(from, to.database)
      : { isAny: true, history: readHistory(from) };
    const events = isAny ? takeEvents(from, to, history) : 0;
    takeCommands(from, to.database);
    for (const { name } of from.all(OTHER_TABLES)) {
      for (const row of from.all(`SELECT * FROM "${name}"`)) {
        insert(to.database, String(name), row);
      }
    }
    return events;
  });
}

function takeEvents(from: Database, to: Heir, history: History): number {
  let events = 0;
  let notice: Row | null = null;
  // One by one: together they may be as large as a whole buffer.
  for (const { sequence } of from.all(EVENTS)) {
    const [row] = from.all("SELECT * FROM events WHERE sequence = ?", sequence!);
    if (row?.["snapshot_of"] === NOTICE_KEY) notice = row;
    else if (row !== undefined && takeEvent(row, to)) events += 1;
  }
  // Of what is no longer there: what is, was counted as it came.
  addHistory(to.database, history);
  if (notice !== null) takeNotice(notice, to.database);
  return events;
}

function takeEvent(row: Row, to: Heir): boolean {
  const id = row["id"]!;
  if (to.database.all("SELECT 1 FROM events WHERE id = ? AND is_sorted = 1", id).length > 0) {
    return false;
  }
  if (row["state"] === "set_aside") {
    const { place: _, ...kept } = row;
    insert(to.database, "events", { ...kept, sequence: takeSequence(to.database) });
    addToCounters(to.database, {
      appended: 1,
      set_aside: 1,
      size_bytes: Number(row["size_bytes"]),
    });
    return true;
  }
  const event: NewEvent = {
    kind: row["kind"] as EventKind,
    commandId: row["command_id"] as string | null,
    snapshotOf: row["snapshot_of"] as string | null,
    body: String(row["body"]),
  };
  const added = append(event, row, to);
  if (added === null) return false;
  sortIn(to.database);
  const { created_ms, attempts, last_error, unanswered } = row;
  return to.database.run(RESTORE, id, created_ms!, attempts!, last_error!, unanswered!, added) ===
    1;
}

/** Its id there; `null` if it is larger than all there is room for, and so dropped. */
function append(event: NewEvent, row: Row, { buffer, database }: Heir): string | null {
  try {
    return buffer.append([event]).ids[0] ?? null;
  } catch (error) {
    if (!(error instanceof BufferError)) throw error;
    addToCounters(database, { appended: 1, [`dropped_${event.kind}`]: 1 });
    takeNotice(row, database);
    return null;
  }
}

/** Tells the counts, which are now those of both; in the name of a row that is not taken itself. */
function takeNotice({ id, created_ms }: Row, to: Database): void {
  tellDropped(to, { id: String(id), createdMs: Number(created_ms) }, sizeOf);
}

function takeCommands(from: Database, to: Database): void {
  for (const row of from.all("SELECT * FROM commands ORDER BY number")) {
    const { number: _, ...kept } = row;
    if (insert(to, "commands", kept) > 0) continue;
    const rank = RANKS.indexOf(String(row["state"]));
    to.run(ADVANCE, row["state"]!, row["params"]!, row["id"]!, rank);
  }
}

/** The names are columns of ours. */
function insert(database: Database, table: string, row: Row): number {
  const names = Object.keys(row);
  const values: SqlValue[] = names.map((name) => row[name] ?? null);
  const marks = names.map(() => "?").join(", ");
  return database.run(
    `INSERT OR IGNORE INTO "${table}" (${names.join(", ")}) VALUES (${marks})`,
    ...values,
  );
}
