/**
 * What one append writes, gathered: rows go in many to a statement, counters once. Reading what the
 * database has of an event that is not yet written is made to work.
 */

import type { Database, SqlValue } from "../system/database.ts";
import { addToCounters, type Counter, readLoad } from "./counters.ts";
import type { Load } from "./rules.ts";

/** A row of `events`; the other columns begin as the schema has it. */
export interface NewRow {
  readonly id: string;
  readonly kind: string;
  readonly commandId: string | null;
  readonly snapshotOf: string | null;
  readonly urgency: number;
  readonly importance: number;
  readonly createdMs: number;
  readonly sizeBytes: number;
  readonly body: string;
}

const COLUMNS = [
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

/**
 * Of a command. The plus signs keep SQLite from walking through all that is pending, from the least
 * urgent on, until it meets one of the command's.
 */
const LEAST_URGENT = `
  SELECT min(+urgency) AS urgency FROM events WHERE command_id = ? AND +state = 'pending'`;

/** Lives as long as the transaction that it is made in. */
export class AppendBatch {
  readonly #database: Database;
  readonly #changes: Partial<Record<Counter, number>> = {};
  readonly #loadBefore: Load;
  /** Of rows that are not yet written, one after the other. */
  #values: SqlValue[] = [];
  readonly #unwrittenSnapshots = new Set<string>();
  /** By command, of those asked for; `null`: nothing of it waits. */
  #urgencies = new Map<string, number | null>();

  constructor(database: Database) {
    this.#database = database;
    this.#loadBefore = readLoad(database);
  }

  /** How full the buffer is, with what is in the batch. */
  get load(): Load {
    const { pending = 0, size_bytes = 0 } = this.#changes;
    const { events, sizeBytes } = this.#loadBefore;
    return { events: events + pending, sizeBytes: sizeBytes + size_bytes };
  }

  /** Of the least urgent event that the command still has waiting; `null`: of none. */
  urgencyOf(commandId: string): number | null {
    const known = this.#urgencies.get(commandId);
    if (known !== undefined) return known;
    // Rows that are not yet written are of commands that are known.
    const found = this.#database.all(LEAST_URGENT, commandId)[0]?.["urgency"] ?? null;
    const urgency = found === null ? null : Number(found);
    this.#urgencies.set(commandId, urgency);
    return urgency;
  }

  add(row: NewRow): void {
    const { commandId, snapshotOf, urgency, sizeBytes } = row;
    this.#values.push(
      row.id,
      row.kind,
      commandId,
      snapshotOf,
      urgency,
      row.importance,
      row.createdMs,
      sizeBytes,
      row.body,
    );
    if (commandId !== null) this.#urgencies.set(commandId, urgency);
    if (snapshotOf !== null) this.#unwrittenSnapshots.add(snapshotOf);
    this.count("pending", 1);
    this.count("size_bytes", sizeBytes);
  }

  count(name: Counter, change: number): void {
    this.#changes[name] = (this.#changes[name] ?? 0) + change;
  }

  /** To be called before the database is asked for an event with this key. */
  writeIfSnapshot(key: string): void {
    if (this.#unwrittenSnapshots.has(key)) this.writeRows();
  }

  /** To be called before the database is asked for just any event. */
  writeRows(): void {
    const values = this.#values;
    for (let start = 0; start < values.length;) {
      const rows = values.length - start >= TOGETHER * COLUMNS.length ? TOGETHER : 1;
      const end = start + rows * COLUMNS.length;
      this.#database.run(rows === 1 ? ADD_ONE : ADD_MANY, ...values.slice(start, end));
      start = end;
    }
    this.#values = [];
    this.#unwrittenSnapshots.clear();
  }

  /** Events are gone, which may have been the least urgent of their commands. */
  forgetUrgencies(): void {
    this.writeRows();
    this.#urgencies.clear();
  }

  /** Writes what is not yet written; the batch is then of no more use. */
  finish(): void {
    this.writeRows();
    addToCounters(this.#database, this.#changes);
  }
}

/** `OR FAIL`: SQLite keeps no way back to before the statement; the whole transaction has one. */
function addSql(rows: number): string {
  const row = `(${COLUMNS.map(() => "?").join(", ")})`;
  const values = Array.from({ length: rows }, () => row).join(", ");
  return `INSERT OR FAIL INTO events (${COLUMNS.join(", ")}) VALUES ${values}`;
}
