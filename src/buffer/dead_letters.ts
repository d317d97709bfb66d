/**
 * What becomes of an event that the server refuses: it waits for another attempt, is bisected, or
 * becomes a dead letter, which a person requeues or purges.
 */

import type { Database } from "../system/database.ts";
import type { StoredEvent } from "./buffer.ts";
import { addToCounters, allocateSequence } from "./counters.ts";
import { readCount, readState, readTextOrNull } from "./event_row.ts";
import { markReported } from "./journal.ts";

const FIND = `
  SELECT sequence, attempts, state, command_id FROM events WHERE id = ? AND is_indexed = 1`;

/**
 * Counts a refusal; at `maxAttempts` (10 attempts by default) the event becomes a dead letter. Part of the transaction it is
 * called in. Returns `dead_lettered` too for an event that is no longer there.
 */
export function refuseEvent(
  database: Database,
  { id, error }: { id: string; error: string },
  maxAttempts: number,
): StoredEvent["state"] {
  const [row] = database.all(FIND, id);
  if (row === undefined || readState(row) === "dead_lettered") return "dead_lettered";
  const attempts = readCount(row, "attempts") + 1;
  const state = attempts >= maxAttempts ? "dead_lettered" : "pending";
  database.run(
    "UPDATE events SET attempts = ?, state = ?, last_error = ? WHERE sequence = ?",
    attempts,
    state,
    error,
    readCount(row, "sequence"),
  );
  if (state === "dead_lettered") {
    addToCounters(database, { pending: -1, dead_lettered: 1 });
    markReported(database, [readTextOrNull(row, "command_id")]);
  }
  return state;
}

/** The halves of an event. */
interface Halves {
  readonly halves: readonly {
    readonly id: string;
    readonly body: string;
    readonly sizeBytes: number;
  }[];
  /** For people: why the server did not take the whole. */
  readonly error: string;
  /** Each half has so many more attempts than the whole had, and `most` at most. */
  readonly attempts: { readonly more: number; readonly most: number };
}

/** The columns not named come from the whole. */
const ADD_HALF = `
  INSERT INTO events (sequence, id, kind, command_id, snapshot_of, superseded, urgency, importance,
    created_ms, place, size_bytes, attempts, last_error, is_indexed, body)
  SELECT ?, ?, kind, command_id, snapshot_of, superseded, urgency, importance, created_ms,
    coalesce(place, sequence), ?, max(attempts, min(attempts + ?, ?)), ?, 1, ?
  FROM events WHERE sequence = ?`;

const FIND_PENDING = `
  SELECT sequence, size_bytes FROM events WHERE id = ? AND is_indexed = 1 AND state = 'pending'`;

/**
 * Puts the halves in an event's place; part of the transaction it is called in. Returns their ids,
 * none if the event is not pending.
 */
export function bisectEvent(
  database: Database,
  id: string,
  { halves, error, attempts: { more, most } }: Halves,
): readonly string[] {
  const [whole] = database.all(FIND_PENDING, id);
  if (whole === undefined) return [];
  const sequence = readCount(whole, "sequence");
  for (const { id, sizeBytes, body } of halves) {
    const own = allocateSequence(database);
    database.run(ADD_HALF, own, id, sizeBytes, more, most, error, body, sequence);
  }
  database.run("DELETE FROM events WHERE sequence = ?", sequence);
  addToCounters(database, {
    appended: halves.length - 1,
    pending: halves.length - 1,
    size_bytes: halves.reduce(
      (sum, half) => sum + half.sizeBytes,
      -readCount(whole, "size_bytes"),
    ),
  });
  return halves.map(({ id }) => id);
}

const REQUEUE = "UPDATE events SET state = 'pending', attempts = 0 WHERE state = 'dead_lettered'";

/**
 * Has dead letters wait again, at their old place in the dequeue order. One transaction; returns how
 * many they were.
 */
export function requeueDeadLetters(database: Database, ids: readonly string[] | "all"): number {
  return database.transaction(() => {
    const count = ids === "all" ? database.run(REQUEUE) : ids.reduce(
      (sum, id) => sum + database.run(`${REQUEUE} AND id = ? AND is_indexed = 1`, id),
      0,
    );
    if (count > 0) addToCounters(database, { pending: count, dead_lettered: -count });
    return count;
  });
}

const PURGE = `
  DELETE FROM events WHERE id = ? AND is_indexed = 1 AND state = 'dead_lettered'
  RETURNING size_bytes`;

/** Deletes a dead letter and counts it as purged. One transaction; `false` if it was none. */
export function purgeDeadLetter(database: Database, id: string): boolean {
  return database.transaction(() => {
    const [row] = database.all(PURGE, id);
    if (row === undefined) return false;
    addToCounters(database, {
      dead_lettered: -1,
      size_bytes: -readCount(row, "size_bytes"),
      purged: 1,
    });
    return true;
  });
}
