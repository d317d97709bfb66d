/**
 * The event buffer on SQLite: every method is one transaction, durable when it returns. An append
 * writes one row per event, no index and no counter, so that it costs little more than its sync;
 * whatever has to find an event indexes it first (`dequeue_order.ts`). A refused event waits for another
 * attempt, is bisected, or becomes a dead letter, which a person requeues or purges.
 */

import { v7 as uuidv7 } from "uuid";
import type { Database, SqlValue } from "../system/database.ts";
import type { Clock, Random } from "../system/system.ts";
import {
  type Appended,
  type BufferCounts,
  type BufferLimits,
  byKind,
  type CountByKind,
  type EventBuffer,
  type NewEvent,
  type StoredEvent,
  type Waiting,
} from "./buffer.ts";
import { addToCounters, allocateSequence, readCounts, readTotals } from "./counters.ts";
import { indexPending, readNext, URGENCY } from "./dequeue_order.ts";
import {
  type MeasuredEvent,
  readCount,
  readState,
  readTextOrNull,
  sizeOf,
  toEvent,
} from "./event_row.ts";
import { evictFor, IMPORTANCE, NOTICE_BYTES, recordEvictions } from "./eviction.ts";
import { markReported, markUnanswered } from "./journal.ts";
import { BufferError } from "./schema.ts";

const NONE: ReadonlySet<string> = new Set();

const NOTHING_EVICTED: CountByKind = byKind(() => 0);

/** What was acknowledged before, or evicted meanwhile, is not there. */
const ACKNOWLEDGE = `
  DELETE FROM events WHERE is_indexed = 1 AND id IN (SELECT value FROM json_each(?))
  RETURNING state, size_bytes, command_id`;

const FIND = `
  SELECT sequence, attempts, state, command_id, size_bytes FROM events
  WHERE id = ? AND is_indexed = 1`;

const REFUSE = "UPDATE events SET attempts = ?, state = ?, last_error = ? WHERE sequence = ?";

/** The columns not named come from the whole. */
const ADD_HALF = `
  INSERT INTO events (sequence, id, kind, command_id, snapshot_of, superseded, urgency, importance,
    created_ms, place, size_bytes, attempts, last_error, is_indexed, body)
  SELECT ?, ?, kind, command_id, snapshot_of, superseded, urgency, importance, created_ms,
    coalesce(place, sequence), ?, max(attempts, min(attempts + ?, ?)), ?, 1, ?
  FROM events WHERE sequence = ?`;

/** At its old place in the dequeue order. */
const REQUEUE = "UPDATE events SET state = 'pending', attempts = 0 WHERE state = 'dead_lettered'";

