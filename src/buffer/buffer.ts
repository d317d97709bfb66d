/**
 * The event buffer: everything the agent has to report, on disk until the server has it. Appending is
 * durable before it returns. `src/delivery/drain.ts` sends; `dequeue_order.ts` decides what goes first.
 */

import type { Log } from "../log.ts";

/**
 * What an event may report, which decides the call that carries it. `agent_event`: what happened to the
 * agent itself; several go in one call.
 */
export const EVENT_KINDS = [
  "agent_event",
  "circuit_breakers",
  "system_info",
  "storage_metrics",
  "system_metrics",
  "updates",
  "dependencies",
  "log",
] as const;

/** What an event reports. */
export type EventKind = typeof EVENT_KINDS[number];

/** A number for each kind. */
export type CountByKind = Readonly<Record<EventKind, number>>;

/** A value for each kind, by a function of the kind. */
export function byKind<T>(valueOf: (kind: EventKind) => T): Record<EventKind, T> {
  const values = EVENT_KINDS.map((kind) => [kind, valueOf(kind)] as const);
  return Object.fromEntries(values) as Record<EventKind, T>;
}

/** An event to append. */
export interface NewEvent {
  readonly kind: EventKind;
  /** The server's command that this answers; order within a command is kept. */
  readonly commandId: string | null;
  /** A later event with the same key supersedes this one: `updates/apt`. */
  readonly snapshotOf: string | null;
  /** The request's body as JSON text. */
  readonly body: string;
}

/** An event in the buffer. */
export interface StoredEvent extends NewEvent {
  /** Stable across restarts and resends: a UUIDv7. */
  readonly id: string;
  /** Order of appending. */
  readonly sequence: number;
  /** Dequeue order: its own sequence, or that of the event which it is a part of. */
  readonly place: number;
  readonly createdMs: number;
  /** Refusals of this event by the server; an outage is none. */
  readonly attempts: number;
  readonly state: "pending" | "dead_lettered";
  readonly lastError: string | null;
  /** Whether an event with the same `snapshotOf` was appended after it. */
  readonly isSuperseded: boolean;
  readonly sizeBytes: number;
}

/** Which event it is, and what it has to wait for. */
export type EventKey = Pick<StoredEvent, "id" | "commandId" | "place">;

/** Bodies of a page of events are in memory together; a single larger one is a page by itself. */
export const PAGE_BYTES = 1_048_576;

/** How many events wait for the server, and how many for a person. */
export type Waiting = Pick<BufferCounts, "pending" | "deadLetters">;

/** What is in the buffer and what went through it, since it was created. */
export interface BufferCounts {
  readonly pending: number;
  readonly deadLetters: number;
  readonly sizeBytes: number;
  readonly oldestPendingMs: number | null;
  readonly appended: number;
  readonly delivered: number;
  /** Evicted from a full buffer, by kind. */
  readonly evicted: CountByKind;
  /** When the first of those was evicted; `null`: none was. */
  readonly firstEvictionMs: number | null;
  /** Dead letters that a person deleted. */
  readonly purged: number;
}

/** What an append did. */
export interface Appended {
  /** In the order of the events; includes those that found no room. */
  readonly ids: readonly string[];
  /** Evicted events by kind: earlier ones, or new ones that matter less than those. */
  readonly evicted: CountByKind;
}

/** Bounds of the buffer; see `Config`. */
export interface BufferLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAttempts: number;
}

/** Where events are appended. */
export type EventQueue = Pick<EventBuffer, "append">;

/**
 * What the agent needs of the buffer. Methods throw `DatabaseError` when the disk refuses, and then
 * have done nothing. Always: appended = delivered + pending + dead letters + evicted + purged.
 */
export interface EventBuffer {
  /**
   * Appends events, all or none; when it returns they survive a power cut. A full buffer evicts
   * superseded snapshots first, then the oldest of the least important events; dead letters take room
   * and stay. One more event reports what was evicted (`eviction.ts`), and its room is reserved.
   * Throws `BufferError` at an event that is larger than the whole buffer.
   */
  append(events: readonly NewEvent[]): Appended;
  /**
   * Indexes what was appended, so that the next look-up need not; for idle moments. Does nothing
   * where the disk refuses.
   */
  indexPending(): void;
  /**
   * The next events to send, most urgent first, in order within a command: at most `limit`, without
   * those in `passedOver`, and no further one once their bodies take `PAGE_BYTES`.
   */
  next(limit: number, passedOver?: ReadonlySet<string>): StoredEvent[];
  /** Deletes events that the server has. Unknown ids are ignored. */
  acknowledge(ids: readonly string[]): void;
  /**
   * Counts the server's refusal of this event alone; at `maxAttempts`, or where the refusal
   * `isFinal`, the event becomes a dead letter. Returns its state; `dead_lettered` too for an event
   * that was evicted meanwhile, since nothing waits for it.
   */
  refuse(id: string, error: string, options?: { isFinal?: boolean }): StoredEvent["state"];
  /**
   * Notes that this event was sent without an answer. For a command's log the server can be asked
   * (`CommandJournal`); for any other kind this does nothing.
   */
  noteUnanswered(id: string): void;
  /**
   * Replaces an event that the server refused by its two halves. Each half has one attempt more if
   * the refusal `isCounted`, yet never the last one. They count as one more appended event. Returns
   * their ids, none if the event is no longer pending. May exceed the buffer's bounds by what one
   * event takes besides its body.
   */
  bisect(
    id: string,
    halves: readonly [string, string],
    reason: { error: string; isCounted: boolean },
  ): readonly string[];
  /** Whether an event with this `snapshotOf` is pending; `true` where the disk does not say. */
  hasPending(snapshotOf: string): boolean;
  /** The event with this id, if there is one. */
  find(id: string): StoredEvent | null;
  /** How much is waiting, cheap enough for every step of the loop. */
  countWaiting(): Waiting;
}

/** Appends events, and logs what was evicted for them. Throws what `append` throws. */
export function appendEvents(queue: EventQueue, log: Log, events: readonly NewEvent[]): void {
  const { evicted } = queue.append(events);
  if (Object.values(evicted).every((count) => count === 0)) return;
  log.warning("events evicted, the buffer is full", evicted);
}
