/** What the disk would not take: a small buffer in memory, until the disk takes it. */

import { type Database, DatabaseError } from "../system/database.ts";
import type { System } from "../system/system.ts";
import type { Appended, BufferCounts, BufferLimits, NewEvent, StoredEvent } from "./buffer.ts";
import { BufferError, migrate } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";
import { type Heir, takeOver } from "./take_over.ts";

/** More is not kept in memory; the buffer's own rules say what goes. */
export const TAIL_MAX_EVENTS = 1_000;
export const TAIL_MAX_BYTES = 4 * 1_024 ** 2;

/**
 * So many deliveries that the disk would not write down are remembered; then no more of the disk's
 * events are sent, since after a restart they would all be sent again.
 */
export const MAX_OWED = 1_000;

type Parts = Pick<System, "clock" | "random" | "openDatabase">;

/** Events, and deliveries of the disk's events, that are in memory alone. */
export class Tail {
  readonly #parts: Parts;
  readonly #limits: BufferLimits;
  readonly #owed = new Set<string>();
  #kept: Heir & { readonly buffer: SqliteBuffer } | null = null;

  constructor(parts: Parts, limits: BufferLimits) {
    this.#parts = parts;
    this.#limits = {
      ...limits,
      maxEvents: Math.min(TAIL_MAX_EVENTS, limits.maxEvents),
      maxBytes: Math.min(TAIL_MAX_BYTES, limits.maxBytes),
    };
  }

  /** The events, if there are any. */
  get buffer(): SqliteBuffer | null {
    return this.#kept?.buffer ?? null;
  }

  get isEmpty(): boolean {
    return this.#kept === null && this.#owed.size === 0;
  }

  /** Ids of events on disk that the server has, and that the disk does not know it has. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** As the buffer's; throws `refusal` at an event that is too large to be kept in memory. */
  append(events: readonly NewEvent[], refusal: DatabaseError): Appended {
    this.#kept ??= this.#begin();
    try {
      return this.#kept.buffer.append(events);
    } catch (error) {
      throw error instanceof BufferError ? refusal : error;
    }
  }

  /** The server has these of the disk's, and the disk would not take that. */
  owe(ids: readonly string[]): void {
    for (const id of ids) this.#owed.add(id);
  }

  /** Whether it is one of these events. */
  has(id: string): boolean {
    return this.#kept?.buffer.find(id, 1).some((event) => event.id === id) ?? false;
  }

  /**
   * All of it goes to the disk in one transaction, and is gone from here. Throws `DatabaseError`.
   *
   * Never within another transaction: a full disk refuses the commit, and that would come after what
   * was in memory is gone.
   */
  giveTo(disk: Heir): number {
    const kept = this.#kept;
    const events = disk.database.transaction(() => {
      disk.buffer.acknowledge([...this.#owed]);
      return kept === null ? 0 : takeOver(kept.database, disk);
    });
    this.#owed.clear();
    this.#kept = null;
    kept?.database.close();
    return events;
  }

  next(limit: number, passedOver: ReadonlySet<string>): StoredEvent[] {
    return this.#kept?.buffer.next(limit, passedOver) ?? [];
  }

  counts(): BufferCounts | null {
    return this.#kept?.buffer.counts() ?? null;
  }

  #begin() {
    const database: Database = this.#parts.openDatabase(":memory:");
    migrate(database);
    return { database, buffer: new SqliteBuffer(database, this.#parts, this.#limits) };
  }
}
