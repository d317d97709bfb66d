/**
 * Reads rows of the table `events`, and measures new events. A row with a corrupt value is an error
 * with the reason `corrupt`, for which the store supervisor opens the file anew: `hasCorruptRow` finds
 * the same rows then, and the file is salvaged.
 */

import { Buffer } from "node:buffer";
import { type Database, DatabaseError, type Row } from "../system/database.ts";
import { EVENT_KINDS, type EventKind, type NewEvent, type StoredEvent } from "./buffer.ts";

/** A new event with its id and size. */
export interface MeasuredEvent {
  readonly id: string;
  readonly createdMs: number;
  readonly sizeBytes: number;
  readonly event: NewEvent;
}

/** What an event takes besides its body: columns and indexes, rounded up. */
export const OVERHEAD_BYTES = 256;

/** What an event with this body takes. */
export function sizeOf(body: string): number {
  return Buffer.byteLength(body) + OVERHEAD_BYTES;
}

/** No agent counts so far, in events or in bytes, and sums of such counts are exact in JavaScript. */
export const LAST_COUNT = 2 ** 48;

const TEXTS = ["id", "body"];
const TEXTS_OR_NULL = ["command_id", "snapshot_of", "last_error"];
const COUNTS = ["attempts", "size_bytes"];

/** SQL: whether `toEvent` can read a row. */
const IS_WHOLE = [
  `kind IN (${EVENT_KINDS.map((kind) => `'${kind}'`).join(", ")})`,
  "state IN ('pending', 'dead_lettered')",
  ...TEXTS.map((name) => `typeof(${name}) = 'text'`),
  ...TEXTS_OR_NULL.map((name) => `typeof(${name}) IN ('text', 'null')`),
  ...COUNTS.map((name) => `typeof(${name}) = 'integer' AND ${name} BETWEEN 0 AND ${LAST_COUNT}`),
  `typeof(created_ms) IN ('integer', 'real') AND created_ms BETWEEN 0 AND ${LAST_COUNT}`,
  `typeof(place) IN ('integer', 'null') AND coalesce(place, 0) BETWEEN 0 AND ${LAST_COUNT}`,
].join(" AND ");

/** Whether there is a row that `toEvent` cannot read, found by a walk through all of them. */
export function hasCorruptRow(database: Database): boolean {
  const sql = `SELECT 1 FROM events WHERE (${IS_WHOLE}) IS NOT TRUE LIMIT 1`;
  return database.all(sql).length > 0;
}

/** Reads a whole row. Throws `DatabaseError` if a value is corrupt. */
export function toEvent(row: Row): StoredEvent {
  const sequence = readCount(row, "sequence");
  return {
    id: readText(row, "id"),
    sequence,
    place: row["place"] === null ? sequence : readCount(row, "place"),
    kind: readKind(row),
    commandId: readTextOrNull(row, "command_id"),
    snapshotOf: readTextOrNull(row, "snapshot_of"),
    body: readText(row, "body"),
    sizeBytes: readCount(row, "size_bytes"),
    createdMs: readInstant(row, "created_ms"),
    attempts: readCount(row, "attempts"),
    state: readState(row),
    lastError: readTextOrNull(row, "last_error"),
    isSuperseded: row["superseded"] !== 0,
  };
}

// Each reads one column of a row; throws `DatabaseError` if the value is corrupt.

export function readKind(row: Row): EventKind {
  const kind = row["kind"];
  return isKind(kind) ? kind : corrupt(row, "kind");
}

export function isKind(value: unknown): value is EventKind {
  return EVENT_KINDS.some((kind) => kind === value);
}

export function readState(row: Row): StoredEvent["state"] {
  const state = row["state"];
  return state === "pending" || state === "dead_lettered" ? state : corrupt(row, "state");
}

export function readCount(row: Row, name: string): number {
  const value = row[name];
  return typeof value === "number" && Number.isSafeInteger(value) ? value : corrupt(row, name);
}

/** An instant may be a fraction. */
export function readInstant(row: Row, name: string): number {
  const value = row[name];
  return typeof value === "number" && Number.isFinite(value) ? value : corrupt(row, name);
}

function readText(row: Row, name: string): string {
  const value = row[name];
  return typeof value === "string" ? value : corrupt(row, name);
}

export function readTextOrNull(row: Row, name: string): string | null {
  return row[name] === null ? null : readText(row, name);
}

function corrupt(row: Row, name: string): never {
  const which = row["sequence"] === undefined ? "a row" : `event ${row["sequence"]}`;
  throw new DatabaseError(`Cannot read ${which} of the buffer: its ${name} is corrupt`, {
    reason: "corrupt",
  });
}
