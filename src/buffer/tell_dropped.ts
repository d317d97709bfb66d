/** Keeps the notice of what was dropped, in the database, in place of the one that is there. */

import type { Database } from "../system/database.ts";
import type { StoredEvent } from "./buffer.ts";
import { addToCounters, readCounts, takeSequence } from "./counters.ts";
import { dropNotice, NOTICE_IMPORTANCE, NOTICE_KEY } from "./drop_notice.ts";
import { type Load, URGENCY } from "./rules.ts";

const FIRST_DROP = "UPDATE counters SET first_drop_ms = coalesce(first_drop_ms, ?)";

const FIND = `
  SELECT size_bytes FROM events WHERE snapshot_of = ? AND superseded = 0 AND is_sorted = 1`;

const TAKE_BACK = `
  DELETE FROM events WHERE snapshot_of = ? AND superseded = 0 AND is_sorted = 1
  RETURNING state, size_bytes`;

const ADD = `
  INSERT INTO events (sequence, id, kind, snapshot_of, urgency, importance, created_ms, size_bytes,
    is_sorted, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`;

/** A load without the notice, which has a place of its own. */
export function withoutNotice(database: Database, { events, sizeBytes }: Load): Load {
  const [row] = database.all(FIND, NOTICE_KEY);
  if (row === undefined) return { events, sizeBytes };
  return { events: events - 1, sizeBytes: sizeBytes - Number(row["size_bytes"]) };
}

/**
 * Part of the transaction that drops. The new notice has an id of its own: the answer to one that is
 * just being sent must not take the new counts away. It takes the old one's place in the counters
 * too, so that telling of drops is no event more.
 */
export function tellDropped(
  database: Database,
  { id, createdMs }: { id: string; createdMs: number },
  sizeOf: (body: string) => number,
): void {
  database.run(FIRST_DROP, createdMs);
  const { dropped, firstDropMs } = readCounts(database);
  const { kind, body } = dropNotice(dropped, firstDropMs ?? createdMs);
  const sizeBytes = sizeOf(body);
  const old = database.all(TAKE_BACK, NOTICE_KEY);
  for (const row of old) {
    addToCounters(database, {
      [row["state"] as StoredEvent["state"]]: -1,
      size_bytes: -Number(row["size_bytes"]),
    });
  }
  database.run(
    ADD,
    takeSequence(database),
    id,
    kind,
    NOTICE_KEY,
    URGENCY[kind],
    NOTICE_IMPORTANCE,
    createdMs,
    sizeBytes,
    body,
  );
  addToCounters(database, { pending: 1, appended: 1 - old.length, size_bytes: sizeBytes });
}
