/** Makes room in a full buffer: what goes for a new event, or that it is the event itself. */

import type { Database } from "../system/database.ts";
import type { BufferLimits, EventKind } from "./buffer.ts";
import { addToCounters, readLoad } from "./counters.ts";
import { type Droppable, IMPORTANCE, planRoom } from "./rules.ts";
import { withoutNotice } from "./tell_dropped.ts";
import { ANY_ROOM, type NewRow, writeDown } from "./write_down.ts";

/** A later event was appended with the same key. */
const SUPERSEDE = `
  UPDATE events SET superseded = 1 WHERE snapshot_of = ? AND superseded = 0 AND is_sorted = 1
  RETURNING sequence`;

/** The later event was not kept after all. */
const REINSTATE = "UPDATE events SET superseded = 0 WHERE sequence = ?";

/** What may go, in the order of `events_to_drop`. What was set aside waits for a person, and stays. */
const SUPERSEDED = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE is_sorted = 1 AND state = 'pending' AND superseded = 1
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;
const UNIMPORTANT = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE is_sorted = 1 AND state = 'pending' AND superseded = 0 AND importance <= ?
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;

/** Read at a time; one is enough, as a rule. */
const PAGE = 16;

/**
 * Adds one event within `limits`, part of the transaction it is called in, in which all before it is
 * sorted in. Answers the kinds of those that it cost, its own if it found no room.
 */
export function exchange(database: Database, row: NewRow, limits: BufferLimits): EventKind[] {
  const { kind } = row.event;
  const victims = planVictims(database, row, limits);
  if (victims === null) {
    addToCounters(database, { appended: 1, [`dropped_${kind}`]: 1 });
    return [kind];
  }
  for (const victim of victims) drop(database, victim);
  writeDown(database, [row], ANY_ROOM);
  return victims.map((victim) => victim.kind);
}

/** What goes for a new event, `null` if it is the event itself; marks what the event supersedes. */
function planVictims(
  database: Database,
  { event, sizeBytes }: NewRow,
  limits: BufferLimits,
): Droppable[] | null {
  const superseded = event.snapshotOf === null ? [] : database.all(SUPERSEDE, event.snapshotOf);
  const load = withoutNotice(database, readLoad(database));
  const victims = planRoom(droppable(database, event.kind), { load, limits }, sizeBytes);
  if (victims !== null) return victims;
  for (const row of superseded) database.run(REINSTATE, Number(row["sequence"]));
  return null;
}

function* droppable(database: Database, kind: EventKind): Generator<Droppable> {
  yield* pages(database, SUPERSEDED);
  yield* pages(database, UNIMPORTANT, IMPORTANCE[kind]);
}

function* pages(database: Database, sql: string, ...values: number[]): Generator<Droppable> {
  for (let offset = 0;; offset += PAGE) {
    const rows = database.all(sql, ...values, PAGE, offset);
    for (const row of rows) {
      yield {
        sequence: Number(row["sequence"]),
        kind: row["kind"] as EventKind,
        sizeBytes: Number(row["size_bytes"]),
      };
    }
    if (rows.length < PAGE) return;
  }
}

function drop(database: Database, { sequence, kind, sizeBytes }: Droppable): void {
  database.run("DELETE FROM events WHERE sequence = ?", sequence);
  addToCounters(database, { pending: -1, size_bytes: -sizeBytes, [`dropped_${kind}`]: 1 });
}
