/** The event buffer on SQLite: every method is one transaction, durable when it returns. */

import { Buffer } from "node:buffer";
import { v7 as uuidv7 } from "uuid";
import { type Database, DatabaseError, type Row } from "../system/database.ts";
import type { Clock, Random } from "../system/system.ts";
import {
  type Appended,
  type BufferCounts,
  type BufferLimits,
  type EventBuffer,
  type EventKind,
  type NewEvent,
  PAGE_BYTES,
  type StoredEvent,
  type Waiting,
} from "./buffer.ts";
import { markUnanswered } from "./confirm.ts";
import { addToCounters, readCounts, readWaiting } from "./counters.ts";
import { NOTICE_BYTES } from "./drop_notice.ts";
import { exchange } from "./make_room.ts";
import { refuseEvent } from "./refuse_event.ts";
import { noteReported } from "./reported.ts";
import { BufferError } from "./schema.ts";
import { nextUnsorted, sortIn } from "./sort_in.ts";
import { splitEvent } from "./split_event.ts";
import { purgeSetAside, requeueSetAside } from "./set_aside.ts";
import { tellDropped } from "./tell_dropped.ts";
import { type NewRow, writeDown, writeOneDown } from "./write_down.ts";

/** What an event takes besides its body: columns and indexes, rounded up. */
export const OVERHEAD_BYTES = 256;

/**
 * In the order of `events_to_send`. Sizes are added up before any body is read; the outer order is that
 * of the inner one.
 */
const NEXT = `
  SELECT events.* FROM (
    SELECT sequence, urgency, place, sum(size_bytes) OVER (
      ORDER BY urgency DESC, place, sequence ROWS UNBOUNDED PRECEDING
    ) - size_bytes AS bytes_before
    FROM (
      SELECT sequence, urgency, coalesce(place, sequence) AS place, size_bytes FROM events
      WHERE is_sorted = 1 AND state = 'pending' AND id NOT IN (SELECT value FROM json_each(?))
      ORDER BY urgency DESC, coalesce(place, sequence), sequence LIMIT ?
    )
  ) AS page JOIN events ON events.sequence = page.sequence
  WHERE page.bytes_before < ?
  ORDER BY page.urgency DESC, page.place, page.sequence`;

const NONE: ReadonlySet<string> = new Set();

/** What was acknowledged before, or dropped meanwhile, is not there. */
const TAKE = `
  DELETE FROM events WHERE is_sorted = 1 AND id IN (SELECT value FROM json_each(?))
  RETURNING state, size_bytes, command_id`;

