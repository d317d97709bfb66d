/**
 * Compares the counters with the events they count, and counts anew where they differ: a flipped bit
 * in them is nothing that SQLite can see, and behind a `sorted_to` that is too high events would wait
 * for ever.
 */

import { type Database, DatabaseError, type Row } from "../system/database.ts";
import { asCount, GONE, HISTORY_COLUMNS, historyOf, LAST_COUNT, sumOf } from "./history.ts";

/** What was wrong with the counters. */
export interface Recounted {
  /** The names of their columns. */
  readonly wrong: readonly string[];
  /** Events that there are, counted. */
  readonly events: number;
}

/** What the events themselves tell. */
const PRESENT = ["pending", "set_aside", "size_bytes"] as const;

/**
 * One statement, since another process may be writing, and one walk through the events. `total` and
 * `min` keep what damage has made too large from being more than a number.
 */
const LOOK = `
  SELECT found.*, ${HISTORY_COLUMNS},
    ${[...PRESENT, "sorted_to", "bytes_to"].map((name) => asCount(name)).join(", ")},
    first_drop_ms IS NULL AS is_undropped,
    (SELECT min(bytes_to, ${LAST_COUNT}) FROM events ORDER BY sequence DESC LIMIT 1) AS last_bytes
  FROM counters CROSS JOIN (
    SELECT count(*) FILTER (WHERE is_sorted = 1 AND state = 'pending') AS found_pending,
      count(*) FILTER (WHERE is_sorted = 1 AND state = 'set_aside') AS found_set_aside,
      total(size_bytes) FILTER (WHERE is_sorted = 1) AS found_size_bytes,
      min(max(sequence) FILTER (WHERE is_sorted = 1), ${LAST_COUNT}) AS last_sorted,
      count(*) FILTER (WHERE is_sorted <> 1) AS unsorted,
      total(size_bytes) FILTER (WHERE is_sorted <> 1) AS unsorted_bytes,
      min(min(sequence) FILTER (WHERE is_sorted <> 1), ${LAST_COUNT}) AS first_unsorted,
      min(max(sequence), ${LAST_COUNT}) AS last_sequence,
      count(*) FILTER (
        WHERE typeof(size_bytes) <> 'integer' OR size_bytes NOT BETWEEN 0 AND ${LAST_COUNT}
      ) AS unmeasured
    FROM events
  ) AS found`;

/** Such a row is as it was written down, with the urgency of its kind. */
const SORT_ALL = "UPDATE events SET is_sorted = 1 WHERE is_sorted <> 1";

/** No event of a command goes before an earlier one. */
const LINE_UP = `
  UPDATE events SET urgency = line.least FROM (
    SELECT sequence AS number, min(urgency) OVER (
      PARTITION BY command_id ORDER BY coalesce(place, sequence), sequence
    ) AS least
    FROM events WHERE state = 'pending' AND command_id IS NOT NULL
  ) AS line WHERE events.sequence = line.number AND events.urgency <> line.least`;

const SUPERSEDE = `
  UPDATE events SET superseded = 1 FROM (
    SELECT snapshot_of AS key, max(coalesce(place, sequence)) AS newest
    FROM events WHERE snapshot_of IS NOT NULL GROUP BY snapshot_of
  ) AS current
  WHERE events.snapshot_of = current.key AND events.superseded = 0
    AND coalesce(events.place, events.sequence) < current.newest`;

/**
 * `null`: they are right. Else all events are sorted in and counted, in one transaction; what nobody
 * can count any more is told by the counters themselves, as far as they can be believed. Throws
 * `DatabaseError`, for damage too that cannot be mended so.
 */
export function checkCounters(database: Database): Recounted | null {
  if (differences(look(database)).length === 0) return null;
  try {
    return database.transaction(() => recount(database));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.reason !== "failed") throw error;
    throw damaged(error.message);
  }
}

function look(database: Database): Row {
  const [row] = database.all(LOOK);
  if (row === undefined) throw damaged("they are gone");
  if (Number(row["unmeasured"]) > 0) throw damaged("an event's size is none");
  if (Number(row["last_sequence"]) >= LAST_COUNT) throw damaged("an event's number is none");
  return row;
}

function damaged(fact: string): DatabaseError {
  return new DatabaseError(`Cannot use the buffer's counters: ${fact}`, { reason: "corrupt" });
}

/** The counters that cannot be right. */
function differences(row: Row): string[] {
  const is = (name: string) => Number(row[name]);
  const wrong: string[] = PRESENT.filter((name) => row[name] !== row[`found_${name}`]);
  wrong.push(...GONE.filter((name) => row[name] === null));
  const present = is("found_pending") + is("found_set_aside");
  if (row["appended"] !== present + sumOf(row)) wrong.push("appended");
  if (row["first_drop_ms"] === null && row["is_undropped"] === 0) wrong.push("first_drop_ms");
  if (row["sorted_to"] === null || !isBorder(row)) wrong.push("sorted_to");
  const areBytesRight = row["unsorted"] === 0 ||
    is("last_bytes") - is("bytes_to") === is("unsorted_bytes");
  if (row["bytes_to"] === null || !areBytesRight) wrong.push("bytes_to");
  return wrong;
}

/** All before it are sorted in, none after it is, and those have no gaps. */
function isBorder(row: Row): boolean {
  const sortedTo = Number(row["sorted_to"]);
  if (Number(row["last_sorted"]) > sortedTo) return false;
  return row["unsorted"] === 0 ||
    row["first_unsorted"] === sortedTo + 1 &&
      row["last_sequence"] === sortedTo + Number(row["unsorted"]);
}

function recount(database: Database): Recounted {
  const before = look(database);
  const wrong = differences(before);
  database.run(SORT_ALL);
  database.run(LINE_UP);
  database.run(SUPERSEDE);
  const after = look(database);
  const counted = Number(before["found_pending"]) + Number(before["found_set_aside"]);
  const events = Number(after["found_pending"]) + Number(after["found_set_aside"]);
  const history = historyOf(before, counted);
  const counters = {
    pending: after["found_pending"]!,
    set_aside: after["found_set_aside"]!,
    size_bytes: after["found_size_bytes"]!,
    appended: events + sumOf(history),
    ...history,
    sorted_to: Math.max(Number(before["sorted_to"]), Number(after["last_sequence"])),
    bytes_to: before["bytes_to"] ?? 0,
  };
  const sets = Object.keys(counters).map((name) => `${name} = ?`).join(", ");
  database.run(`UPDATE counters SET ${sets}`, ...Object.values(counters));
  return { wrong, events };
}
