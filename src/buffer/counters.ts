/**
 * The buffer's counters: one row beside the events they count, changed in the same transaction. It
 * counts what is sorted in; the view `totals` counts all.
 */

import { type Database, DatabaseError, type Row } from "../system/database.ts";
import type { BufferCounts, EventKind, Waiting } from "./buffer.ts";
import type { Load } from "./rules.ts";

/** What is counted. `pending`, `set_aside` and `size_bytes` are what is there, the others only grow. */
export type Counter =
  | "pending"
  | "set_aside"
  | "size_bytes"
  | "appended"
  | "delivered"
  | "purged"
  | `dropped_${EventKind}`;

/**
 * One statement, so that another process's reading is of one instant. The oldest is found by the
 * rowid, whose first rows are the oldest, not by an index of all that is pending.
 */
const READ = `
  SELECT *, (
    SELECT created_ms FROM events NOT INDEXED WHERE state = 'pending' ORDER BY sequence LIMIT 1
  ) AS oldest_ms FROM totals`;

const READ_WAITING = "SELECT pending, set_aside FROM totals";

const READ_LOAD = "SELECT pending + set_aside AS events, size_bytes FROM totals";

const TAKE_SEQUENCE = "UPDATE counters SET sorted_to = sorted_to + 1 RETURNING sorted_to";

/** Adds to counters, in one statement; part of the transaction it is called in. */
export function addToCounters(
  database: Database,
  changes: Readonly<Partial<Record<Counter, number>>>,
): void {
  const names = Object.keys(changes);
  if (names.length === 0) return;
  const sets = names.map((name) => `${name} = ${name} + ?`).join(", ");
  database.run(`UPDATE counters SET ${sets}`, ...Object.values(changes));
}

/**
 * The number of an event that is written with `is_sorted` 1, when all before it is sorted in; no
 * number is given twice.
 */
export function takeSequence(database: Database): number {
  return Number(theRow(database.all(TAKE_SEQUENCE))["sorted_to"]);
}

/** Reads all of them, and since when the oldest event has been waiting. */
export function readCounts(database: Database): BufferCounts {
  const row = theRow(database.all(READ));
  const orNull = (name: string) => row[name] === null ? null : Number(row[name]);
  const count = (name: Counter) => Number(row[name]);
  return {
    pending: count("pending"),
    setAside: count("set_aside"),
    sizeBytes: count("size_bytes"),
    oldestPendingMs: orNull("oldest_ms"),
    appended: count("appended"),
    delivered: count("delivered"),
    dropped: {
      system_info: count("dropped_system_info"),
      updates: count("dropped_updates"),
      dependencies: count("dropped_dependencies"),
      log: count("dropped_log"),
    },
    firstDropMs: orNull("first_drop_ms"),
    purged: count("purged"),
  };
}

/** Reads how many events wait, for the server and for a person. */
export function readWaiting(database: Database): Waiting {
  const row = theRow(database.all(READ_WAITING));
  return { pending: Number(row["pending"]), setAside: Number(row["set_aside"]) };
}

/** Reads how full the buffer is; what was set aside takes its room too. */
export function readLoad(database: Database): Load {
  const row = theRow(database.all(READ_LOAD));
  return { events: Number(row["events"]), sizeBytes: Number(row["size_bytes"]) };
}

function theRow([row]: readonly Row[]): Row {
  if (row !== undefined) return row;
  throw new DatabaseError("Cannot read the buffer's counters: they are gone", {
    reason: "corrupt",
  });
}