const NOTHING_DROPPED = { system_info: 0, updates: 0, dependencies: 0, log: 0 };

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
    if (row !== undefined && rows.length === 1 && writeOneDown(this.#database, row, room)) {
      return { ids, dropped: NOTHING_DROPPED };
    }
    return this.#database.transaction(() => {
      const isWritten = writeDown(this.#database, rows, room);
      return { ids, dropped: isWritten ? NOTHING_DROPPED : this.#makeRoomFor(rows) };
    });
  }

  sortIn(): void {
    sortIn(this.#database);
  }

  next(limit: number, passedOver: ReadonlySet<string> = NONE): StoredEvent[] {
    try {
      sortIn(this.#database);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      // A disk that takes nothing may yet be read.
      return nextUnsorted(this.#database, limit + passedOver.size).map(toEvent)
        .filter(({ id }) => !passedOver.has(id)).slice(0, limit);
    }
    const ids = JSON.stringify([...passedOver]);
    return this.#database.all(NEXT, ids, limit, PAGE_BYTES).map(toEvent);
  }

  acknowledge(ids: readonly string[]): void {
    this.#sorted(() => {
      const rows = this.#database.all(TAKE, JSON.stringify(ids));
      if (rows.length === 0) return;
      const setAside = rows.filter((row) => row["state"] === "set_aside").length;
      addToCounters(this.#database, {
        pending: setAside - rows.length,
        set_aside: -setAside,
        size_bytes: -rows.reduce((sum, row) => sum + Number(row["size_bytes"]), 0),
        delivered: rows.length,
      });
      noteReported(this.#database, rows.map((row) => row["command_id"]));
    });
  }

  refuse(id: string, error: string, { isFinal = false } = {}): StoredEvent["state"] {
    const mostAttempts = isFinal ? 1 : this.#limits.maxAttempts;
    return this.#sorted(() => refuseEvent(this.#database, { id, error }, mostAttempts));
  }

  noteUnanswered(id: string): void {
    this.#sorted(() => markUnanswered(this.#database, id));
  }

  split(
    id: string,
    halves: readonly [string, string],
    { error, isCounted }: { error: string; isCounted: boolean },
  ): readonly string[] {
    const { maxAttempts } = this.#limits;
    const parts = {
      parts: halves.map((body) => ({ id: this.#newId().id, body, sizeBytes: sizeOf(body) })),
      error,
      // Never the last one: whoever is to blame is not known yet.
      attempts: { more: isCounted ? 1 : 0, most: maxAttempts - 1 },
    };
    return this.#sorted(() => splitEvent(this.#database, id, parts));
  }

  list(options: { state?: StoredEvent["state"]; limit?: number } = {}): StoredEvent[] {
    const limit = options.limit ?? -1; // SQLite's word for "no limit".
    const rows = options.state === undefined
      ? this.#database.all("SELECT * FROM events ORDER BY sequence LIMIT ?", limit)
      : this.#database.all(
        "SELECT * FROM events WHERE state = ? ORDER BY sequence LIMIT ?",
        options.state,
        limit,
      );
    return rows.map(toEvent);
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

  requeue(ids: readonly string[] | "all"): number {
    return requeueSetAside(this.#database, ids);
  }

  purge(id: string): boolean {
    return purgeSetAside(this.#database, id);
  }

  counts(): BufferCounts {
    return readCounts(this.#database);
  }

  countWaiting(): Waiting {
    return readWaiting(this.#database);
  }

  /** What has to find an event, or all of a command's: one transaction. */
  #sorted<T>(work: () => T): T {
    return this.#database.transaction(() => {
      sortIn(this.#database);
      return work();
    });
  }

  #measure(event: NewEvent): NewRow {
    const sizeBytes = sizeOf(event.body);
    const { maxBytes } = this.#roomForEvents();
    if (sizeBytes <= maxBytes) return { ...this.#newId(), sizeBytes, event };
    throw new BufferError(
      `Cannot keep an event of ${sizeBytes} bytes: the buffer holds ${maxBytes}`,
    );
  }

  /** Keeps events one after the other, at the cost of others or not at all; what that cost, by kind. */
  #makeRoomFor(rows: readonly NewRow[]): Appended["dropped"] {
    const dropped = { ...NOTHING_DROPPED };
    for (const row of rows) {
      sortIn(this.#database);
      for (const kind of exchange(this.#database, row, this.#roomForEvents())) dropped[kind] += 1;
    }
    if (Object.values(dropped).some((count) => count > 0)) {
      sortIn(this.#database);
      tellDropped(this.#database, this.#newId(), sizeOf);
    }
    return dropped;
  }

  /** All but the place of the notice of what was dropped, which so costs no other event. */
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

/** What an event with this body takes. */
export function sizeOf(body: string): number {
  return Buffer.byteLength(body) + OVERHEAD_BYTES;
}

function toEvent(row: Row): StoredEvent {
  const text = (name: string) => row[name] === null ? null : String(row[name]);
  return {
    id: String(row["id"]),
    sequence: Number(row["sequence"]),
    place: Number(row["place"] ?? row["sequence"]),
    kind: row["kind"] as EventKind,
    commandId: text("command_id"),
    snapshotOf: text("snapshot_of"),
    body: String(row["body"]),
    sizeBytes: Number(row["size_bytes"]),
    createdMs: Number(row["created_ms"]),
    attempts: Number(row["attempts"]),
    state: row["state"] as StoredEvent["state"],
    lastError: text("last_error"),
  };
}
