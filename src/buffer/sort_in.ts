/**
 * Sorts in what was only written down (`write_down.ts`): behind what its command has waiting, in the
 * place of the snapshot before it, and into the indexes, which leave out what is not sorted in.
 */

import type { Database, Row } from "../system/database.ts";
import type { EventKind } from "./buffer.ts";
import { urgencyBehind } from "./rules.ts";

const IS_ANY = `
  SELECT 1 FROM counters WHERE sorted_to < (SELECT max(sequence) FROM events)`;

const UNSORTED = `
  SELECT sequence, kind, command_id, snapshot_of, size_bytes, bytes_to FROM events
  WHERE sequence > (SELECT sorted_to FROM counters) ORDER BY sequence LIMIT ?`;

/**
 * Of a command. The plus sign keeps SQLite from walking through all that is pending, from the least
 * urgent on, until it meets one of the command's.
 */
const LEAST_URGENT = `
  SELECT min(+urgency) AS urgency FROM events
  WHERE command_id = ? AND is_sorted = 1 AND +state = 'pending'`;

/** A later event was appended with the same key. */
const SUPERSEDE = `
  UPDATE events SET superseded = 1 WHERE snapshot_of = ? AND superseded = 0 AND is_sorted = 1`;

const SORT = "UPDATE events SET is_sorted = 1, urgency = ? WHERE sequence = ?";

/** They are counted now. */
const FINISH = `
  UPDATE counters SET pending = pending + ?, appended = appended + ?, size_bytes = size_bytes + ?,
    sorted_to = ?, bytes_to = ?`;

/** To a transaction: a few milliseconds, and little memory. */
const PAGE = 1_000;

/** A transaction for each page, if there is anything to do. Throws `DatabaseError`. */
export function sortIn(database: Database): void {
  while (sortPage(database)) { /* until all of it is sorted in */ }
}

/** Whether there may be more. */
function sortPage(database: Database): boolean {
  if (database.all(IS_ANY).length === 0) return false;
  return database.transaction(() => {
    const rows = database.all(UNSORTED, PAGE);
    const last = rows.at(-1);
    if (last === undefined) return false; // Another process was quicker.
    /** By command; `null`: nothing of it waits. */
    const least = new Map<string, number | null>();
    for (const row of rows) sortRow(database, row, least);
    const sizeBytes = rows.reduce((sum, row) => sum + Number(row["size_bytes"]), 0);
    database.run(
      FINISH,
      rows.length,
      rows.length,
      sizeBytes,
      last["sequence"]!,
      last["bytes_to"]!,
    );
    return rows.length === PAGE;
  });
}

function sortRow(database: Database, row: Row, least: Map<string, number | null>): void {
  const { sequence, kind, command_id: commandId, snapshot_of: snapshotOf } = row;
  let earlier: number | null = null;
  if (typeof commandId === "string") {
    const known = least.get(commandId);
    earlier = known === undefined ? leastUrgent(database, commandId) : known;
  }
  const urgency = urgencyBehind(kind as EventKind, earlier);
  if (typeof commandId === "string") least.set(commandId, urgency);
  if (typeof snapshotOf === "string") database.run(SUPERSEDE, snapshotOf);
  database.run(SORT, urgency, sequence!);
}

function leastUrgent(database: Database, commandId: string): number | null {
  const urgency = database.all(LEAST_URGENT, commandId)[0]?.["urgency"] ?? null;
  return urgency === null ? null : Number(urgency);
}

/** In the order of sending, by a look at all there is: for a disk that lets nothing be sorted in. */
const NEXT_UNSORTED = `
  SELECT events.* FROM (
    SELECT sequence, coalesce(place, sequence) AS place, min(urgency) OVER (
      PARTITION BY coalesce(command_id, sequence) ORDER BY sequence
    ) AS urgency
    FROM events WHERE state = 'pending'
  ) AS waiting JOIN events ON events.sequence = waiting.sequence
  ORDER BY waiting.urgency DESC, waiting.place, waiting.sequence LIMIT ?`;

/** What is to be sent first, sorted in or not; changes nothing. */
export function nextUnsorted(database: Database, limit: number): Row[] {
  return database.all(NEXT_UNSORTED, limit);
}
