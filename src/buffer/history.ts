/**
 * The counters of what is no longer in the buffer: delivered, purged, dropped. Nothing that is there
 * tells them, so what a sick disk has left of them is looked at before it is believed.
 */

import { type Database, DatabaseError, type Row } from "../system/database.ts";
import { addToCounters } from "./counters.ts";

/** Those that only grow. */
export const GONE = [
  "delivered",
  "purged",
  "dropped_system_info",
  "dropped_updates",
  "dropped_dependencies",
  "dropped_log",
] as const;

/** What went through the buffer, and is not there. */
export type History = Readonly<Record<typeof GONE[number], number>> & {
  readonly first_drop_ms: number | null;
};

/** No agent counts so far, in events or in bytes; and their sum is still a number of JavaScript's. */
export const LAST_COUNT = 2 ** 48;

/** The last instant that is a date. */
const LAST_INSTANT_MS = 8.64e15;

/**
 * As SQL, `NULL` for what is no count: an integer past 2^53 may not even be read, and damage may have
 * made a text of it.
 */
export function asCount(column: string, last: number = LAST_COUNT): string {
  return `CASE WHEN typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${last}
    THEN ${column} END AS ${column}`;
}

/** As SQL, what `historyOf` is to be given of the row of counters. */
export const HISTORY_COLUMNS = [
  ...["appended", ...GONE].map((name) => asCount(name)),
  asCount("first_drop_ms", LAST_INSTANT_MS),
].join(", ");

/** The earlier of the two. */
const FIRST_DROP = `
  UPDATE counters SET first_drop_ms = min(coalesce(first_drop_ms, ?), ?)`;

/**
 * What can be believed of it, where so many events are there and counted. One count that is none is
 * what the others leave for it; of several nobody knows, and they begin at 0.
 */
export function historyOf(row: Row, present: number): History {
  const lost = GONE.filter((name) => row[name] === null);
  const left = row["appended"] === null ? 0 : Number(row["appended"]) - present - sumOf(row);
  const missing = lost.length === 1 ? Math.max(0, left) : 0;
  const counts = GONE.map((name) => [name, Number(row[name] ?? missing)]);
  const firstDrop = row["first_drop_ms"] ?? null;
  return {
    ...Object.fromEntries(counts) as Record<typeof GONE[number], number>,
    first_drop_ms: firstDrop === null ? null : Number(firstDrop),
  };
}

/** As far as the counters can be read and believed. Throws `DatabaseError`. */
export function readHistory(database: Database): History {
  const columns = `${HISTORY_COLUMNS}, ${asCount("pending")}, ${asCount("set_aside")}`;
  const [row] = database.all(`SELECT ${columns} FROM counters`);
  if (row !== undefined) return historyOf(row, Number(row["pending"]) + Number(row["set_aside"]));
  throw new DatabaseError("Cannot read the buffer's counters: they are gone", {
    reason: "corrupt",
  });
}

/** Adds another buffer's, since the earlier first drop; the sum of all stays what it is. */
export function addHistory(database: Database, { first_drop_ms, ...counts }: History): void {
  if (first_drop_ms !== null) database.run(FIRST_DROP, first_drop_ms, first_drop_ms);
  addToCounters(database, { ...counts, appended: sumOf(counts) });
}

/** How many events that were. */
export function sumOf(history: Omit<History, "first_drop_ms"> | Row): number {
  return GONE.reduce((sum, name) => sum + Number(history[name] ?? 0), 0);
}