const PURGE = `
  DELETE FROM events WHERE id = ? AND is_indexed = 1 AND state = 'dead_lettered'
  RETURNING size_bytes`;

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
    return this.#indexed(() => {
      const [row] = this.#database.all(FIND, id);
      if (row === undefined || readState(row) === "dead_lettered") return "dead_lettered";
      const attempts = readCount(row, "attempts") + 1;
      const isDead = isFinal || attempts >= this.#limits.maxAttempts;
      const state = isDead ? "dead_lettered" : "pending";
      this.#database.run(REFUSE, attempts, state, error, readCount(row, "sequence"));
      if (isDead) {
        addToCounters(this.#database, { pending: -1, dead_lettered: 1 });
        markReported(this.#database, [readTextOrNull(row, "command_id")]);
      }
      return state;
    });
  }

  noteUnanswered(id: string): void {
    this.#indexed(() => markUnanswered(this.#database, id));
  }

  bisect(
    id: string,
    bodies: readonly [string, string],
    { error, isCounted }: { error: string; isCounted: boolean },
  ): readonly string[] {
    // Never the last attempt: which half is at fault is not known yet.
    const [more, most] = [isCounted ? 1 : 0, this.#limits.maxAttempts - 1];
    return this.#indexed(() => {
      const [whole] = this.#database.all(FIND, id);
      if (whole === undefined || readState(whole) !== "pending") return [];
      const sequence = readCount(whole, "sequence");
      let sizeBytes = -readCount(whole, "size_bytes");
      const ids = bodies.map((body) => {
        const half = { id: this.#newId().id, sequence: allocateSequence(this.#database) };
        const bytes = sizeOf(body);
        sizeBytes += bytes;
        this.#database.run(
          ADD_HALF,
          half.sequence,
          half.id,
          bytes,
          more,
          most,
          error,
          body,
          sequence,
        );
        return half.id;
      });
      this.#database.run("DELETE FROM events WHERE sequence = ?", sequence);
      addToCounters(this.#database, { appended: 1, pending: 1, size_bytes: sizeBytes });
      return ids;
    });
  }

  hasPending(snapshotOf: string): boolean {
    const sql = "SELECT 1 FROM events WHERE snapshot_of = ? AND state = 'pending' LIMIT 1";
    return this.#database.all(sql, snapshotOf).length > 0;
  }

  find(id: string): StoredEvent | null {
    const [event] = this.findByPrefix(id, 1);
    return event?.id === id ? event : null;
  }

  /** Events whose id is this or begins with it, by id, whether indexed or not. */
  findByPrefix(idPrefix: string, limit: number): StoredEvent[] {
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
    return this.#database.transaction(() => {
      const count = ids === "all" ? this.#database.run(REQUEUE) : ids.reduce(
        (sum, id) => sum + this.#database.run(`${REQUEUE} AND id = ? AND is_indexed = 1`, id),
        0,
      );
      if (count > 0) addToCounters(this.#database, { pending: count, dead_lettered: -count });
      return count;
    });
  }

  /** Deletes a dead letter for good; `false`, and nothing done, if it was none. */
  purge(id: string): boolean {
    return this.#database.transaction(() => {
      const [row] = this.#database.all(PURGE, id);
      if (row === undefined) return false;
      const sizeBytes = readCount(row, "size_bytes");
      addToCounters(this.#database, { dead_lettered: -1, size_bytes: -sizeBytes, purged: 1 });
      return true;
    });
  }

  counts(): BufferCounts {
    return readCounts(this.#database);
  }

  countWaiting(): Waiting {
    const { pending, deadLetters } = readTotals(this.#database);
    return { pending, deadLetters };
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

/** The columns of a new row: those of `valuesOf`, and two more. */
const COLUMNS =
  "id, kind, command_id, snapshot_of, urgency, importance, created_ms, size_bytes, body, " +
  "sequence, bytes_to";

/** Rows per statement: with 16 a row costs less than half of what it costs alone, with more no less. */
const TOGETHER = 16;

const INSERT_ONE = insertSql(1);
const INSERT_MANY = insertSql(TOGETHER);

/** For a single event, room and all: without a transaction around it, it is one. */
const INSERT_IF_ROOM = `
  INSERT INTO events (${COLUMNS})
  SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, last_sequence + 1, bytes_to + ? FROM totals
  WHERE pending + dead_lettered + 1 <= ? AND size_bytes + ? <= ?`;

function valuesOf({ id, createdMs, sizeBytes, event }: MeasuredEvent): SqlValue[] {
  const { kind, commandId, snapshotOf, body } = event;
  const [urgency, importance] = [URGENCY[kind], IMPORTANCE[kind]];
  return [id, kind, commandId, snapshotOf, urgency, importance, createdMs, sizeBytes, body];
}

/** One transaction, or part of one; `false`, and nothing done, if the event does not fit. */
function insertOne(database: Database, row: MeasuredEvent, room: Room): boolean {
  const { sizeBytes } = row;
  const bounds = [sizeBytes, room.maxEvents, sizeBytes, room.maxBytes];
  return database.run(INSERT_IF_ROOM, ...valuesOf(row), ...bounds) === 1;
}

/**
 * Appends events without regard to eviction. Part of the transaction it is called in; `false`, and
 * nothing done, if they do not all fit.
 */
function insertAll(
  database: Database,
  rows: readonly MeasuredEvent[],
  room: Room = ANY_ROOM,
): boolean {
  const { pending, deadLetters, sizeBytes, lastSequence, bytesTo } = readTotals(database);
  const newBytes = rows.reduce((sum, row) => sum + row.sizeBytes, 0);
  const fits = pending + deadLetters + rows.length <= room.maxEvents &&
    sizeBytes + newBytes <= room.maxBytes;
  if (!fits) return false;
  let to = bytesTo;
  const values = rows.map((row, at) => {
    to += row.sizeBytes;
    return [...valuesOf(row), lastSequence + 1 + at, to];
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
  const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  const values = Array.from({ length: rows }, () => row).join(", ");
  return `INSERT OR FAIL INTO events (${COLUMNS}) VALUES ${values}`;
}
