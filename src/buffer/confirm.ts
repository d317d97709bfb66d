/**
 * Asks the server for the results whose answer was lost, so that they are not sent twice. Servers
 * after v0.1.18 answer; older ones never do, and the log is sent again as if nobody had asked.
 *
 * What an acknowledgement means there (RedFlag, `VerifyResultsRecorded` in
 * server/internal/database/queries/commands.go, called by `GetCommands` in handlers/agents.go): the
 * command's row has any result, whatever its status and whoever wrote it. The agent's log writes one,
 * but so does the server itself: when it times a command out (`timeoutCommand` in
 * services/timeout.go, 2 h after it was handed over) and when a person cancels it. So it is believed
 * only of a log that was sent, and only for as long as the server cannot have timed the command out.
 */

import type { Database } from "../system/database.ts";
import { addToCounters } from "./counters.ts";
import { noteReported } from "./reported.ts";
import { sortIn } from "./sort_in.ts";

/** After so long the server writes a result of its own; 5 min less, for clocks and sick disks. */
export const ASKED_FOR_MS = 2 * 3_600_000 - 5 * 60_000;

/** Commands asked for in one check-in, oldest first; there are as a rule none, or one. */
export const MOST_ASKED = 50;

const MARK = `
  UPDATE events SET unanswered = 1
  WHERE id = ? AND is_sorted = 1 AND kind = 'log' AND command_id IS NOT NULL AND unanswered = 0`;

const ANY = "SELECT 1 FROM events WHERE unanswered = 1 LIMIT 1";

/**
 * What may be asked for; an instant in the future is that of a clock that was set back since. `CROSS`
 * has SQLite look at the few unanswered events first, and not walk through all commands.
 */
const ASKED = `
  FROM events CROSS JOIN commands ON commands.id = events.command_id
  WHERE events.unanswered = 1 AND events.state = 'pending' AND commands.state = 'finished'
    AND commands.received_ms BETWEEN ? AND ?`;

/** A command's log was sent, and no answer came. Anything else is passed over. */
export function markUnanswered(database: Database, id: string): void {
  database.run(MARK, id);
}

/** Ids of the commands to ask for. */
export function findUnconfirmed(database: Database, nowMs: number): string[] {
  // As a rule there is none, and each check-in asks.
  if (database.all(ANY).length === 0) return [];
  const rows = database.all(
    `SELECT DISTINCT commands.id, commands.number ${ASKED} ORDER BY commands.number LIMIT ?`,
    nowMs - ASKED_FOR_MS,
    nowMs,
    MOST_ASKED,
  );
  return rows.map((row) => String(row["id"]));
}

/** The server has the results of these commands. One transaction; answers how many logs that were. */
export function confirmResults(
  database: Database,
  commandIds: readonly string[],
  nowMs: number,
): number {
  if (commandIds.length === 0) return 0;
  return database.transaction(() => {
    sortIn(database);
    return commandIds.reduce((sum, id) => sum + confirmResult(database, id, nowMs), 0);
  });
}

function confirmResult(database: Database, commandId: string, nowMs: number): number {
  const logs = database.all(
    `SELECT events.sequence, events.size_bytes ${ASKED} AND commands.id = ?`,
    nowMs - ASKED_FOR_MS,
    nowMs,
    commandId,
  );
  for (const { sequence, size_bytes } of logs) {
    database.run("DELETE FROM events WHERE sequence = ?", sequence!);
    addToCounters(database, { pending: -1, delivered: 1, size_bytes: -Number(size_bytes) });
  }
  if (logs.length > 0) noteReported(database, [commandId]);
  return logs.length;
}
