/**
 * Writes new events down, a row each: no index and no counter, so that an append costs little more
 * than its sync. Whoever looks for an event sorts it in first (`sort_in.ts`).
 */

import type { Database, SqlValue } from "../system/database.ts";
import type { BufferLimits, NewEvent } from "./buffer.ts";
import { IMPORTANCE, URGENCY } from "./rules.ts";

/** A new event, measured. */
export interface NewRow {
  readonly id: string;
  readonly createdMs: number;
  readonly sizeBytes: number;
  readonly event: NewEvent;
}

/** What there may be in all. */
export type Room = Pick<BufferLimits, "maxEvents" | "maxBytes">;

/** For what has found its room already. */
export const ANY_ROOM: Room = {
  maxEvents: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
};

const COLUMNS = [
  "sequence",
  "id",
  "kind",
  "command_id",
  "snapshot_of",
  "urgency",
  "importance",
  "created_ms",
  "size_bytes",
  "bytes_to",
  "body",
];

/** To a statement; with 16 a row costs less than half of what it costs alone, with more no less. */
const TOGETHER = 16;

const ADD_ONE = addSql(1);
const ADD_MANY = addSql(TOGETHER);

/** The same for a single event, room and all: without a transaction around it, it is one. */
const ADD_IF_ROOM = `
  INSERT INTO events (${COLUMNS.join(", ")})
  SELECT last_sequence + 1, ?, ?, ?, ?, ?, ?, ?, ?, bytes_to + ?, ? FROM totals
  WHERE pending + set_aside + 1 <= ? AND size_bytes + ? <= ?`;

const LOOK = `
  SELECT pending + set_aside AS events, size_bytes, last_sequence, bytes_to FROM totals`;

/** One transaction, or part of one; `false`, and nothing done, if it does not fit. */
export function writeOneDown(database: Database, row: NewRow, room: Room): boolean {
  const { id, createdMs, sizeBytes, event: { kind, commandId, snapshotOf, body } } = row;
  const added = database.run(
    ADD_IF_ROOM,
    id,
    kind,
    commandId,
    snapshotOf,
    URGENCY[kind],
    IMPORTANCE[kind],
    createdMs,
    sizeBytes,
    sizeBytes,
    body,
    room.maxEvents,
    sizeBytes,
    room.maxBytes,
  );
  return added === 1;
}

/** Part of the transaction it is called in; `false`, and nothing done, if they do not all fit. */
export function writeDown(database: Database, rows: readonly NewRow[], room: Room): boolean {
  const [found = {}] = database.all(LOOK);
  const sizeBytes = rows.reduce((sum, row) => sum + row.sizeBytes, 0);
  const isRoom = Number(found["events"]) + rows.length <= room.maxEvents &&
    Number(found["size_bytes"]) + sizeBytes <= room.maxBytes;
  if (!isRoom) return false;
  const place = {
    sequence: Number(found["last_sequence"]),
    bytesTo: Number(found["bytes_to"]),
  };
  for (let at = 0; at < rows.length;) {
    const isMany = rows.length - at >= TOGETHER;
    const end = isMany ? at + TOGETHER : at + 1;
    const values: SqlValue[] = [];
    for (; at < end; at++) pushValues(values, place, rows[at]!);
    database.run(isMany ? ADD_MANY : ADD_ONE, ...values);
  }
  return true;
}

/** `place` is the last event's, and then this one's. */
function pushValues(
  values: SqlValue[],
  place: { sequence: number; bytesTo: number },
  row: NewRow,
): void {
  const { kind, commandId, snapshotOf, body } = row.event;
  place.sequence += 1;
  place.bytesTo += row.sizeBytes;
  values.push(
    place.sequence,
    row.id,
    kind,
    commandId,
    snapshotOf,
    URGENCY[kind],
    IMPORTANCE[kind],
    row.createdMs,
    row.sizeBytes,
    place.bytesTo,
    body,
  );
}

/** `OR FAIL`: SQLite keeps no way back to before the statement; the whole transaction has one. */
function addSql(rows: number): string {
  const row = `(${COLUMNS.map(() => "?").join(", ")})`;
  const values = Array.from({ length: rows }, () => row).join(", ");
  return `INSERT OR FAIL INTO events (${COLUMNS.join(", ")}) VALUES ${values}`;
}
