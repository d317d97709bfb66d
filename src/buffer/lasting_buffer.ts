/**
 * A buffer that always answers: what the disk refuses is kept in memory, and goes to disk as soon as
 * the disk takes it. The file itself, and its folder, are `disk_keeper.ts`'s.
 */

import { DatabaseError } from "../system/database.ts";
import type {
  Appended,
  BufferCounts,
  EventBuffer,
  EventKind,
  NewEvent,
  StoredEvent,
  Waiting,
} from "./buffer.ts";
import type { OpenedBuffer } from "./store.ts";
import { MAX_OWED, type Tail } from "./tail.ts";

/** The disk as it is: a buffer, none yet, or one that refuses. */
export interface Disk {
  /** `null`: there is none that could be opened. */
  readonly opened: OpenedBuffer | null;
  readonly tail: Tail;
  /** What is in memory goes to disk. Throws `DatabaseError` if the disk refuses, or is not there. */
  flush(): OpenedBuffer;
  /** It refused; it is tried again by itself. Throws on what is no refusal. */
  refused(error: unknown): DatabaseError;
}

const NOTHING: BufferCounts = {
  pending: 0,
  setAside: 0,
  sizeBytes: 0,
  oldestPendingMs: null,
  appended: 0,
  delivered: 0,
  dropped: { system_info: 0, updates: 0, dependencies: 0, log: 0 },
  firstDropMs: null,
  purged: 0,
};

export class LastingBuffer implements EventBuffer {
  readonly #disk: Disk;
  /** As last read, each, for when the disk cannot be read. */
  #counted: BufferCounts = NOTHING;
  #waiting: Waiting = NOTHING;
  #isDirect = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * Runs `work` on the disk alone, after what is in memory: an append in it is refused where the disk
   * refuses, so that it is part of the work's own transaction. Throws `DatabaseError`.
   */
  onDisk<T>(work: (opened: OpenedBuffer) => T): T {
    const before = this.#isDirect;
    try {
      const opened = this.#disk.flush();
      this.#isDirect = true;
      return work(opened);
    } catch (error) {
      throw error instanceof DatabaseError ? this.#disk.refused(error) : error;
    } finally {
      this.#isDirect = before;
    }
  }

  /** As `onDisk`, for what can be done without: then it is `otherwise`. */
  onDiskIfAny<T>(work: (opened: OpenedBuffer) => T, otherwise: T): T {
    return this.#onOpened(work, () => otherwise);
  }

