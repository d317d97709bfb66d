/**
 * The buffer's counters: one row beside the events they count, changed in the same transaction. It
 * counts what is indexed; the view `totals` counts everything. A flipped bit in a counter is nothing
 * that SQLite can see, and behind an `indexed_to` that is too high events would wait for ever: so
 * `checkCounters` compares them with the events.
 */

import { type Database, DatabaseError, type Row } from "../system/database.ts";
import type { BufferCounts, EventKind, Waiting } from "./buffer.ts";
import { LAST_COUNT, readCount, readInstant } from "./event_row.ts";
import { LAST_INSTANT_MS } from "../system/system.ts";

/** `pending`, `dead_lettered` and `size_bytes` count what is there, the others only grow. */
type Counter =
  | "pending"
  | "dead_lettered"
  | "size_bytes"
  | "appended"
  | "delivered"
  | "purged"
  | `evicted_${EventKind}`;

/** How much is in the buffer. */
export interface Load {
  readonly events: number;
  readonly sizeBytes: number;
}

/**
 * One statement, so that another process reads one instant. The oldest is found by the rowid, whose
 * first rows are the oldest, not by an index of everything that is pending.
 */
const READ = `
  SELECT *, (
    SELECT created_ms FROM events NOT INDEXED WHERE state = 'pending' ORDER BY sequence LIMIT 1
  ) AS oldest_ms FROM totals`;

const READ_WAITING = "SELECT pending, dead_lettered FROM totals";

const READ_LOAD = "SELECT pending + dead_lettered AS events, size_bytes FROM totals";

const ALLOCATE = "UPDATE counters SET indexed_to = indexed_to + 1 RETURNING indexed_to";

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
 * Allocates the sequence of an event that is inserted with `is_indexed` 1, when all before it are
 * indexed. No sequence is allocated twice.
 */
export function allocateSequence(database: Database): number {
  return readCount(theRow(database.all(ALLOCATE)), "indexed_to");
}

/** Reads all counters, and since when the oldest event has been waiting. */
export function readCounts(database: Database): BufferCounts {
  const row = theRow(database.all(READ));
  const instant = (name: string) => row[name] === null ? null : readInstant(row, name);
  const count = (name: Counter) => readCount(row, name);
  return {
    pending: count("pending"),
    deadLetters: count("dead_lettered"),
    sizeBytes: count("size_bytes"),
    oldestPendingMs: instant("oldest_ms"),
    appended: count("appended"),
    delivered: count("delivered"),
    evicted: {
      system_info: count("evicted_system_info"),
      updates: count("evicted_updates"),
      dependencies: count("evicted_dependencies"),
      log: count("evicted_log"),
    },
    firstEvictionMs: instant("first_eviction_ms"),
    purged: count("purged"),
  };
}

/** Reads how many events wait for the server, and how many for a person. */
export function readWaiting(database: Database): Waiting {
  const row = theRow(database.all(READ_WAITING));
  return { pending: readCount(row, "pending"), deadLetters: readCount(row, "dead_lettered") };
}

/** Reads how full the buffer is, dead letters included. */
export function readLoad(database: Database): Load {
  const row = theRow(database.all(READ_LOAD));
  return { events: readCount(row, "events"), sizeBytes: readCount(row, "size_bytes") };
}

function theRow([row]: readonly Row[]): Row {
  return row ?? damaged("they are missing");
}

function damaged(fact: string): never {
  throw new DatabaseError(`Cannot read the buffer's counters: ${fact}`, { reason: "corrupt" });
}

/** Counters of events that are no longer there. Nothing that is there confirms them. */
export const HISTORY = [
  "delivered",
  "purged",
  "evicted_system_info",
  "evicted_updates",
  "evicted_dependencies",
  "evicted_log",
] as const;

/** What went through the buffer, and is no longer there. */
export type History = Readonly<Record<typeof HISTORY[number], number>> & {
  readonly first_eviction_ms: number | null;
};

/**
 * SQL: the column, or `NULL` for what is no count. An integer past 2^53 cannot even be read, and
 * damage may have made a text of it.
 */
export function asCount(column: string, last: number = LAST_COUNT): string {
  return `CASE WHEN typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${last}
    THEN ${column} END AS ${column}`;
}

