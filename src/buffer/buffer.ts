/**
 * The event buffer: everything the agent has to tell the server, on disk until the server has it.
 * Appending is durable before it returns; sending is `drain.ts`, what goes first is `rules.ts`.
 */

/** What an event tells, which decides the call that carries it. */
export type EventKind = "updates" | "log" | "dependencies" | "system_info";

/** An event to be kept. */
export interface NewEvent {
  readonly kind: EventKind;
  /** The server's command that this answers; order within a command is kept. */
  readonly commandId: string | null;
  /** Events with the same key replace each other when room is short: `updates/apt`. */
  readonly snapshotOf: string | null;
  /** The request's body as JSON text. */
  readonly body: string;
}

/** An event that is kept. */
export interface StoredEvent extends NewEvent {
  /** Stable across restarts and resends: a UUIDv7. */
  readonly id: string;
  /** Order of appending. */
  readonly sequence: number;
  /** Order of sending: its own sequence, or that of the event which it is a part of. */
  readonly place: number;
  readonly createdMs: number;
  /** Answers of the server about this event; an outage is none. */
  readonly attempts: number;
  readonly state: "pending" | "set_aside";
  readonly lastError: string | null;
  readonly sizeBytes: number;
}

/** Which event it is, and what it has to wait for. */
export type EventKey = Pick<StoredEvent, "id" | "commandId" | "place">;

/** Bodies of a page of events are in memory together; a single larger one is a page by itself. */
export const PAGE_BYTES = 1_048_576;

/** How many events wait: for the server, and for a person. */
export type Waiting = Pick<BufferCounts, "pending" | "setAside">;

/** What is in the buffer and what went through it, since it was made. */
export interface BufferCounts {
  readonly pending: number;
  readonly setAside: number;
  readonly sizeBytes: number;
  readonly oldestPendingMs: number | null;
  readonly appended: number;
  readonly delivered: number;
  /** Dropped to make room, by kind. */
  readonly dropped: Readonly<Record<EventKind, number>>;
  /** When the first of those was dropped; `null`: none was. */
  readonly firstDropMs: number | null;
  /** Set aside, and deleted by a person. */
  readonly purged: number;
}

/** What an append did. */
export interface Appended {
  /** In the order of the events; of those that found no room too. */
  readonly ids: readonly string[];
  /** What went to make room, by kind: earlier events, or new ones that matter less than those. */
  readonly dropped: Readonly<Record<EventKind, number>>;
}

/** Bounds of the buffer; see `Config`. */
export interface BufferLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAttempts: number;
}

/**
 * The store. Methods throw `DatabaseError` when the disk refuses, and then have done nothing. Always:
 * appended = delivered + pending + set aside + dropped + purged.
 */
export interface EventBuffer {
  /**
   * Keeps events, all or none; when it returns they survive a power cut. When the buffer is full,
   * superseded snapshots go first, then the oldest of what matters least; what was set aside takes
   * room, and stays. What went is told by one more event, `drop_notice.ts`, whose room is always
   * kept free. Throws `BufferError` at an event that is larger than the whole buffer.
   */
  append(events: readonly NewEvent[]): Appended;
  /**
   * Does what an append has put off, so that whoever looks for an event next need not; to be called
   * when there is nothing else to do. Does nothing where the disk refuses.
   */
  sortIn(): void;
  /**
   * The next events to send, most important first, in order within a command: at most `limit`, without
   * those in `passedOver`, and no further one once they take `PAGE_BYTES`.
   */
  next(limit: number, passedOver?: ReadonlySet<string>): StoredEvent[];
  /** The server has these: they are done. An id that is not in the buffer is passed over. */
  acknowledge(ids: readonly string[]): void;
  /**
   * The server refused this event by itself; at `maxAttempts`, or where that is `isFinal`, it is set
   * aside. An event dropped meanwhile answers `set_aside`: nothing waits for it either.
   */
  refuse(id: string, error: string, options?: { isFinal?: boolean }): StoredEvent["state"];
  /**
   * This event was sent, and nobody knows whether the server has it: of a command's log the server
   * itself may be asked (`CommandJournal`), of no other kind.
   */
  noteUnanswered(id: string): void;
  /**
   * The server did not take this event, and may take one of its halves: two events go on in its
   * place, each with one attempt more than it had if that is counted, yet never one that is the last.
   * They count as one more appended. Answers their ids, none if the event is no longer pending. May
   * go past the buffer's bounds by what one event takes besides its body.
   */
  split(
    id: string,
    halves: readonly [string, string],
    reason: { error: string; isCounted: boolean },
  ): readonly string[];
  /** Kept events, oldest first. */
  list(
    options?: { state?: StoredEvent["state"]; limit?: number },
  ): StoredEvent[];
  /** Kept events whose id is this or begins with it, by id. */
  find(idPrefix: string, limit: number): StoredEvent[];
  /**
   * Events that were set aside wait again, as if they had never been refused; only the last error
   * stays. Answers how many; one that is not set aside is passed over.
   */
  requeue(ids: readonly string[] | "all"): number;
  /** Deletes an event that was set aside, for good; `false`, and nothing done, if it was not. */
  purge(id: string): boolean;
  counts(): BufferCounts;
  /** As `counts()`, cheap enough to be asked at every step. */
  countWaiting(): Waiting;
}
