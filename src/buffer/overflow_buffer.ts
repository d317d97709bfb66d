/**
 * The overflow buffer, which always accepts events: what the disk refuses overflows into memory, and is merged into the
 * file as soon as the disk accepts it. `store_supervisor.ts` supervises the file itself.
 */

import { DatabaseError } from "../system/database.ts";
import type { System } from "../system/system.ts";
import type {
  Appended,
  BufferLimits,
  EventBuffer,
  NewEvent,
  StoredEvent,
  Waiting,
} from "./buffer.ts";
import type { JournalAccess, StoreTables } from "./journal.ts";
import { merge } from "./merge.ts";
import { BufferError, migrate } from "./schema.ts";
import { SqliteBuffer } from "./sqlite_buffer.ts";
import type { OpenedBuffer } from "./store.ts";

/** Bounds of the events in memory; past them the buffer's own rules evict. */
export const OVERFLOW_MAX_EVENTS = 1_000;
export const OVERFLOW_MAX_BYTES = 4 * 1_024 ** 2;

/**
 * So many acknowledgements that the disk refused are remembered; then no more of the disk's events
 * are sent, since after a restart they would all be sent again.
 */
export const MAX_OWED = 1_000;

/** Events, and acknowledgements of the disk's events, that are in memory alone. */
export class Overflow {
  readonly #deps: Pick<System, "clock" | "random" | "openDatabase">;
  readonly #limits: BufferLimits;
  readonly #owed = new Set<string>();
  #events: StoreTables & { readonly buffer: SqliteBuffer } | null = null;