/** SQL: the columns that `historyOf` reads. */
const HISTORY_COLUMNS = [
  ...["appended", ...HISTORY].map((name) => asCount(name)),
  asCount("first_eviction_ms", LAST_INSTANT_MS),
].join(", ");

const FIRST_EVICTION = `
  UPDATE counters SET first_eviction_ms = min(coalesce(first_eviction_ms, ?), ?)`;

/**
 * What can be believed of the history where `present` events are there and counted. A single damaged
 * count is what the others leave for it; several cannot be told apart, and begin at 0.
 */
function historyOf(row: Row, present: number): History {
  const lost = HISTORY.filter((name) => row[name] === null);
  const left = row["appended"] === null ? 0 : Number(row["appended"]) - present - sumOf(row);
  const missing = lost.length === 1 ? Math.max(0, left) : 0;
  const count = (name: typeof HISTORY[number]) => Number(row[name] ?? missing);
  const firstEviction = row["first_eviction_ms"] ?? null;
  return {
    delivered: count("delivered"),
    purged: count("purged"),
    evicted_system_info: count("evicted_system_info"),
    evicted_updates: count("evicted_updates"),
    evicted_dependencies: count("evicted_dependencies"),
    evicted_log: count("evicted_log"),
    first_eviction_ms: firstEviction === null ? null : Number(firstEviction),
  };
}

/** Reads the history as far as it can be read and believed. Throws `DatabaseError`. */
export function readHistory(database: Database): History {
  const columns = `${HISTORY_COLUMNS}, ${asCount("pending")}, ${asCount("dead_lettered")}`;
  const row = theRow(database.all(`SELECT ${columns} FROM counters`));
  return historyOf(row, Number(row["pending"]) + Number(row["dead_lettered"]));
}

/** Adds another buffer's history and keeps the earlier first eviction; `appended` grows by as much. */
export function addHistory(database: Database, { first_eviction_ms, ...counts }: History): void {
  if (first_eviction_ms !== null) {
    database.run(FIRST_EVICTION, first_eviction_ms, first_eviction_ms);
  }
  addToCounters(database, { ...counts, appended: sumOf(counts) });
}

function sumOf(history: Omit<History, "first_eviction_ms"> | Row): number {
  return HISTORY.reduce((sum, name) => sum + Number(history[name] ?? 0), 0);
}

/** What was wrong with the counters. */
export interface Recounted {
  /** The names of their columns. */
  readonly wrong: readonly string[];
  /** How many events are there, counted. */
  readonly events: number;
}

/** Counters of what is there. */
const PRESENT = ["pending", "dead_lettered", "size_bytes"] as const;

/**
 * One statement, since another process may be writing, and one walk through the events. `total` and
 * `min` keep what damage has made too large from being more than a number.
 */
const COMPARE = `
  SELECT found.*, ${HISTORY_COLUMNS},
    ${[...PRESENT, "indexed_to", "bytes_to"].map((name) => asCount(name)).join(", ")},
    first_eviction_ms IS NULL AS is_unevicted,
    (SELECT min(bytes_to, ${LAST_COUNT}) FROM events ORDER BY sequence DESC LIMIT 1) AS last_bytes
  FROM counters CROSS JOIN (
    SELECT count(*) FILTER (WHERE is_indexed = 1 AND state = 'pending') AS found_pending,
      count(*) FILTER (WHERE is_indexed = 1 AND state = 'dead_lettered') AS found_dead_lettered,
      total(size_bytes) FILTER (WHERE is_indexed = 1) AS found_size_bytes,
      min(max(sequence) FILTER (WHERE is_indexed = 1), ${LAST_COUNT}) AS last_indexed,
      count(*) FILTER (WHERE is_indexed <> 1) AS unindexed,
      total(size_bytes) FILTER (WHERE is_indexed <> 1) AS unindexed_bytes,
      min(min(sequence) FILTER (WHERE is_indexed <> 1), ${LAST_COUNT}) AS first_unindexed,
      min(max(sequence), ${LAST_COUNT}) AS last_sequence,
      count(*) FILTER (
        WHERE typeof(size_bytes) <> 'integer' OR size_bytes NOT BETWEEN 0 AND ${LAST_COUNT}
      ) AS unmeasured
    FROM events
  ) AS found`;

