/** The event buffer on SQLite: every method is one transaction, durable when it returns. */

import { v7 as uuidv7 } from "uuid";
import type { Database, Row } from "../system/database.ts";
import type { Clock, Random } from "../system/system.ts";
import { AppendBatch } from "./append_batch.ts";
import type {
  Appended,
  BufferCounts,
  BufferLimits,
  EventBuffer,
  EventKind,
  NewEvent,
  StoredEvent,
  Waiting,
} from "./buffer.ts";
import { markUnanswered } from "./confirm.ts";
import { addToCounters, readCounts, readWaiting } from "./counters.ts";
import { NOTICE_BYTES } from "./drop_notice.ts";
import { refuseEvent } from "./refuse_event.ts";
import { noteReported } from "./reported.ts";
import { type Droppable, IMPORTANCE, planRoom, urgencyBehind } from "./rules.ts";
import { BufferError } from "./schema.ts";
import { splitEvent } from "./split_event.ts";
import { purgeSetAside, requeueSetAside } from "./set_aside.ts";
import { tellDropped, withoutNotice } from "./tell_dropped.ts";

/** What an event takes besides its body: columns and indexes, rounded up. */
export const OVERHEAD_BYTES = 256;

/** In the order of `events_to_send`. */
const NEXT = `
  SELECT * FROM events WHERE state = 'pending'
  ORDER BY urgency DESC, coalesce(place, sequence), sequence LIMIT ?`;

/** A later event was appended with the same key. */
const SUPERSEDE = `
  UPDATE events SET superseded = 1 WHERE snapshot_of = ? AND superseded = 0 RETURNING sequence`;

/** The later event was not kept after all. */
const REINSTATE = "UPDATE events SET superseded = 0 WHERE sequence = ?";

/** What may go, in the order of `events_to_drop`. What was set aside waits for a person, and stays. */
const SUPERSEDED = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE state = 'pending' AND superseded = 1
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;
const UNIMPORTANT = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE state = 'pending' AND superseded = 0 AND importance <= ?
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;

/** Read at a time; one is enough, as a rule. */
const PAGE = 16;

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
    return this.#database.transaction(() => {
      const dropped = { system_info: 0, updates: 0, dependencies: 0, log: 0 };
      const batch = new AppendBatch(this.#database);
      const ids = events.map((event) => {
        const { id, gone } = this.#add(event, batch);
        for (const kind of gone) dropped[kind] += 1;
        return id;
      });
      batch.count("appended", events.length);
      batch.finish();
      if (Object.values(dropped).some((count) => count > 0)) {
        tellDropped(this.#database, this.#newId(), sizeOf);
      }
      return { ids, dropped };
    });
  }

  next(limit: number): StoredEvent[] {
    return this.#database.all(
      NEXT,
      limit,
    ).map(toEvent);
  }

  acknowledge(ids: readonly string[]): void {
    this.#database.transaction(() => {
      for (const id of ids) {
        const [row] = this.#database.all(
          "DELETE FROM events WHERE id = ? RETURNING state, size_bytes, command_id",
          id,
        );
        if (row === undefined) continue; // Acknowledged before, or dropped meanwhile.
        addToCounters(this.#database, {
          [row["state"] as StoredEvent["state"]]: -1,
          size_bytes: -Number(row["size_bytes"]),
          delivered: 1,
        });
        noteReported(this.#database, row["command_id"]);
      }
    });
  }

  refuse(id: string, error: string): StoredEvent["state"] {
    return refuseEvent(this.#database, { id, error }, this.#limits.maxAttempts);
  }

  noteUnanswered(id: string): void {
    markUnanswered(this.#database, id);
  }

  split(
    id: string,
    halves: readonly [string, string],
    { error, isCounted }: { error: string; isCounted: boolean },
  ): readonly string[] {
    const { maxAttempts } = this.#limits;
    return splitEvent(this.#database, id, {
      parts: halves.map((body) => ({ id: this.#newId().id, body, sizeBytes: sizeOf(body) })),
      error,
      // Never the last one: whoever is to blame is not known yet.
      attempts: { more: isCounted ? 1 : 0, most: maxAttempts - 1 },
    });
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

  /** Adds one event; `gone` are the kinds of those that it cost, its own if it found no room. */
  #add(event: NewEvent, batch: AppendBatch): { id: string; gone: EventKind[] } {
    const sizeBytes = this.#measure(event);
    const { id, createdMs } = this.#newId();
    const { kind, commandId, snapshotOf, body } = event;
    const victims = this.#planRoom(event, sizeBytes, batch);
    if (victims === null) {
      batch.count(`dropped_${kind}`, 1);
      return { id, gone: [kind] };
    }
    victims.forEach((victim) => this.#drop(victim, batch));
    if (victims.length > 0) batch.forgetUrgencies();
    // Behind what its command still has waiting, whose last one is its least urgent one.
    const urgency = urgencyBehind(kind, commandId === null ? null : batch.urgencyOf(commandId));
    const importance = IMPORTANCE[kind];
    batch.add({ id, kind, commandId, snapshotOf, urgency, importance, createdMs, sizeBytes, body });
    return { id, gone: victims.map(({ kind }) => kind) };
  }

  #measure(event: NewEvent): number {
    const sizeBytes = sizeOf(event.body);
    const { maxBytes } = this.#roomForEvents();
    if (sizeBytes <= maxBytes) return sizeBytes;
    throw new BufferError(
      `Cannot keep an event of ${sizeBytes} bytes: the buffer holds ${maxBytes}`,
    );
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

  /** What goes for a new event, `null` if it is the event itself; marks what the event supersedes. */
  #planRoom(event: NewEvent, sizeBytes: number, batch: AppendBatch): Droppable[] | null {
    const superseded = event.snapshotOf === null ? [] : this.#supersede(event.snapshotOf, batch);
    const present = { load: batch.load, limits: this.#roomForEvents() };
    // As a rule there is room: whether the notice is a part of the load is asked only if not.
    const victims = planRoom([], present, sizeBytes) ??
      planRoom(
        this.#droppable(event.kind, batch),
        { ...present, load: withoutNotice(this.#database, present.load) },
        sizeBytes,
      );
    if (victims !== null) return victims;
    for (const row of superseded) this.#database.run(REINSTATE, Number(row["sequence"]));
    return null;
  }

  #supersede(key: string, batch: AppendBatch): Row[] {
    batch.writeIfSnapshot(key);
    return this.#database.all(SUPERSEDE, key);
  }

  *#droppable(kind: EventKind, batch: AppendBatch): Generator<Droppable> {
    batch.writeRows();
    yield* this.#pages(SUPERSEDED);
    yield* this.#pages(UNIMPORTANT, IMPORTANCE[kind]);
  }

  *#pages(sql: string, ...values: number[]): Generator<Droppable> {
    for (let offset = 0;; offset += PAGE) {
      const rows = this.#database.all(sql, ...values, PAGE, offset);
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

  #drop({ sequence, kind, sizeBytes }: Droppable, batch: AppendBatch): void {
    this.#database.run("DELETE FROM events WHERE sequence = ?", sequence);
    batch.count("pending", -1);
    batch.count("size_bytes", -sizeBytes);
    batch.count(`dropped_${kind}`, 1);
  }
}

/** What an event with this body takes. */
export function sizeOf(body: string): number {
  return new TextEncoder().encode(body).length + OVERHEAD_BYTES;
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