  constructor(deps: Pick<System, "clock" | "random" | "openDatabase">, limits: BufferLimits) {
    this.#deps = deps;
    this.#limits = {
      ...limits,
      maxEvents: Math.min(OVERFLOW_MAX_EVENTS, limits.maxEvents),
      maxBytes: Math.min(OVERFLOW_MAX_BYTES, limits.maxBytes),
    };
  }

  /** The events, if there are any. */
  get buffer(): SqliteBuffer | null {
    return this.#events?.buffer ?? null;
  }

  get isEmpty(): boolean {
    return this.#events === null && this.#owed.size === 0;
  }

  /** Ids of events on disk that the server has, and that could not be deleted there yet. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** As the buffer's; throws `refusal` at an event that is too large for memory. */
  append(events: readonly NewEvent[], refusal: DatabaseError): Appended {
    this.#events ??= this.#create();
    try {
      return this.#events.buffer.append(events);
    } catch (error) {
      throw error instanceof BufferError ? refusal : error;
    }
  }

  /** Remembers acknowledgements of the disk's events that the disk refused. */
  owe(ids: readonly string[]): void {
    for (const id of ids) this.#owed.add(id);
  }

  /** The buffer in memory, if it has this event. */
  bufferOf(id: string): SqliteBuffer | null {
    const { buffer } = this;
    return buffer?.find(id) ? buffer : null;
  }

  /**
   * Merges everything into the disk's buffer in one transaction, and forgets it. Returns how many
   * events that were. Throws `DatabaseError`.
   *
   * Never within another transaction: a full disk refuses the commit, and that would come after what
   * was in memory is forgotten.
   */
  flushTo(target: OpenedBuffer): number {
    const source = this.#events;
    const events = target.database.transaction(() => {
      target.buffer.acknowledge([...this.#owed]);
      return source === null ? 0 : merge(source.database, target);
    });
    this.#owed.clear();
    this.#events = null;
    source?.database.close();
    return events;
  }

  #create() {
    const database = this.#deps.openDatabase(":memory:");
    migrate(database);
    return { database, buffer: new SqliteBuffer(database, this.#deps, this.#limits) };
  }
}

/** The file as it is: open, not open yet, or on a disk that refuses. */
export interface SupervisedStore {
  /** `null`: there is none that could be opened. */
  readonly opened: OpenedBuffer | null;
  readonly overflow: Overflow;
  /** Writes what is in memory. Throws `DatabaseError` if the disk refuses, or the file is not open. */
  flush(): OpenedBuffer;
  /** Has the disk tried again later, and returns the error. Throws what is no `DatabaseError`. */
  recordRefusal(error: unknown): DatabaseError;
}

export class OverflowBuffer implements EventBuffer, JournalAccess {
  readonly #store: SupervisedStore;
  /** As last read, for when the disk cannot be read. */
  #waiting: Waiting = { pending: 0, deadLetters: 0 };

  constructor(store: SupervisedStore) {
    this.#store = store;
  }

  /** Calls `work` on the disk alone, after what is in memory is written. Throws `DatabaseError`. */
  onDisk<T>(work: (opened: OpenedBuffer) => T): T {
    try {
      return work(this.#store.flush());
    } catch (error) {
      throw error instanceof DatabaseError ? this.#store.recordRefusal(error) : error;
    }
  }

  /** As `onDisk`, on the file as it is; calls `fallback` where it is not open, or refuses. */
  onDiskOr<T>(work: (opened: OpenedBuffer) => T, fallback: () => T): T {
    const { opened } = this.#store;
    if (opened === null) return fallback();
    try {
      return work(opened);
    } catch (error) {
      this.#store.recordRefusal(error);
      return fallback();
    }
  }

  append(events: readonly NewEvent[]): Appended {
    try {
      // First what came first, so that the order within a command is kept.
      return this.#store.flush().buffer.append(events);
    } catch (error) {
      return this.#store.overflow.append(events, this.#store.recordRefusal(error));
    }
  }

  indexPending(): void {
    this.onDiskOr((opened) => opened.buffer.indexPending(), () => {});
  }

  next(limit: number, passedOver: ReadonlySet<string> = new Set()): StoredEvent[] {
    const { opened, overflow: { buffer, owed } } = this.#store;
    const inMemory = buffer?.next(limit, passedOver).map(behindDisk) ?? [];
    if (opened === null) return inMemory.filter(isAlone);
    try {
      if (owed.size >= MAX_OWED) return inMemory.filter(isAlone).slice(0, limit);
      const onDisk = opened.buffer.next(limit, new Set([...passedOver, ...owed]));
      return [...onDisk, ...inMemory].slice(0, limit);
    } catch (error) {
      this.#store.recordRefusal(error);
      return inMemory.filter(isAlone);
    }
  }

  acknowledge(ids: readonly string[]): void {
    const { overflow } = this.#store;
    const onDisk = ids.filter((id) => overflow.bufferOf(id) === null);
    overflow.buffer?.acknowledge(ids);
    if (onDisk.length === 0) return;
    this.onDiskOr((opened) => opened.buffer.acknowledge(onDisk), () => overflow.owe(onDisk));
  }

  /** Where the disk cannot count the attempt, it is none. */
  refuse(id: string, error: string, options?: { isFinal?: boolean }): StoredEvent["state"] {
    return this.#onOwner(id, (buffer) => buffer.refuse(id, error, options), () => "pending");
  }

  /** Where the disk cannot note it, the server is not asked, and the event is sent again. */
  noteUnanswered(id: string): void {
    this.#onOwner(id, (buffer) => buffer.noteUnanswered(id), () => {});
  }

  bisect(
    id: string,
    halves: readonly [string, string],
    reason: { error: string; isCounted: boolean },
  ): readonly string[] {
    return this.#onOwner(id, (buffer) => buffer.bisect(id, halves, reason), () => []);
  }

  hasPending(snapshotOf: string): boolean {
    const { buffer } = this.#store.overflow;
    return buffer?.hasPending(snapshotOf) === true ||
      this.onDiskOr(({ buffer }) => buffer.hasPending(snapshotOf), () => true);
  }

  find(id: string): StoredEvent | null {
    if (this.#store.overflow.owed.has(id)) return null;
    return this.#onOwner(id, (buffer) => buffer.find(id), () => null);
  }

  countWaiting(): Waiting {
    const { owed, buffer } = this.#store.overflow;
    const onDisk = this.onDiskOr(
      (opened) => this.#waiting = opened.buffer.countWaiting(),
      () => this.#waiting,
    );
    const inMemory = buffer?.countWaiting();
    return {
      pending: Math.max(0, onDisk.pending - owed.size) + (inMemory?.pending ?? 0),
      deadLetters: onDisk.deadLetters + (inMemory?.deadLetters ?? 0),
    };
  }

  /** Calls `work` on the buffer that has an event, in memory or on disk. */
  #onOwner<T>(id: string, work: (buffer: EventBuffer) => T, fallback: () => T): T {
    const inMemory = this.#store.overflow.bufferOf(id);
    if (inMemory !== null) return work(inMemory);
    return this.onDiskOr((opened) => work(opened.buffer), fallback);
  }
}

/** Added to the sequences and places in memory, which begin at 1 as the disk's do. */
const BEHIND_DISK = 2 ** 52;

/** What is in memory came after everything on disk: its place must not be confused with the disk's. */
function behindDisk(event: StoredEvent): StoredEvent {
  return {
    ...event,
    sequence: event.sequence + BEHIND_DISK,
    place: event.place + BEHIND_DISK,
  };
}

/** Whether no earlier event has to go first. */
function isAlone({ commandId }: StoredEvent): boolean {
  return commandId === null;
}
