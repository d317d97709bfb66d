/** How many commands the journal knows, for `status`. */

import type { Database } from "../system/database.ts";
import type { CommandState } from "./journal.ts";

/** The journal's figures. */
export interface CommandCounts extends Readonly<Record<CommandState, number>> {
  /** All that would be recognised if the server handed them over again. */
  readonly remembered: number;
  /** Of those, the ones still to be run or ended. */
  readonly unfinished: number;
}

/** Counts them by state; throws `DatabaseError`. */
export function countByState(database: Database): Record<CommandState, number> {
  const counts = { received: 0, started: 0, finished: 0, reported: 0 };
  const rows = database.all("SELECT state, count(*) AS count FROM commands GROUP BY state");
  for (const row of rows) counts[row["state"] as CommandState] = Number(row["count"]);
  return counts;
}

/** Counts them; throws `DatabaseError`. */
export function countCommands(database: Database): CommandCounts {
  const counts = countByState(database);
  const unfinished = counts.received + counts.started;
  return { ...counts, remembered: unfinished + counts.finished + counts.reported, unfinished };
}
