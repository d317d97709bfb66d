/** A command whose report is told: nothing of it waits for the server any more. */

import type { Database, SqlValue } from "../system/database.ts";

const REPORTED = `
  UPDATE commands SET state = 'reported'
  WHERE id = ? AND state = 'finished'
    AND NOT EXISTS (
      SELECT 1 FROM events WHERE command_id = commands.id AND is_sorted = 1 AND state = 'pending')`;

/**
 * An event of this command (`null`: of none) waits no longer: if it was the last, the command is
 * reported. Part of the transaction it is called in, in which all has been sorted in.
 */
export function noteReported(database: Database, commandId: SqlValue | undefined): void {
  if (typeof commandId === "string") database.run(REPORTED, commandId);
}
