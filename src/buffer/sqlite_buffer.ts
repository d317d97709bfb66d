/**
 * The event buffer on SQLite: every method is one transaction, durable when it returns. An append
 * writes one row per event, no index and no counter, so that it costs little more than its sync;
 * whatever has to find an event indexes it first (`dequeue_order.ts`).
 */

import { v7 as uuidv7 } from "uuid";
import type { Database, SqlValue } from "../system/database.ts";
import type { Clock, Random } from "../system/system.ts";
import type {
  Appended,
  BufferCounts,
  BufferLimits,
  EventBuffer,
  NewEvent,
  StoredEvent,
  Waiting,
} from "./buffer.ts";
import { addToCounters, readCounts, readWaiting } from "./counters.ts";
import { bisectEvent, purgeDeadLetter, refuseEvent, requeueDeadLetters } from "./dead_letters.ts";
import { indexPending, readNext, URGENCY } from "./dequeue_order.ts";
import { type MeasuredEvent, readCount, readState, sizeOf, toEvent } from "./event_row.ts";
import { evictFor, IMPORTANCE, NOTICE_BYTES, recordEvictions } from "./eviction.ts";
import { markReported, markUnanswered } from "./journal.ts";
import { BufferError } from "./schema.ts";

const NONE: ReadonlySet<string> = new Set();

const NOTHING_EVICTED = { system_info: 0, updates: 0, dependencies: 0, log: 0 };

/** What was acknowledged before, or evicted meanwhile, is not there. */
const ACKNOWLEDGE = `
  DELETE FROM events WHERE is_indexed = 1 AND id IN (SELECT value FROM json_each(?))
  RETURNING state, size_bytes, command_id`;

/** The store of events on a database that `schema.ts` has prepared. */
export class SqliteBuffer implements EventBuffer {
  readonly #database: Database;
  readonly #world: { readonly clock: Clock; readonly random: Random };
  readonly #limits: BufferLimits;

  constructor(
    database: Database,
    world: { readonly clock: Clock; readonly random: Random },
    limits: BufferLimits,
  ) {
    this.#database = database;
    this.#world = world;
    this.#limits = limits;
  }

