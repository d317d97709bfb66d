/**
 * Whose fault it is when the server breaks over an event: a 500 or a 404 may be the event's or the
 * server's. It is the event's if others got through, so that an outage uses up nobody's attempts;
 * decisions 0006 and 0007.
 */

import type { EventKey } from "../buffer/buffer.ts";
import type { KnownRefusal, Refusal } from "../buffer/delivery.ts";
import type { Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy } from "./backoff.ts";

/** A server that refuses an event may be in the middle of something: its attempts are spread. */
export const REFUSED_AGAIN_MS = 60_000;

/** After an answer that may be the server's fault: a minute, doubling to an hour. */
const DOUBT: BackoffPolicy = { baseMs: 120_000, capMs: 3_600_000, floorMs: 60_000 };

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
}

/**
 * Whose fault a failure is. `its_own`: others got through. `still_unknown`: it is not the first time,
 * nothing else has got through since, and few events are in doubt.
 */
export type Fault = "its_own" | "unknown" | "still_unknown";

export class Blame {
  #delivered = 0;
  #recoveries = 0;
  readonly #putOff = new Map<string, PutOff>();
  /** Each half of an event, to the other, until one of them is delivered. */
  readonly #twins = new Map<string, string>();
  /** The other half got through where the whole did not: the reason is in this one. */
  readonly #proven = new Set<string>();

  /** The events that are not to be sent before an instant. */
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

  /** The server has it. Answers its other half's refusal, if that now turns out to be its own. */
  delivered(id: string): KnownRefusal | undefined {
    this.#delivered += 1;
    this.forget(id);
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
      ...withoutBody(refusal),
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
    const isOwn = this.#proven.has(id) ||
      before !== undefined && this.#delivered > before.delivered;
    this.#putOff.set(id, {
      ...withoutBody(refusal),
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

  /** Nothing waits any more. */
  clear(): void {
    this.#putOff.clear();
    this.#twins.clear();
    this.#proven.clear();
  }

  /** Whether the server has come round since, so that it may be tried before its time. */
  #isFree({ doubts, recoveries }: PutOff): boolean {
    return doubts > 0 && recoveries < this.#recoveries;
  }
}

function withoutBody({ event: { id, commandId, place }, ...refusal }: Refusal) {
  return { event: { id, commandId, place }, refusal };
}
