/** The event buffer on SQLite: every method is one transaction, durable when it returns. */

import { v7 as uuidv7 } from "uuid";
import type { Database, Row } from "../system/database.ts";
import type { Clock, Random } from "../system/system.ts";
import type {
  BufferCounts,
  BufferLimits,
  EventBuffer,
  EventKind,
  NewEvent,
  StoredEvent,
} from "./buffer.ts";
import { fits, IMPORTANCE, priorityOf } from "./rules.ts";
import { BufferError } from "./schema.ts";

/** What an event takes besides its body: columns and indexes, rounded up. */
const OVERHEAD_BYTES = 256;

const KINDS = Object.keys(IMPORTANCE) as EventKind[];

/** Oldest of those that a newer event of the same key has made stale. */
const STALE = `
  SELECT sequence, kind, size_bytes FROM events AS older
  WHERE state = 'pending' AND snapshot_of IS NOT NULL AND EXISTS (
    SELECT 1 FROM events AS newer
    WHERE newer.snapshot_of = older.snapshot_of AND newer.sequence > older.sequence)
  ORDER BY sequence LIMIT 1`;

/** Oldest of those that matter least. What was set aside waits for a person and is never dropped. */
const LEAST = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE state = 'pending' AND importance <= ? ORDER BY importance, sequence LIMIT 1`;

const ADD = `
  INSERT INTO events (id, kind, importance, priority, command_id, snapshot_of, body, size_bytes,
    created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const COUNT = `
  INSERT INTO counters (name, value) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`;

export class SqliteBuffer implements EventBuffer {
  readonly #database: Database;
  readonly #world: { clock: Clock; random: Random };
  readonly #limits: BufferLimits;

  constructor(
    database: Database,
    world: { clock: Clock; random: Random },
    limits: BufferLimits,
  ) {
    this.#database = database;
    this.#world = world;
    this.#limits = limits;
  }

  append(events: readonly NewEvent[]): string[] {
    return this.#database.transaction(() => events.map((event) => this.#add(event, events)));
  }

  next(limit: number): StoredEvent[] {
    return this.#database.all(
      "SELECT * FROM events WHERE state = 'pending' ORDER BY priority DESC, sequence LIMIT ?",
      limit,
    ).map(toEvent);
  }

  acknowledge(ids: readonly string[]): void {
    this.#database.transaction(() => {
      for (const id of ids) {
        const [row] = this.#database.all("SELECT state, size_bytes FROM events WHERE id = ?", id);
        if (row === undefined) continue; // Acknowledged before.
        this.#database.run("DELETE FROM events WHERE id = ?", id);
        this.#count(String(row["state"]), -1);
        this.#count("size_bytes", -Number(row["size_bytes"]));
        this.#count("delivered", 1);
      }
    });
  }

  refuse(id: string, error: string): "pending" | "set_aside" {
    return this.#database.transaction(() => {
      const [row] = this.#database.all("SELECT attempts, state FROM events WHERE id = ?", id);
      if (row === undefined || row["state"] === "set_aside") return "set_aside";
      const attempts = Number(row["attempts"]) + 1;
      const state = attempts >= this.#limits.maxAttempts ? "set_aside" : "pending";
      this.#database.run(
        "UPDATE events SET attempts = ?, state = ?, last_error = ? WHERE id = ?",
        attempts,
        state,
        error,
        id,
      );
      if (state === "set_aside") {
        this.#count("pending", -1);
        this.#count("set_aside", 1);
      }
      return state;
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

  counts(): BufferCounts {
    const rows = this.#database.all("SELECT name, value FROM counters");
    const found = new Map(rows.map((row) => [String(row["name"]), Number(row["value"])]));
    const count = (name: string) => found.get(name) ?? 0;
    const [oldest] = this.#database.all(
      "SELECT min(created_ms) AS created_ms FROM events WHERE state = 'pending'",
    );
    const oldestMs = oldest?.["created_ms"] ?? null;
    return {
      pending: count("pending"),
      setAside: count("set_aside"),
      sizeBytes: count("size_bytes"),
      oldestPendingMs: oldestMs === null ? null : Number(oldestMs),
      appended: count("appended"),
      delivered: count("delivered"),
      dropped: Object.fromEntries(
        KINDS.map((kind) => [kind, count(`dropped_${kind}`)]),
      ) as BufferCounts["dropped"],
    };
  }

  #add(event: NewEvent, batch: readonly NewEvent[]): string {
    const { clock, random } = this.#world;
    const sizeBytes = new TextEncoder().encode(event.body).length + OVERHEAD_BYTES;
    if (sizeBytes > this.#limits.maxBytes) {
      throw new BufferError(
        `Cannot keep an event of ${sizeBytes} bytes: the buffer holds ${this.#limits.maxBytes}`,
      );
    }
    const id = uuidv7({
      msecs: clock.nowMs(),
      random: Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)),
    });
    this.#count("appended", 1);
    if (!this.#makeRoom(event.kind, sizeBytes)) {
      this.#count(`dropped_${event.kind}`, 1);
      return id;
    }
    this.#database.run(
      ADD,
      id,
      event.kind,
      IMPORTANCE[event.kind],
      this.#priorityOf(event, batch),
      event.commandId,
      event.snapshotOf,
      event.body,
      sizeBytes,
      clock.nowMs(),
    );
    this.#count("pending", 1);
    this.#count("size_bytes", sizeBytes);
    return id;
  }

  /** Drops what matters least until the event fits; `false` if only what matters more is left. */
  #makeRoom(kind: EventKind, sizeBytes: number): boolean {
    const more = { events: 1, sizeBytes };
    while (!fits(this.#load(), more, this.#limits)) {
      const [victim] = [
        ...this.#database.all(STALE),
        ...this.#database.all(LEAST, IMPORTANCE[kind]),
      ];
      if (victim === undefined) return false;
      this.#database.run("DELETE FROM events WHERE sequence = ?", victim["sequence"] ?? null);
      this.#count("pending", -1);
      this.#count("size_bytes", -Number(victim["size_bytes"]));
      this.#count(`dropped_${victim["kind"]}`, 1);
    }
    return true;
  }

  #load() {
    const rows = this.#database.all(
      "SELECT name, value FROM counters WHERE name IN ('pending', 'set_aside', 'size_bytes')",
    );
    const value = (name: string) =>
      Number(rows.find((row) => row["name"] === name)?.["value"] ?? 0);
    return { events: value("pending") + value("set_aside"), sizeBytes: value("size_bytes") };
  }

  #priorityOf(event: NewEvent, batch: readonly NewEvent[]): number {
    if (event.commandId === null) return priorityOf(event.kind, []);
    const kept = this.#database.all(
      "SELECT DISTINCT kind FROM events WHERE command_id = ? AND state = 'pending'",
      event.commandId,
    ).map((row) => row["kind"] as EventKind);
    const together = batch.filter((other) => other.commandId === event.commandId);
    return priorityOf(event.kind, [...kept, ...together.map((other) => other.kind)]);
  }

  #count(name: string, by: number): void {
    this.#database.run(COUNT, name, by);
  }
}

function toEvent(row: Row): StoredEvent {
  const text = (name: string) => row[name] === null ? null : String(row[name]);
  return {
    id: String(row["id"]),
    sequence: Number(row["sequence"]),
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