/** Such a row is as it was appended, with the urgency of its kind. */
const INDEX_ALL = "UPDATE events SET is_indexed = 1 WHERE is_indexed <> 1";

/** No event of a command goes before an earlier one. */
const RESTORE_URGENCY = `
  UPDATE events SET urgency = line.least FROM (
    SELECT sequence AS number, min(urgency) OVER (
      PARTITION BY command_id ORDER BY coalesce(place, sequence), sequence
    ) AS least
    FROM events WHERE state = 'pending' AND command_id IS NOT NULL
  ) AS line WHERE events.sequence = line.number AND events.urgency <> line.least`;

const RESTORE_SUPERSEDED = `
  UPDATE events SET superseded = 1 FROM (
    SELECT snapshot_of AS key, max(coalesce(place, sequence)) AS newest
    FROM events WHERE snapshot_of IS NOT NULL GROUP BY snapshot_of
  ) AS current
  WHERE events.snapshot_of = current.key AND events.superseded = 0
    AND coalesce(events.place, events.sequence) < current.newest`;

/**
 * Compares the counters with the events they count. `null`: they are right. Otherwise all events are
 * indexed and counted, in one transaction; the history is what the counters say, as far as they can
 * be believed. Throws `DatabaseError`, also for damage that cannot be repaired so.
 */
export function checkCounters(database: Database): Recounted | null {
  if (differences(compare(database)).length === 0) return null;
  try {
    return database.transaction(() => recount(database));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "failed") throw error;
    return damaged(error.message);
  }
}

function compare(database: Database): Row {
  const row = theRow(database.all(COMPARE));
  if (Number(row["unmeasured"]) > 0) damaged("an event's size is damaged");
  if (Number(row["last_sequence"]) >= LAST_COUNT) damaged("an event's sequence is damaged");
  return row;
}

/** The counters that cannot be right. */
function differences(row: Row): string[] {
  const is = (name: string) => Number(row[name]);
  const wrong: string[] = PRESENT.filter((name) => row[name] !== row[`found_${name}`]);
  wrong.push(...HISTORY.filter((name) => row[name] === null));
  const present = is("found_pending") + is("found_dead_lettered");
  if (row["appended"] !== present + sumOf(row)) wrong.push("appended");
  if (row["first_eviction_ms"] === null && row["is_unevicted"] === 0) {
    wrong.push("first_eviction_ms");
  }
  if (row["indexed_to"] === null || !isBorder(row)) wrong.push("indexed_to");
  const areBytesRight = row["unindexed"] === 0 ||
    is("last_bytes") - is("bytes_to") === is("unindexed_bytes");
  if (row["bytes_to"] === null || !areBytesRight) wrong.push("bytes_to");
  return wrong;
}

/** Whether `indexed_to` parts indexed events from the others, and those have no gaps. */
function isBorder(row: Row): boolean {
  const indexedTo = Number(row["indexed_to"]);
  if (Number(row["last_indexed"]) > indexedTo) return false;
  return row["unindexed"] === 0 ||
    row["first_unindexed"] === indexedTo + 1 &&
      row["last_sequence"] === indexedTo + Number(row["unindexed"]);
}

function recount(database: Database): Recounted {
  const before = compare(database);
  const wrong = differences(before);
  database.run(INDEX_ALL);
  database.run(RESTORE_URGENCY);
  database.run(RESTORE_SUPERSEDED);
  const after = compare(database);
  const counted = Number(before["found_pending"]) + Number(before["found_dead_lettered"]);
  const found = {
    pending: readCount(after, "found_pending"),
    dead_lettered: readCount(after, "found_dead_lettered"),
    size_bytes: readCount(after, "found_size_bytes"),
  };
  const events = found.pending + found.dead_lettered;
  const history = historyOf(before, counted);
  const counters = {
    ...found,
    appended: events + sumOf(history),
    ...history,
    indexed_to: Math.max(Number(before["indexed_to"]), Number(after["last_sequence"])),
    bytes_to: before["bytes_to"] ?? 0,
  };
  const sets = Object.keys(counters).map((name) => `${name} = ?`).join(", ");
  database.run(`UPDATE counters SET ${sets}`, ...Object.values(counters));
  return { wrong, events };
}
