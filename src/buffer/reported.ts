/** Commands whose reports are told: nothing of them waits for the server any more. */

import type { Database, SqlValue } from "../system/database.ts";

const REPORTED = `
  UPDATE commands SET state = 'reported'
  WHERE id IN (SELECT value FROM json_each(?)) AND state = 'finished'
    AND NOT EXISTS (
      SELECT 1 FROM events WHERE command_id = commands.id AND is_sorted = 1 AND state = 'pending')`;

/**
 * Events of these commands (`null`: of none) wait no longer: a command of which it was the last is
 * reported. Part of the transaction it is called in, in which all has been sorted in.
 */
export function noteReported(
  database: Database,
  commandIds: readonly (SqlValue | undefined)[],
): void {
  const ids = commandIds.filter((id) => typeof id === "string");
  if (ids.length > 0) database.run(REPORTED, JSON.stringify(ids));
}
