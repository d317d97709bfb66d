/** Counts the server's refusal of an event, and sets it aside at the last, in the database. */

import type { Database } from "../system/database.ts";
import type { StoredEvent } from "./buffer.ts";
import { addToCounters } from "./counters.ts";
import { noteReported } from "./reported.ts";

const FIND = `
  SELECT sequence, attempts, state, command_id FROM events WHERE id = ? AND is_sorted = 1`;

/** One transaction; an event that is not there any more answers `set_aside`. */
export function refuseEvent(
  database: Database,
  { id, error }: { id: string; error: string },
  maxAttempts: number,
): StoredEvent["state"] {
  return database.transaction(() => {
    const [row] = database.all(FIND, id);
    if (row === undefined || row["state"] === "set_aside") return "set_aside";
    const attempts = Number(row["attempts"]) + 1;
    const state = attempts >= maxAttempts ? "set_aside" : "pending";
    database.run(
      "UPDATE events SET attempts = ?, state = ?, last_error = ? WHERE sequence = ?",
      attempts,
      state,
      error,
      row["sequence"]!,
    );
    if (state === "set_aside") {
      addToCounters(database, { pending: -1, set_aside: 1 });
      noteReported(database, [row["command_id"]]);
    }
    return state;
  });
}
