/**
 * The buffer's counters: one row beside the events they count, changed in the same transaction. It
 * counts what is indexed; the view `totals` counts everything. SQLite sees no flipped bit in a counter,
 * and behind an `indexed_to` that is too high events would wait for ever: so each start recounts.
 */

import { type Database, DatabaseError, type Row } from "../system/database.ts";
import { type BufferCounts, byKind, EVENT_KINDS, type EventKind } from "./buffer.ts";
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

/** How much is in the buffer, and the numbers of the last event: its sequence and `bytes_to`. */
export interface Totals {
  readonly pending: number;
  readonly deadLetters: number;
  readonly sizeBytes: number;
  readonly lastSequence: number;
  readonly bytesTo: number;
}

/**
 * One statement, so that another process reads one instant. The oldest is found by the rowid, whose
 * first rows are the oldest, not by an index of everything that is pending.
 */
const READ = `
  SELECT *, (
    SELECT created_ms FROM events NOT INDEXED WHERE state = 'pending' ORDER BY sequence LIMIT 1
  ) AS oldest_ms FROM totals`;

const READ_TOTALS = `
  SELECT pending, dead_lettered, size_bytes, last_sequence, bytes_to FROM totals`;

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
    evicted: byKind((kind) => count(`evicted_${kind}`)),
    firstEvictionMs: instant("first_eviction_ms"),
    purged: count("purged"),
  };
}

/** Reads how full the buffer is. */
export function readTotals(database: Database): Totals {
  const row = theRow(database.all(READ_TOTALS));
  return {
    pending: readCount(row, "pending"),
    deadLetters: readCount(row, "dead_lettered"),
    sizeBytes: readCount(row, "size_bytes"),
    lastSequence: readCount(row, "last_sequence"),
    bytesTo: readCount(row, "bytes_to"),
  };
}

function theRow([row]: readonly Row[]): Row {
  return row ?? corrupt("they are missing");
}

function corrupt(fact: string): never {
  throw new DatabaseError(`Cannot read the buffer's counters: ${fact}`, { reason: "corrupt" });
}

/** Counters of events that are no longer there. Nothing that is there confirms them. */
export const HISTORY = [
  "delivered",
  "purged",
  ...EVENT_KINDS.map((kind) => `evicted_${kind}` as const),
] as const;

/** What went through the buffer, and is no longer there. */
export type History = Readonly<Record<typeof HISTORY[number], number>> & {
  readonly first_eviction_ms: number | null;
};

/**
 * SQL: the column, or `NULL` for what is no count. An integer past 2^53 cannot even be read, and
 * corruption may have made a text of it.
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
 * What can be believed of the history where `present` events are there and counted. A single corrupt
 * count is what the others leave for it; several cannot be told apart, and begin at 0.
 */
function historyOf(row: Row, present: number): History {
  const lost = HISTORY.filter((name) => row[name] === null);
  const left = row["appended"] === null ? 0 : Number(row["appended"]) - present - sumOf(row);
  const missing = lost.length === 1 ? Math.max(0, left) : 0;
  const count = (name: typeof HISTORY[number]) => Number(row[name] ?? missing);
  const firstEviction = row["first_eviction_ms"] ?? null;
  const counts = HISTORY.map((name) => [name, count(name)] as const);
  return {
    ...Object.fromEntries(counts) as Record<typeof HISTORY[number], number>,
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
 * Everything that is counted, beside what the view says of it: one walk through the events. `total`
 * and `min` keep what corruption has made too large from being more than a number.
 */
const COMPARE = `
  SELECT found.*, ${HISTORY_COLUMNS}, first_eviction_ms IS NULL AS is_unevicted,
    ${[...PRESENT, "last_sequence", "bytes_to"].map((name) => asCount(name)).join(", ")}
  FROM totals CROSS JOIN (
    SELECT count(*) FILTER (WHERE state = 'pending') AS found_pending,
      count(*) FILTER (WHERE state = 'dead_lettered') AS found_dead_lettered,
      total(size_bytes) AS found_size_bytes,
      count(*) FILTER (WHERE is_indexed <> 1) AS unindexed,
      min(max(sequence), ${LAST_COUNT}) AS found_sequence,
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
 * Indexes and counts all events, in one transaction that writes only what is not right yet. The
 * history is what the counters say, as far as they can be believed. Returns the counters that were
 * wrong, `null` if none was. Throws `DatabaseError`, also where events are corrupt.
 */
export function recount(database: Database): Recounted | null {
  try {
    return database.transaction(() => {
      const row = compare(database);
      if (Number(row["unindexed"]) > 0) {
        for (const sql of [INDEX_ALL, RESTORE_URGENCY, RESTORE_SUPERSEDED]) database.run(sql);
      }
      return correct(database, row);
    });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "failed") throw error;
    return corrupt(error.message);
  }
}

function compare(database: Database): Row {
  const row = theRow(database.all(COMPARE));
  if (Number(row["unmeasured"]) > 0) corrupt("an event's size is corrupt");
  if (Number(row["found_sequence"]) >= LAST_COUNT) corrupt("an event's sequence is corrupt");
  return row;
}

/** Writes the counters, where all events are indexed. */
function correct(database: Database, row: Row): Recounted | null {
  const found = (name: typeof PRESENT[number]) => readCount(row, `found_${name}`);
  const events = found("pending") + found("dead_lettered");
  const history = historyOf(row, events);
  const right = {
    pending: found("pending"),
    dead_lettered: found("dead_lettered"),
    size_bytes: found("size_bytes"),
    appended: events + sumOf(history),
    ...history,
  };
  const wrong = Object.entries(right).filter(([name, value]) => row[name] !== value)
    .map(([name]) => name);
  if (row["first_eviction_ms"] === null && row["is_unevicted"] === 0) {
    wrong.push("first_eviction_ms");
  }
  const counters = {
    ...right,
    indexed_to: Math.max(Number(row["last_sequence"]), Number(row["found_sequence"])),
    bytes_to: row["bytes_to"] ?? 0,
  };
  const names = Object.keys(counters).join(", ");
  const values = Object.values(counters);
  const marks = values.map(() => "?").join(", ");
  const isRight = `SELECT (${names}) IS (${marks}) AS is_right FROM counters`;
  if (theRow(database.all(isRight, ...values))["is_right"] === 0) {
    database.run(`UPDATE counters SET (${names}) = (${marks})`, ...values);
  }
  return wrong.length > 0 ? { wrong, events } : null;
}
