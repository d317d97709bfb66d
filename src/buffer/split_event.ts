/** Puts an event's parts in its place, in the database. */

import type { Database } from "../system/database.ts";
import { addToCounters, takeSequence } from "./counters.ts";

/** What takes the place of an event. */
export interface Parts {
  readonly parts: readonly {
    readonly id: string;
    readonly body: string;
    readonly sizeBytes: number;
  }[];
  /** For people: why it was not taken whole. */
  readonly error: string;
  /** Each part has so many more attempts than the whole had, and `most` at most. */
  readonly attempts: { readonly more: number; readonly most: number };
}

/** A part of an event, in its place; the columns not named come from the whole. */
const ADD_PART = `
  INSERT INTO events (sequence, id, kind, command_id, snapshot_of, superseded, urgency, importance,
    created_ms, place, size_bytes, attempts, last_error, is_sorted, body)
  SELECT ?, ?, kind, command_id, snapshot_of, superseded, urgency, importance, created_ms,
    coalesce(place, sequence), ?, max(attempts, min(attempts + ?, ?)), ?, 1, ?
  FROM events WHERE sequence = ?`;

/** One transaction; answers the parts' ids, none if the event is not pending. */
export function splitEvent(
  database: Database,
  id: string,
  { parts, error, attempts }: Parts,
): readonly string[] {
  return database.transaction(() => {
    const [whole] = database.all(
      "SELECT sequence, size_bytes FROM events WHERE id = ? AND is_sorted = 1 AND state = 'pending'",
      id,
    );
    if (whole === undefined) return [];
    const sequence = Number(whole["sequence"]);
    const { more, most } = attempts;
    for (const { id, sizeBytes, body } of parts) {
      const own = takeSequence(database);
      database.run(ADD_PART, own, id, sizeBytes, more, most, error, body, sequence);
    }
    database.run("DELETE FROM events WHERE sequence = ?", sequence);
    addToCounters(database, {
      appended: parts.length - 1,
      pending: parts.length - 1,
      size_bytes: parts.reduce((sum, part) => sum + part.sizeBytes, -Number(whole["size_bytes"])),
    });
    return parts.map(({ id }) => id);
  });
}
