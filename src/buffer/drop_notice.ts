/**
 * The event that tells what a full buffer has dropped: one, with all counts since the first drop, in
 * place of an earlier one. Pure.
 *
 * It is a log that belongs to no command. RedFlag takes and shows that: `ReportLog`
 * (aggregator-server/internal/api/handlers/updates.go, and server/internal/… later) requires `action`
 * and `result` alone, stores the row under the agent whatever the `command_id` says, and looks for a
 * command only where there is one. The history that the dashboard shows (`GetAllUnifiedHistory`)
 * lists such rows, and later servers make a `failed` one an event of severity "error" too, with
 * `stderr` as its reason.
 */

import type { EventKind, NewEvent } from "./buffer.ts";

/** Its key: there is at most one in the buffer. */
export const NOTICE_KEY = "dropped_events";

/** The most that it takes, with all that an event takes besides its body. */
export const NOTICE_BYTES = 1_024;

/** Above every kind's, so that it is replaced and never dropped. */
export const NOTICE_IMPORTANCE = 4;

/** A counter that a sick disk has changed may be past what a date can be, or no number at all. */
const LAST_INSTANT_MS = 8.64e15;

/** Tells these counts. */
export function dropNotice(
  dropped: Readonly<Record<EventKind, number>>,
  sinceMs: number,
): NewEvent {
  const instantMs = Number.isNaN(sinceMs) ? 0 : Math.min(Math.max(0, sinceMs), LAST_INSTANT_MS);
  const since = new Date(instantMs).toISOString();
  const counts = Object.entries(dropped).filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const body = {
    command_id: "",
    action: "events_dropped",
    result: "failed",
    stdout: JSON.stringify({ since, dropped }),
    stderr: `Events dropped because the agent's buffer was full: ${counts.join(", ")}, ` +
      `since ${since}`,
    exit_code: 1,
    duration_seconds: 0,
  };
  return {
    kind: "log",
    commandId: null,
    snapshotOf: NOTICE_KEY,
    body: JSON.stringify(body),
  };
}