  append(events: readonly NewEvent[]): Appended {
    if (this.#isDirect) return this.#disk.flush().buffer.append(events);
    try {
      // First what came first, so that the order within a command is kept.
      return this.#disk.flush().buffer.append(events);
    } catch (error) {
      return this.#disk.tail.append(events, this.#disk.refused(error));
    }
  }

  sortIn(): void {
    this.#onOpened((opened) => opened.buffer.sortIn(), () => {});
  }

  next(limit: number, passedOver: ReadonlySet<string> = new Set()): StoredEvent[] {
    const { opened, tail } = this.#disk;
    const inMemory = tail.next(limit, passedOver).map(behindDisk);
    if (opened === null) return inMemory.filter(isAlone);
    try {
      const owed = tail.owed;
      const onDisk = owed.size >= MAX_OWED
        ? []
        : opened.buffer.next(limit, new Set([...passedOver, ...owed]));
      const isBehind = owed.size >= MAX_OWED ? isAlone : () => true;
      return [...onDisk, ...inMemory.filter(isBehind)].slice(0, limit);
    } catch (error) {
      this.#disk.refused(error);
      return inMemory.filter(isAlone);
    }
  }

  acknowledge(ids: readonly string[]): void {
    const { tail } = this.#disk;
    const onDisk = ids.filter((id) => !tail.has(id));
    tail.buffer?.acknowledge(ids);
    if (onDisk.length === 0) return;
    this.#onOpened((opened) => opened.buffer.acknowledge(onDisk), () => tail.owe(onDisk));
  }

  refuse(id: string, error: string, options?: { isFinal?: boolean }): StoredEvent["state"] {
    const { tail } = this.#disk;
    if (tail.has(id)) return tail.buffer!.refuse(id, error, options);
    // Where the disk cannot count the attempt, it was none.
    return this.#onOpened((opened) => opened.buffer.refuse(id, error, options), () => "pending");
  }

  /** Where the disk cannot note it, the server is not asked, and the event is sent again. */
  noteUnanswered(id: string): void {
    const { tail } = this.#disk;
    if (tail.has(id)) tail.buffer!.noteUnanswered(id);
    else this.#onOpened((opened) => opened.buffer.noteUnanswered(id), () => {});
  }

  split(
    id: string,
    halves: readonly [string, string],
    reason: { error: string; isCounted: boolean },
  ): readonly string[] {
    const { tail } = this.#disk;
    if (tail.has(id)) return tail.buffer!.split(id, halves, reason);
    return this.#onOpened((opened) => opened.buffer.split(id, halves, reason), () => []);
  }

  list(options: { state?: StoredEvent["state"]; limit?: number } = {}): StoredEvent[] {
    return this.#both((buffer) => buffer.list(options)).slice(0, options.limit);
  }

  find(idPrefix: string, limit: number): StoredEvent[] {
    const found = this.#both((buffer) => buffer.find(idPrefix, limit));
    return found.sort((a, b) => a.id < b.id ? -1 : 1).slice(0, limit);
  }

  requeue(ids: readonly string[] | "all"): number {
    const inMemory = this.#disk.tail.buffer?.requeue(ids) ?? 0;
    return inMemory + this.#onOpened((opened) => opened.buffer.requeue(ids), () => 0);
  }

  purge(id: string): boolean {
    const { tail } = this.#disk;
    if (tail.has(id)) return tail.buffer!.purge(id);
    return this.#onOpened((opened) => opened.buffer.purge(id), () => false);
  }

  counts(): BufferCounts {
    this.#onOpened((opened) => this.#counted = opened.buffer.counts(), () => this.#counted);
    const { tail } = this.#disk;
    const inMemory = tail.counts();
    const owed = Math.min(tail.owed.size, this.#counted.pending);
    const onDisk = {
      ...this.#counted,
      pending: this.#counted.pending - owed,
      delivered: this.#counted.delivered + owed,
    };
    return inMemory === null ? onDisk : sum(onDisk, inMemory);
  }

  countWaiting(): Waiting {
    const { owed, buffer } = this.#disk.tail;
    const onDisk = this.#onOpened(
      (opened) => this.#waiting = opened.buffer.countWaiting(),
      () => this.#waiting,
    );
    const inMemory = buffer?.countWaiting();
    return {
      pending: Math.max(0, onDisk.pending - owed.size) + (inMemory?.pending ?? 0),
      setAside: onDisk.setAside + (inMemory?.setAside ?? 0),
    };
  }

  #both(read: (buffer: EventBuffer) => StoredEvent[]): StoredEvent[] {
    const { tail } = this.#disk;
    const onDisk = this.#onOpened((opened) => read(opened.buffer), () => []);
    return [
      ...onDisk.filter(({ id }) => !tail.owed.has(id)),
      ...tail.buffer === null ? [] : read(tail.buffer),
    ];
  }

  #onOpened<T>(work: (opened: OpenedBuffer) => T, otherwise: () => T): T {
    const { opened } = this.#disk;
    if (opened === null) return otherwise();
    try {
      return work(opened);
    } catch (error) {
      this.#disk.refused(error);
      return otherwise();
    }
  }
}

/** Added to the sequences and places in memory, which begin at 1 as the disk's do. */
const BEHIND_DISK = 2 ** 52;

/** What is in memory came after all that is on disk: its place is not to be taken for the disk's. */
function behindDisk(event: StoredEvent): StoredEvent {
  return {
    ...event,
    sequence: event.sequence + BEHIND_DISK,
    place: event.place + BEHIND_DISK,
  };
}

/** Whether nothing that came before it has to go first. */
function isAlone({ commandId }: StoredEvent): boolean {
  return commandId === null;
}

function sum(a: BufferCounts, b: BufferCounts): BufferCounts {
  const dropped = (kind: EventKind) => a.dropped[kind] + b.dropped[kind];
  return {
    pending: a.pending + b.pending,
    setAside: a.setAside + b.setAside,
    sizeBytes: a.sizeBytes + b.sizeBytes,
    oldestPendingMs: earliest(a.oldestPendingMs, b.oldestPendingMs),
    appended: a.appended + b.appended,
    delivered: a.delivered + b.delivered,
    dropped: {
      system_info: dropped("system_info"),
      updates: dropped("updates"),
      dependencies: dropped("dependencies"),
      log: dropped("log"),
    },
    firstDropMs: earliest(a.firstDropMs, b.firstDropMs),
    purged: a.purged + b.purged,
  };
}

function earliest(...instants: readonly (number | null)[]): number | null {
  const known = instants.filter((ms) => ms !== null);
  return known.length === 0 ? null : Math.min(...known);
}