  append(events: readonly NewEvent[]): Appended {
    const rows = events.map((event) => this.#measure(event));
    const ids = rows.map(({ id }) => id);
    const room = this.#roomForEvents();
    const [row] = rows;
    if (row !== undefined && rows.length === 1 && insertOne(this.#database, row, room)) {
      return { ids, evicted: NOTHING_EVICTED };
    }
    return this.#database.transaction(() => {
      const isInserted = insertAll(this.#database, rows, room);
      return { ids, evicted: isInserted ? NOTHING_EVICTED : this.#insertWithEviction(rows) };
    });
  }

  indexPending(): void {
    indexPending(this.#database);
  }

  next(limit: number, passedOver: ReadonlySet<string> = NONE): StoredEvent[] {
    return readNext(this.#database, limit, passedOver);
  }

  acknowledge(ids: readonly string[]): void {
    this.#indexed(() => {
      const rows = this.#database.all(ACKNOWLEDGE, JSON.stringify(ids));
      if (rows.length === 0) return;
      const deadLetters = rows.filter((row) => readState(row) === "dead_lettered").length;
      addToCounters(this.#database, {
        pending: deadLetters - rows.length,
        dead_lettered: -deadLetters,
        size_bytes: -rows.reduce((sum, row) => sum + readCount(row, "size_bytes"), 0),
        delivered: rows.length,
      });
      markReported(this.#database, rows.map((row) => row["command_id"]));
    });
  }

  refuse(id: string, error: string, { isFinal = false } = {}): StoredEvent["state"] {
    const maxAttempts = isFinal ? 1 : this.#limits.maxAttempts;
    return this.#indexed(() => refuseEvent(this.#database, { id, error }, maxAttempts));
  }

  noteUnanswered(id: string): void {
    this.#indexed(() => markUnanswered(this.#database, id));
  }

  bisect(
    id: string,
    bodies: readonly [string, string],
    { error, isCounted }: { error: string; isCounted: boolean },
  ): readonly string[] {
    const halves = bodies.map((body) => ({ id: this.#newId().id, body, sizeBytes: sizeOf(body) }));
    // Never the last attempt: which half is at fault is not known yet.
    const attempts = { more: isCounted ? 1 : 0, most: this.#limits.maxAttempts - 1 };
    return this.#indexed(() => bisectEvent(this.#database, id, { halves, error, attempts }));
  }

  hasPending(snapshotOf: string): boolean {
    const sql = "SELECT 1 FROM events WHERE snapshot_of = ? AND state = 'pending' LIMIT 1";
    return this.#database.all(sql, snapshotOf).length > 0;
  }

  find(idPrefix: string, limit: number): StoredEvent[] {
    // An id holds nothing that is sorted behind "~".
    return this.#database.all(
      "SELECT * FROM events WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
      idPrefix,
      `${idPrefix}~`,
      limit,
    ).map(toEvent);
  }

  /** Events in the order of appending. @default all of them */
  list(options: { state?: StoredEvent["state"]; limit?: number } = {}): StoredEvent[] {
    const limit = options.limit ?? -1; // For SQLite: no limit.
    const rows = options.state === undefined
      ? this.#database.all("SELECT * FROM events ORDER BY sequence LIMIT ?", limit)
      : this.#database.all(
        "SELECT * FROM events WHERE state = ? ORDER BY sequence LIMIT ?",
        options.state,
        limit,
      );
    return rows.map(toEvent);
  }

  /**
   * Has dead letters wait again, as if they had never been refused; only the last error stays.
   * Returns how many; ids of other events are ignored.
   */
  requeue(ids: readonly string[] | "all"): number {
    return requeueDeadLetters(this.#database, ids);
  }

  /** Deletes a dead letter for good; `false`, and nothing done, if it was none. */
  purge(id: string): boolean {
    return purgeDeadLetter(this.#database, id);
  }

  counts(): BufferCounts {
    return readCounts(this.#database);
  }

  countWaiting(): Waiting {
    return readWaiting(this.#database);
  }

  /** For what has to find an event, or all of a command's: one transaction. */
  #indexed<T>(work: () => T): T {
    return this.#database.transaction(() => {
      indexPending(this.#database);
      return work();
    });
  }

  #measure(event: NewEvent): MeasuredEvent {
    const sizeBytes = sizeOf(event.body);
    const { maxBytes } = this.#roomForEvents();
    if (sizeBytes <= maxBytes) return { ...this.#newId(), sizeBytes, event };
    throw new BufferError(
      `Cannot append an event of ${sizeBytes} bytes: the buffer holds ${maxBytes}`,
    );
  }

  /** Inserts events one after the other, each as `evictFor` decides; returns what was evicted. */
  #insertWithEviction(rows: readonly MeasuredEvent[]): Appended["evicted"] {
    const evicted = { ...NOTHING_EVICTED };
    for (const row of rows) {
      indexPending(this.#database);
      const kinds = evictFor(this.#database, row, this.#roomForEvents());
      if (kinds !== null) insertAll(this.#database, [row]);
      for (const kind of kinds ?? [row.event.kind]) evicted[kind] += 1;
    }
    if (Object.values(evicted).some((count) => count > 0)) {
      indexPending(this.#database);
      recordEvictions(this.#database, this.#newId());
    }
    return evicted;
  }

  /** Everything but the reserved room of the eviction notice, which so costs no other event. */
  #roomForEvents(): BufferLimits {
    const { maxEvents, maxBytes } = this.#limits;
    return { ...this.#limits, maxEvents: maxEvents - 1, maxBytes: maxBytes - NOTICE_BYTES };
  }

  #newId(): { id: string; createdMs: number } {
    const { clock, random } = this.#world;
    const createdMs = clock.nowMs();
    const words = new Uint32Array(4);
    for (let at = 0; at < words.length; at++) words[at] = random() * 2 ** 32;
    const id = uuidv7({ msecs: createdMs, random: new Uint8Array(words.buffer) });
    return { id, createdMs };
  }
}

type Room = Pick<BufferLimits, "maxEvents" | "maxBytes">;

/** For what has found its room already. */
const ANY_ROOM: Room = { maxEvents: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };

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

/** Rows per statement: with 16 a row costs less than half of what it costs alone, with more no less. */
const TOGETHER = 16;

const INSERT_ONE = insertSql(1);
const INSERT_MANY = insertSql(TOGETHER);

/** For a single event, room and all: without a transaction around it, it is one. */
const INSERT_IF_ROOM = `
  INSERT INTO events (${COLUMNS.join(", ")})
  SELECT last_sequence + 1, ?, ?, ?, ?, ?, ?, ?, ?, bytes_to + ?, ? FROM totals
  WHERE pending + dead_lettered + 1 <= ? AND size_bytes + ? <= ?`;

const READ_ROOM = `
  SELECT pending + dead_lettered AS events, size_bytes, last_sequence, bytes_to FROM totals`;

/** One transaction, or part of one; `false`, and nothing done, if the event does not fit. */
function insertOne(database: Database, row: MeasuredEvent, room: Room): boolean {
  const { id, createdMs, sizeBytes, event: { kind, commandId, snapshotOf, body } } = row;
  const inserted = database.run(
    INSERT_IF_ROOM,
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
  return inserted === 1;
}

/**
 * Appends events without regard to eviction. Part of the transaction it is called in; `false`, and
 * nothing done, if they do not all fit.
 */
export function insertAll(
  database: Database,
  rows: readonly MeasuredEvent[],
  room: Room = ANY_ROOM,
): boolean {
  const [found = {}] = database.all(READ_ROOM);
  const sizeBytes = rows.reduce((sum, row) => sum + row.sizeBytes, 0);
  const fits = readCount(found, "events") + rows.length <= room.maxEvents &&
    readCount(found, "size_bytes") + sizeBytes <= room.maxBytes;
  if (!fits) return false;
  let sequence = readCount(found, "last_sequence");
  let bytesTo = readCount(found, "bytes_to");
  const values = rows.map((row): SqlValue[] => {
    const { kind, commandId, snapshotOf, body } = row.event;
    sequence += 1;
    bytesTo += row.sizeBytes;
    return [
      sequence,
      row.id,
      kind,
      commandId,
      snapshotOf,
      URGENCY[kind],
      IMPORTANCE[kind],
      row.createdMs,
      row.sizeBytes,
      bytesTo,
      body,
    ];
  });
  const many = values.length - values.length % TOGETHER;
  for (let at = 0; at < many; at += TOGETHER) {
    database.run(INSERT_MANY, ...values.slice(at, at + TOGETHER).flat());
  }
  for (const one of values.slice(many)) database.run(INSERT_ONE, ...one);
  return true;
}

/** `OR FAIL`: SQLite keeps no way back to before the statement; the whole transaction has one. */
function insertSql(rows: number): string {
  const row = `(${COLUMNS.map(() => "?").join(", ")})`;
  const values = Array.from({ length: rows }, () => row).join(", ");
  return `INSERT OR FAIL INTO events (${COLUMNS.join(", ")}) VALUES ${values}`;
}
