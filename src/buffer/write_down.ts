/**
 * Writes new events down: a row and one line of counters each, and no index, so that an append costs
 * little more than its sync. Whoever looks for an event sorts it in first (`sort_in.ts`).
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
  "body",
];

/** To a statement; with 16 a row costs less than half of what it costs alone, with more no less. */
const TOGETHER = 16;

const ADD_ONE = addSql(1);
const ADD_MANY = addSql(TOGETHER);

/** Room, numbers and counts in one: it answers nothing, and does nothing, if there is no room. */
const CLAIM = `
  UPDATE counters SET pending = pending + ?, appended = appended + ?,
    last_sequence = last_sequence + ?, size_bytes = size_bytes + ?
  WHERE pending + set_aside + ? <= ? AND size_bytes + ? <= ?
  RETURNING last_sequence`;

/** Part of the transaction it is called in; `false`, and nothing done, if they do not all fit. */
export function writeDown(database: Database, rows: readonly NewRow[], room: Room): boolean {
  const last = claim(database, rows, room);
  if (last === null) return false;
  const first = last - rows.length + 1;
  for (let at = 0; at < rows.length;) {
    const isMany = rows.length - at >= TOGETHER;
    const end = isMany ? at + TOGETHER : at + 1;
    const values: SqlValue[] = [];
    for (; at < end; at++) pushValues(values, first + at, rows[at]!);
    database.run(isMany ? ADD_MANY : ADD_ONE, ...values);
  }
  return true;
}

/** The last of their numbers; `null`: there is no room. */
function claim(database: Database, rows: readonly NewRow[], room: Room): number | null {
  const count = rows.length;
  const sizeBytes = rows.reduce((sum, row) => sum + row.sizeBytes, 0);
  const { maxEvents, maxBytes } = room;
  const [claimed] = database.all(
    CLAIM,
    ...[count, count, count, sizeBytes],
    ...[count, maxEvents, sizeBytes, maxBytes],
  );
  return claimed === undefined ? null : Number(claimed["last_sequence"]);
}

function pushValues(values: SqlValue[], sequence: number, row: NewRow): void {
  const { kind, commandId, snapshotOf, body } = row.event;
  values.push(
    sequence,
    row.id,
    kind,
    commandId,
    snapshotOf,
    URGENCY[kind],
    IMPORTANCE[kind],
    row.createdMs,
    row.sizeBytes,
    body,
  );
}

/** `OR FAIL`: SQLite keeps no way back to before the statement; the whole transaction has one. */
function addSql(rows: number): string {
  const row = `(${COLUMNS.map(() => "?").join(", ")})`;
  const values = Array.from({ length: rows }, () => row).join(", ");
  return `INSERT OR FAIL INTO events (${COLUMNS.join(", ")}) VALUES ${values}`;
}
