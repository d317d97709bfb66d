/**
 * Whose fault it is when the server breaks over an event: a 500 or a 404 may be the event's or the
 * server's. It is the event's if others got through, so that an outage uses up nobody's attempts;
 * decisions 0006, 0007 and 0017.
 */

import type { EventKey, StoredEvent } from "../buffer/buffer.ts";
import type { KnownRefusal, Refusal } from "../buffer/delivery.ts";
import { isSingleItem } from "../buffer/split.ts";
import type { Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy } from "./backoff.ts";

/** A server that refuses an event may be in the middle of something: its attempts are spread. */
export const REFUSED_AGAIN_MS = 60_000;

/** After an answer that may be the server's fault: a minute, doubling to an hour. */
const DOUBT: BackoffPolicy = { baseMs: 120_000, capMs: 3_600_000, floorMs: 60_000 };

/** So many refusals of a single item of a list are enough, while other items got through. */
const MOST_ALONE = 3;

/** So many refusals in a row are no longer taken for those of one list's bad items. */
const MOST_IN_A_ROW = 3;

/** A server that breaks over everything is not to be asked about ever smaller parts. */
const MOST_DOUBTED = 8;

/** An event that the server did not take, for now. */
interface PutOff {
  /** Without its body: many of these may wait for long. */
  readonly event: EventKey;
  readonly refusal: Omit<Refusal, "event">;
  /** How often the server broke over it. */
  readonly doubts: number;
  readonly notBeforeMs: number;
  /** How many events had been delivered when that last happened. */
  readonly delivered: number;
  /** Whether it has been counted against the event. */
  readonly isCounted: boolean;
  /** How often the server had come round by then. */
  readonly recoveries: number;
  /** Of a single item of a list: its refusals in a row; `null`: it is none. */
  readonly alone: Alone | null;
}

/** Refusals of a single item since the server last was in trouble. */
interface Alone {
  readonly refusals: number;
  /** How many reports of updates had been delivered at the first one. */
  readonly updatesBefore: number;
  /** How often the server had been in trouble by then. */
  readonly troubles: number;
  readonly list: string;
}

/** An event that the server has, as far as it tells of others. */
export type DeliveredEvent = Pick<StoredEvent, "id" | "kind" | "commandId" | "place" | "sequence">;

/**
 * Whose fault a failure is. `its_own`: others got through. `still_unknown`: it is not the first time,
 * nothing else has got through since, and few events are in doubt.
 */
export type Fault = "its_own" | "unknown" | "still_unknown";

export class Blame {
  #delivered = 0;
  #recoveries = 0;
  #troubles = 0;
  /** Reports of updates that were delivered. */
  #updates = 0;
  /** Reports that were not taken since one was. */
  #inARow = 0;
  /** Lists of which a part got through since the server last was in trouble. */
  readonly #lists = new Set<string>();
  readonly #putOff = new Map<string, PutOff>();
  /** Each half of an event, to the other, until one of them is delivered. */
  readonly #twins = new Map<string, string>();
  /** The other half got through where the whole did not: the reason is in this one. */
  readonly #proven = new Set<string>();

  /** The events that are not to be sent before an instant; for a single item nothing waits. */
  putOffBeyond(instantMs: number): EventKey[] {
    return [...this.#putOff.values()].map(({ event }) => event)
      .filter(({ id }) => this.notBeforeMs(id) > instantMs);
  }

  /** It is done, or set aside and not sent again. */
  forget(id: string): void {
    this.#putOff.delete(id);
    this.#proven.delete(id);
  }

  /** Not before this instant is the event to be sent again. */
  notBeforeMs(id: string): number {
    const putOff = this.#putOff.get(id);
    if (putOff === undefined) return -Infinity;
    return this.#isFree(putOff) ? -Infinity : putOff.notBeforeMs;
  }

  /**
   * The server had broken over everything, and takes reports again: what it broke over need not wait
   * for an hour more. Each is tried once before its time, and that try counts for nothing.
   */
  recovered(): void {
    this.#recoveries += 1;
  }

  /**
   * Something other than a single item of a list was not taken: what was refused lately may have been
   * the server's fault, too.
   */
  trouble(): void {
    this.#troubles += 1;
    this.#lists.clear();
  }

  /**
   * Whether the last refusal of a single item is enough: it is the third since the server was last in
   * trouble, and other parts of its list, or other lists since, got through.
   */
  isFinal(id: string): boolean {
    const alone = this.#putOff.get(id)?.alone ?? null;
    if (alone === null || alone.troubles !== this.#troubles) return false;
    const isProven = this.#lists.has(alone.list) || this.#updates > alone.updatesBefore;
    return isProven && alone.refusals >= MOST_ALONE;
  }

  /** The server has it. Answers its other half's refusal, if that now turns out to be its own. */
  delivered(event: DeliveredEvent): KnownRefusal | undefined {
    const { id } = event;
    this.#delivered += 1;
    this.#inARow = 0;
    this.forget(id);
    if (event.kind === "updates") {
      this.#updates += 1;
      if (event.place !== event.sequence) this.#lists.add(listOf(event));
    }
    const twin = this.#twins.get(id);
    if (twin === undefined) return undefined;
    this.#twins.delete(id);
    this.#twins.delete(twin);
    this.#proven.add(twin);
    const putOff = this.#putOff.get(twin);
    if (putOff === undefined || putOff.isCounted) return undefined;
    this.#putOff.set(twin, { ...putOff, isCounted: true });
    return { id: twin, ...putOff.refusal };
  }

  /** The server says no to this very event. */
  refused(refusal: Refusal, nowMs: number): void {
    this.#putOff.set(refusal.event.id, {
      ...this.#countAlone(refusal),
      doubts: 0,
      notBeforeMs: nowMs + REFUSED_AGAIN_MS,
      delivered: this.#delivered,
      isCounted: true,
      recoveries: this.#recoveries,
    });
  }

