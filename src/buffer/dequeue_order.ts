/**
 * Which events are sent first. New events are appended without an index (`sqlite_buffer.ts`);
 * `indexPending` puts them into the dequeue order: behind what their command has waiting, and in place
 * of the snapshot that they supersede.
 */

import { type Database, DatabaseError } from "../system/database.ts";
import { type CountByKind, type EventKind, PAGE_BYTES, type StoredEvent } from "./buffer.ts";
import { readCount, readKind, toEvent } from "./event_row.ts";

/**
 * How early an event is sent, the higher the earlier. Results of commands come first, because the
 * server times a command out that it hears nothing of; what only the dashboard shows of the agent itself
 * comes last.
 */
export const URGENCY: CountByKind = {
  agent_event: 0,
  circuit_breakers: 0,
  system_info: 1,
  storage_metrics: 2,
  system_metrics: 2,
  updates: 2,
  dependencies: 3,
  log: 3,
};

/**
 * How urgent a new event is, behind the least urgent one that its command still has waiting (`null`:
 * none): it never overtakes that one.
 */
export function urgencyBehind(kind: EventKind, earlier: number | null): number {
  return earlier === null ? URGENCY[kind] : Math.min(URGENCY[kind], earlier);
}

const IS_ANY = `
  SELECT 1 FROM counters WHERE indexed_to < (SELECT max(sequence) FROM events)`;

const UNINDEXED = `
  SELECT sequence, kind, command_id, snapshot_of, size_bytes, bytes_to FROM events
  WHERE sequence > (SELECT indexed_to FROM counters) ORDER BY sequence LIMIT ?`;

/**
 * Of a command. The plus sign keeps SQLite from walking through everything that is pending, from the
 * least urgent on, until it meets one of the command's.
 */
const LEAST_URGENT = `
  SELECT min(+urgency) AS urgency FROM events
  WHERE command_id = ? AND is_indexed = 1 AND +state = 'pending'`;

const SUPERSEDE = `
  UPDATE events SET superseded = 1 WHERE snapshot_of = ? AND superseded = 0 AND is_indexed = 1`;

const INDEX = "UPDATE events SET is_indexed = 1, urgency = ? WHERE sequence = ?";

const COUNT_INDEXED = `
  UPDATE counters SET pending = pending + ?, appended = appended + ?, size_bytes = size_bytes + ?,
    indexed_to = ?, bytes_to = ?`;

/** Events per transaction: a few milliseconds, and little memory. */
const PAGE = 1_000;

/** Indexes and counts new events, one transaction per page, if there are any. Throws `DatabaseError`. */
export function indexPending(database: Database): void {
  while (indexPage(database)) { /* until everything is indexed */ }
}

/** Whether there may be more. */
function indexPage(database: Database): boolean {
  if (database.all(IS_ANY).length === 0) return false;
  return database.transaction(() => {
    const rows = database.all(UNINDEXED, PAGE);
    const last = rows.at(-1);
    if (last === undefined) return false; // Another process was quicker.
    /** By command; `null`: nothing of it waits. */
    const least = new Map<string, number | null>();
    for (const row of rows) {
      const { command_id: commandId, snapshot_of: snapshotOf } = row;
      let earlier: number | null = null;
      if (typeof commandId === "string") {
        const known = least.get(commandId);
        earlier = known === undefined ? leastUrgent(database, commandId) : known;
      }
      const urgency = urgencyBehind(readKind(row), earlier);
      if (typeof commandId === "string") least.set(commandId, urgency);
      if (typeof snapshotOf === "string") database.run(SUPERSEDE, snapshotOf);
      database.run(INDEX, urgency, readCount(row, "sequence"));
    }
    const sizeBytes = rows.reduce((sum, row) => sum + readCount(row, "size_bytes"), 0);
    database.run(
      COUNT_INDEXED,
      rows.length,
      rows.length,
      sizeBytes,
      readCount(last, "sequence"),
      readCount(last, "bytes_to"),
    );
    return rows.length === PAGE;
  });
}

function leastUrgent(database: Database, commandId: string): number | null {
  const urgency = database.all(LEAST_URGENT, commandId)[0]?.["urgency"] ?? null;
  return urgency === null ? null : Number(urgency);
}

/**
 * In the order of `events_to_dequeue`. Sizes are added up before any body is read; the outer order is
 * that of the inner one.
 */
const NEXT = `
  SELECT events.* FROM (
    SELECT sequence, urgency, place, sum(size_bytes) OVER (
      ORDER BY urgency DESC, place, sequence ROWS UNBOUNDED PRECEDING
    ) - size_bytes AS bytes_before
    FROM (
      SELECT sequence, urgency, coalesce(place, sequence) AS place, size_bytes FROM events
      WHERE is_indexed = 1 AND state = 'pending' AND id NOT IN (SELECT value FROM json_each(?))
      ORDER BY urgency DESC, coalesce(place, sequence), sequence LIMIT ?
    )
  ) AS page JOIN events ON events.sequence = page.sequence
  WHERE page.bytes_before < ?
  ORDER BY page.urgency DESC, page.place, page.sequence`;

const NEXT_UNINDEXED = `
  SELECT events.* FROM (
    SELECT sequence, coalesce(place, sequence) AS place, min(urgency) OVER (
      PARTITION BY coalesce(command_id, sequence) ORDER BY sequence
    ) AS urgency
    FROM events WHERE state = 'pending'
  ) AS waiting JOIN events ON events.sequence = waiting.sequence
  ORDER BY waiting.urgency DESC, waiting.place, waiting.sequence LIMIT ?`;

/** Reads what is next, indexed or not, by a walk through all events; for a disk that takes no writes. */
export function readNextUnindexed(database: Database, limit: number): StoredEvent[] {
  return database.all(NEXT_UNINDEXED, limit).map(toEvent);
}

/** Reads the next events to send, as `EventBuffer.next`. */
export function readNext(
  database: Database,
  limit: number,
  passedOver: ReadonlySet<string>,
): StoredEvent[] {
  try {
    indexPending(database);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return readNextUnindexed(database, limit + passedOver.size)
      .filter(({ id }) => !passedOver.has(id)).slice(0, limit);
  }
  const ids = JSON.stringify([...passedOver]);
  return database.all(NEXT, ids, limit, PAGE_BYTES).map(toEvent);
}
