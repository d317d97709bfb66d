/** How many commands the journal knows, for `status`. */

import type { Database } from "../system/database.ts";

/** The journal's figures. */
export interface CommandCounts {
  /** All that would be recognised if the server handed them over again. */
  readonly remembered: number;
  /** Of those, the ones still to be run or reported. */
  readonly unfinished: number;
}

const COUNT = `
  SELECT count(*) AS remembered, coalesce(sum(state <> 'finished'), 0) AS unfinished FROM commands`;

/** Counts them; throws `DatabaseError`. */
export function countCommands(database: Database): CommandCounts {
  const [row] = database.all(COUNT);
  return {
    remembered: Number(row?.["remembered"] ?? 0),
    unfinished: Number(row?.["unfinished"] ?? 0),
  };
}