  /** The server broke over it: whose fault that is, as far as can be known. */
  broke(refusal: Refusal, { nowMs, random }: { nowMs: number; random: Random }): Fault {
    const { id } = refusal.event;
    const before = this.#putOff.get(id);
    if (before !== undefined && this.#isFree(before) && nowMs < before.notBeforeMs) {
      this.#putOff.set(id, { ...before, recoveries: this.#recoveries });
      return "unknown";
    }
    const doubts = (before?.doubts ?? 0) + 1;
    this.#inARow += 1;
    const isLists = this.#inARow < MOST_IN_A_ROW && this.#lists.has(listOf(refusal.event));
    const isOwn = this.#proven.has(id) || isLists ||
      before !== undefined && this.#delivered > before.delivered;
    const counted = this.#countAlone(refusal);
    if (!isOwn && counted.alone === null) this.trouble();
    this.#putOff.set(id, {
      ...counted,
      doubts,
      notBeforeMs: nowMs + backoffMs(doubts, DOUBT, random),
      delivered: this.#delivered,
      isCounted: isOwn,
      recoveries: this.#recoveries,
    });
    if (isOwn) return "its_own";
    return before === undefined || this.#putOff.size > MOST_DOUBTED ? "unknown" : "still_unknown";
  }

  /**
   * An event goes on as these two. If that was no fault of its own, they wait no shorter than it would
   * have, should they fail as well.
   */
  split(id: string, [one, other]: readonly string[], isCounted: boolean): void {
    const before = this.#putOff.get(id);
    this.forget(id);
    if (one === undefined || other === undefined) return;
    if (before && !isCounted) {
      const doubted = { ...before, notBeforeMs: -Infinity, isCounted: true };
      for (const half of [one, other]) {
        this.#putOff.set(half, { ...doubted, event: { ...before.event, id: half } });
      }
    }
    this.#twins.set(one, other);
    this.#twins.set(other, one);
  }

  /** When the first of those that were put off is due; in a minute at the latest. */
  nextMs(nowMs: number): number {
    const instants = [...this.#putOff.values()].map(({ notBeforeMs }) => notBeforeMs)
      .filter((instantMs) => instantMs > nowMs);
    return Math.min(nowMs + REFUSED_AGAIN_MS, ...instants);
  }

  /** What is kept of a refusal; its body is not. */
  #countAlone(refusal: Refusal): Pick<PutOff, "event" | "refusal" | "alone"> {
    const { event: { id, commandId, place }, ...rest } = refusal;
    if (!isSingleItem(refusal.event)) {
      return { event: { id, commandId, place }, refusal: rest, alone: null };
    }
    const before = this.#putOff.get(id)?.alone;
    const first = before?.troubles === this.#troubles ? before : {
      refusals: 0,
      updatesBefore: this.#updates,
      troubles: this.#troubles,
      list: listOf(refusal.event),
    };
    const alone = { ...first, refusals: first.refusals + 1 };
    return { event: { id, commandId: null, place }, refusal: rest, alone };
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#putOff.clear();
    this.#lists.clear();
    this.#twins.clear();
    this.#proven.clear();
  }

  /** Whether the server has come round since, so that it may be tried before its time. */
  #isFree({ doubts, recoveries }: PutOff): boolean {
    return doubts > 0 && recoveries < this.#recoveries;
  }
}

/** The same for all parts of one list. */
function listOf({ commandId, place }: Pick<StoredEvent, "commandId" | "place">): string {
  return `${place} ${commandId}`;
}
