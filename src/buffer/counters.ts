/** The buffer's counters: kept beside the events they count, changed in the same transaction. */

import type { Database } from "../system/database.ts";
import type { BufferCounts, EventKind, Waiting } from "./buffer.ts";
import type { Load } from "./rules.ts";

/**
 * What is counted. `pending`, `set_aside` and `size_bytes` are what is there, the others only grow, but
 * for `first_drop_ms`, an instant.
 */
export type Counter =
  | "pending"
  | "set_aside"
  | "size_bytes"
  | "appended"
  | "delivered"
  | "purged"
  | "first_drop_ms"
  | `dropped_${EventKind}`;

const NAMES: readonly Counter[] = [
  "pending",
  "set_aside",
  "size_bytes",
  "appended",
  "delivered",
  "purged",
  "first_drop_ms",
  "dropped_system_info",
  "dropped_updates",
  "dropped_dependencies",
  "dropped_log",
];

/**
 * One statement, so that another process's reading is of one instant, and one row, since it is asked
 * with each check-in. The oldest is found by the rowid, whose first rows are the oldest, not by an
 * index of all that is pending.
 */
const READ = `
  SELECT ${NAMES.map((name) => `sum(value) FILTER (WHERE name = '${name}') AS ${name}`).join(", ")},
    (SELECT created_ms FROM events NOT INDEXED WHERE state = 'pending' ORDER BY sequence LIMIT 1)
      AS oldest_ms
  FROM counters`;

const READ_WAITING = `
  SELECT (SELECT value FROM counters WHERE name = 'pending') AS pending,
    (SELECT value FROM counters WHERE name = 'set_aside') AS set_aside`;

const READ_LOAD = `
  SELECT sum(value) FILTER (WHERE name IN ('pending', 'set_aside')) AS events,
    sum(value) FILTER (WHERE name = 'size_bytes') AS size_bytes
  FROM counters`;

/** Adds to counters, in one statement; part of the transaction it is called in. */
export function addToCounters(
  database: Database,
  changes: Readonly<Partial<Record<Counter, number>>>,
): void {
  const values = Object.entries(changes).flat();
  if (values.length > 0) database.run(addSql(values.length / 2), ...values);
}

function addSql(counters: number): string {
  const rows = Array.from({ length: counters }, () => "(?, ?)").join(", ");
  return `INSERT INTO counters (name, value) VALUES ${rows}
    ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`;
}

/** Reads all of them, and since when the oldest event has been waiting. */
export function readCounts(database: Database): BufferCounts {
  const row = database.all(READ)[0] ?? {};
  // One that was never added to is 0.
  const count = (name: Counter) => Number(row[name] ?? 0);
  const oldestMs = row["oldest_ms"] ?? null;
  return {
    pending: count("pending"),
    setAside: count("set_aside"),
    sizeBytes: count("size_bytes"),
    oldestPendingMs: oldestMs === null ? null : Number(oldestMs),
    appended: count("appended"),
    delivered: count("delivered"),
    dropped: {
      system_info: count("dropped_system_info"),
      updates: count("dropped_updates"),
      dependencies: count("dropped_dependencies"),
      log: count("dropped_log"),
    },
    firstDropMs: count("first_drop_ms") || null,
    purged: count("purged"),
  };
}

/** Reads how many events wait, for the server and for a person. */
export function readWaiting(database: Database): Waiting {
  const [row] = database.all(READ_WAITING);
  return { pending: Number(row?.["pending"] ?? 0), setAside: Number(row?.["set_aside"] ?? 0) };
}

/** Reads how full the buffer is; what was set aside takes its room too. */
export function readLoad(database: Database): Load {
  const [row] = database.all(READ_LOAD);
  return { events: Number(row?.["events"] ?? 0), sizeBytes: Number(row?.["size_bytes"] ?? 0) };
}
