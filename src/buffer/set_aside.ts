/** What a person does about events that were set aside: another chance for them, or their end. */

import type { Database } from "../system/database.ts";
import { addToCounters } from "./counters.ts";

const REQUEUE = "UPDATE events SET state = 'pending', attempts = 0 WHERE state = 'set_aside'";

/** They wait again, at their old place in the order. One transaction; answers how many they were. */
export function requeueSetAside(database: Database, ids: readonly string[] | "all"): number {
  return database.transaction(() => {
    const count = ids === "all" ? database.run(REQUEUE) : ids.reduce(
      (sum, id) => sum + database.run(`${REQUEUE} AND id = ? AND is_sorted = 1`, id),
      0,
    );
    if (count > 0) addToCounters(database, { pending: count, set_aside: -count });
    return count;
  });
}

/** Deletes one and counts it as purged. One transaction; `false` if it was not set aside. */
export function purgeSetAside(database: Database, id: string): boolean {
  return database.transaction(() => {
    const [row] = database.all(
      "DELETE FROM events WHERE id = ? AND is_sorted = 1 AND state = 'set_aside' RETURNING size_bytes",
      id,
    );
    if (row === undefined) return false;
    addToCounters(database, {
      set_aside: -1,
      size_bytes: -Number(row["size_bytes"]),
      purged: 1,
    });
    return true;
  });
}
