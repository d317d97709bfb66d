/**
 * Failure attribution: whether the event or the server causes a failed report. A 500 or a 404 may be
 * either. It is attributed to the event if others got through, so that an outage uses up no event's
 * attempts; decisions 0006, 0007 and 0017. A list with one bad item is bisected to find that item.
 */

import { backoffMs, type BackoffPolicy } from "../breaker/policies.ts";
import type { Verdict } from "../breaker/breaker.ts";
import type { EventKey, StoredEvent } from "../buffer/buffer.ts";
import type { Random } from "../system/system.ts";
import { bisectBody, isSingleItem } from "./report_body.ts";

/**
 * The outcome of sending one event, for the queue.
 *
 * `delivered`: the server has it; `isLast`: and accepts no more for now; `alsoRefused`: which shows
 * that an earlier failure was another event's own. `refused`: it counts against the event; `isFinal`:
 * often enough. `unattributed`: it may be the server's fault, and counts against nothing. `bisect`: the
 * same, and both halves are to be tried. `later`: the server has not judged the event, and the drain
 * ends. `isUnanswered`: the event may have arrived all the same.
 */
export type Outcome =
  | { readonly kind: "delivered"; readonly isLast: boolean; readonly alsoRefused?: KnownRefusal }
  | NotDelivered & { readonly isUnanswered?: boolean };

type NotDelivered =
  | { readonly kind: "refused"; readonly isFinal?: boolean } & ReportRefusal
  | { readonly kind: "bisect" } & ReportRefusal
  | { readonly kind: "unattributed" }
  | { readonly kind: "later" };

/** Whether the server did not accept the event, for whatever reason. */
export function isRefusal({ kind }: Outcome): boolean {
  return kind === "refused" || kind === "unattributed" || kind === "bisect";
}

/** What an answer means for the queue and, with its reason, for the report breaker. */
export interface Attributed {
  readonly outcome: Outcome;
  readonly verdict: Verdict;
  readonly reason?: string;
}

/**
 * An answer that does not accept an event. `status`: `null` where no answer came that says anything of the
 * event. `isSaid`: whether the server itself said so. @default true
 */
export interface Unaccepted {
  readonly status: number | null;
  readonly why: string;
  readonly isSaid?: boolean;
}

/** An event that the server did not accept, and the server's reason. */
export interface ReportRefusal {
  readonly event: StoredEvent;
  readonly why: string;
  /** One item, or the number of items, may be the cause: its halves may be accepted. */
  readonly mayBeOneItem: boolean;
}

/** A refusal of an event in the buffer, without its body. */
export interface KnownRefusal extends Omit<ReportRefusal, "event"> {
  readonly id: string;
}

/** A server that works and stores a log, and asks for it again all the same. */
const ASKED_AGAIN = 200;

/**
 * Statuses by which a server judges this very event. The cause of any other one may be the event, or a server
 * or proxy that is not set up, that lets no report through, or none with such a text in it.
 */
const JUDGED: ReadonlySet<number> = new Set([ASKED_AGAIN, 400, 409, 413, 422]);

/** Of these, what a proxy judges as well: that a report is too large. */
const JUDGED_BY_ANYONE: ReadonlySet<number> = new Set([413]);

/** Statuses that concern the whole event. The cause of others may be one item of many, or their number. */
const ABOUT_THE_WHOLE: ReadonlySet<number> = new Set([ASKED_AGAIN, 404, 409]);

/** The refusal of a log that the server has stored, and asks for again for this `reason`. */
export function askedAgain(reason: string): { readonly status: number; readonly why: string } {
  const why = reason === "" ? "" : `: ${reason}`;
  return { status: ASKED_AGAIN, why: `HTTP 200, but the server could not close the command${why}` };
}

/** Wait before a refused event is sent again, as the server may be in a temporary state. */
export const REFUSED_AGAIN_MS = 60_000;

/** Wait after a failure that may be the server's: a minute, doubling to an hour. */
const UNATTRIBUTED_BACKOFF: BackoffPolicy = { baseMs: 120_000, capMs: 3_600_000, floorMs: 60_000 };

/** This many refusals of a single item of a list are final, if other items got through. */
const MAX_REFUSALS_ALONE = 3;

/** This many failures in a row are no longer attributed to the bad items of one list. */
const MAX_IN_A_ROW = 3;

/** With more postponed events than this, a server that fails on everything gets no smaller parts. */
const MAX_POSTPONED = 8;

/** A server that fails by chance on one call in so many, or more, shows nothing of a single event. */
const WELL_RATIO = 5;

/** An event that the server did not accept, for now. */
interface Postponed {
  /** Without its body: many events may wait for long. */
  readonly event: EventKey;
  readonly refusal: Omit<ReportRefusal, "event">;
  /** How often the server failed on it. */
  readonly failures: number;
  readonly notBeforeMs: number;
  /** How many events had been delivered at the latest failure, and how often a call had got no answer. */
  readonly delivered: number;
  readonly outages: number;
  /** Whether the failure has been counted against the event. */
  readonly isCounted: boolean;
  /** How often the server had recovered by then. */
  readonly recoveries: number;
  /** The refusals of a single item of a list; `null`: the event is none. */
  readonly alone: Alone | null;
}

/** Refusals of a single item since the latest server failure. */
interface Alone {
  readonly refusals: number;
  /** How many reports of updates had been delivered at the first one. */
  readonly updatesBefore: number;
  /** How many server failures there had been by then. */
  readonly serverFailures: number;
  readonly list: string;
}

/**
 * The cause of a failure. `its_own`: the event, as others got through. `still_unknown`: it is not the
 * first failure, nothing else has got through since, and few events are postponed.
 */
export type Fault = "its_own" | "unknown" | "still_unknown";

export class FailureAttribution {
  #delivered = 0;
  #recoveries = 0;
  #serverFailures = 0;
  #outages = 0;
  /** Delivered reports of updates. */
  #updates = 0;
  /** Failures since the latest delivery. */
  #inARow = 0;
  /** Lists of which a part got through since the latest server failure. */
  readonly #lists = new Set<string>();
  readonly #postponed = new Map<string, Postponed>();
  /** Each half of an event and the other one, until one of them is delivered. */
  readonly #otherHalf = new Map<string, string>();
  /** Halves that contain the cause, since the other half was delivered. */
  readonly #proven = new Set<string>();
  /** Whether this drain has bisected an event although nothing gets through. */
  #hasBisected = false;

  /** The events that must not be sent before an instant; no other event waits for a single item. */
  postponedBeyond(instantMs: number): EventKey[] {
    return [...this.#postponed.values()].map(({ event }) => event)
      .filter(({ id }) => this.notBeforeMs(id) > instantMs);
  }

  /** Whether the server has not accepted the event before: later ones may have overtaken it. */
  isPostponed(id: string): boolean {
    return this.#postponed.has(id);
  }

  /** The event is delivered, or a dead letter. */
  forget(id: string): void {
    this.#postponed.delete(id);
    this.#proven.delete(id);
  }

  /** The instant before which an event is not sent again. */
  notBeforeMs(id: string): number {
    const postponed = this.#postponed.get(id);
    if (postponed === undefined) return -Infinity;
    return this.#isFree(postponed) ? -Infinity : postponed.notBeforeMs;
  }

  /**
   * The server accepts reports again after it had failed on everything: the postponed events need not
   * wait up to an hour more. Each is tried once ahead of time, and that attempt does not count.
   */
  recovered(): void {
    this.#recoveries += 1;
  }

  /** A call got no answer of the server: recent refusals may have been its fault as well. */
  recordServerFailure(): void {
    this.#outages += 1;
    this.#recordTrouble();
  }

  /** Something other than a single item of a list has failed. */
  #recordTrouble(): void {
    this.#serverFailures += 1;
    this.#lists.clear();
  }

  /**
   * Whether the latest refusal of a single item is final: it is the third since the latest server
   * failure, and other parts of its list, or later lists, got through.
   */
  isFinal(id: string): boolean {
    const alone = this.#postponed.get(id)?.alone ?? null;
    if (alone === null || alone.serverFailures !== this.#serverFailures) return false;
    const isProven = this.#lists.has(alone.list) || this.#updates > alone.updatesBefore;
    return isProven && alone.refusals >= MAX_REFUSALS_ALONE;
  }

  /** Records a delivery. Returns the refusal of the other half if that now proves to be its own. */
  delivered(
    event: Pick<StoredEvent, "id" | "kind" | "commandId" | "place" | "sequence">,
  ): KnownRefusal | undefined {
    const { id } = event;
    this.#delivered += 1;
    this.#inARow = 0;
    this.forget(id);
    if (event.kind === "updates") {
      this.#updates += 1;
      if (event.place !== event.sequence) this.#lists.add(listOf(event));
    }
    const other = this.#otherHalf.get(id);
    if (other === undefined) return undefined;
    this.#otherHalf.delete(id);
    this.#otherHalf.delete(other);
    this.#proven.add(other);
    const postponed = this.#postponed.get(other);
    if (postponed === undefined || postponed.isCounted) return undefined;
    this.#postponed.set(other, { ...postponed, isCounted: true });
    return { id: other, ...postponed.refusal };
  }

  /** A drain begins, in which one more event may be bisected although nothing gets through. */
  beginDrain(): void {
    this.#hasBisected = false;
  }

  /**
   * Attributes a refusal. Returns the outcome for the queue and the verdict for the report breaker,
   * which is `failure` if the server may be the cause. Without a status it never counts as an attempt, but
   * a list is bisected all the same.
   */
  attribute(
    event: StoredEvent,
    { status, why, isSaid = true }: Unaccepted,
    at: { nowMs: number; random: Random },
  ): Attributed {
    const mayBeOneItem = status === null || !ABOUT_THE_WHOLE.has(status);
    const refusal = { event, why, mayBeOneItem };
    const refused = (isFinal: boolean): Attributed => ({
      outcome: { kind: "refused", ...refusal, isFinal },
      verdict: "neutral",
    });
    if (status !== null && (isSaid ? JUDGED : JUDGED_BY_ANYONE).has(status)) {
      // Each further log that asks in vain is stored by the server as well.
      const waitMs = status === ASKED_AGAIN
        ? backoffMs(event.attempts + 1, UNATTRIBUTED_BACKOFF, at.random)
        : REFUSED_AGAIN_MS;
      this.refused(refusal, at.nowMs, waitMs);
      return refused(this.isFinal(event.id));
    }
    const fault = this.failed(refusal, { ...at, isJudged: status !== null });
    const isFinal = this.isFinal(event.id);
    // A whole list is bisected once without attribution: its halves show the cause.
    const isOwn = fault === "its_own" || mayBeOneItem && isWhole(event);
    if (status !== null && (isFinal || isOwn)) return refused(isFinal);
    // If nothing at all gets through, a part of an event may: one attempt per drain.
    const isTried = mayBeOneItem && fault === "still_unknown" && !this.#hasBisected;
    this.#hasBisected ||= isTried;
    const isBisected = isTried || status === null && mayBeOneItem && fault === "its_own";
    const outcome: Outcome = isBisected ? { kind: "bisect", ...refusal } : { kind: "unattributed" };
    return { outcome, verdict: "failure", reason: why };
  }

  /** Records that the server refuses this very event, which is sent again after `waitMs`. */
  refused(refusal: ReportRefusal, nowMs: number, waitMs: number = REFUSED_AGAIN_MS): void {
    this.#postponed.set(refusal.event.id, {
      ...this.#countAlone(refusal),
      failures: 0,
      notBeforeMs: nowMs + waitMs,
      delivered: this.#delivered,
      outages: this.#outages,
      isCounted: true,
      recoveries: this.#recoveries,
    });
  }

  /**
   * Records that the server failed on an event. Returns the cause, as far as it is known. `isJudged`:
   * whether it answered at all; else this is never counted, whatever it turns out to be. @default true
   */
  failed(
    refusal: ReportRefusal,
    { nowMs, random, isJudged = true }: { nowMs: number; random: Random; isJudged?: boolean },
  ): Fault {
    const { id } = refusal.event;
    const before = this.#postponed.get(id);
    if (before !== undefined && this.#isFree(before) && nowMs < before.notBeforeMs) {
      this.#postponed.set(id, { ...before, recoveries: this.#recoveries });
      return "unknown";
    }
    const failures = (before?.failures ?? 0) + 1;
    this.#inARow += 1;
    const isOfBadList = this.#inARow < MAX_IN_A_ROW && this.#lists.has(listOf(refusal.event));
    const isOwn = this.#proven.has(id) || isOfBadList ||
      before !== undefined && this.#isWellSince(before);
    const counted = this.#countAlone(refusal, isJudged ? 1 : 0);
    if (!isOwn && counted.alone === null) this.#recordTrouble();
    this.#postponed.set(id, {
      ...counted,
      failures,
      notBeforeMs: nowMs + backoffMs(failures, UNATTRIBUTED_BACKOFF, random),
      delivered: this.#delivered,
      outages: this.#outages,
      isCounted: isOwn || !isJudged,
      recoveries: this.#recoveries,
    });
    if (isOwn) return "its_own";
    return before === undefined || this.#postponed.size > MAX_POSTPONED
      ? "unknown"
      : "still_unknown";
  }

  /**
   * An event was bisected. If that did not count against it, the halves wait no shorter than the event
   * would have, should they fail as well.
   */
  bisected(id: string, [one, other]: readonly string[], isCounted: boolean): void {
    const before = this.#postponed.get(id);
    this.forget(id);
    if (one === undefined || other === undefined) return;
    if (before && !isCounted) {
      const inherited = { ...before, notBeforeMs: -Infinity, isCounted: true };
      for (const half of [one, other]) {
        this.#postponed.set(half, { ...inherited, event: { ...before.event, id: half } });
      }
    }
    this.#otherHalf.set(one, other);
    this.#otherHalf.set(other, one);
  }

  /** Whether other events got through since then, and far more of them than calls got no answer. */
  #isWellSince({ delivered, outages }: Postponed): boolean {
    return this.#delivered - delivered > WELL_RATIO * (this.#outages - outages);
  }

  /** When the first postponed event is due; in a minute at the latest. */
  nextDueAtMs(nowMs: number): number {
    const instants = [...this.#postponed.values()].map(({ notBeforeMs }) => notBeforeMs)
      .filter((instantMs) => instantMs > nowMs);
    return Math.min(nowMs + REFUSED_AGAIN_MS, ...instants);
  }

  /** What is stored of a refusal, without the body of the event. */
  #countAlone(
    refusal: ReportRefusal,
    more: 0 | 1 = 1,
  ): Pick<Postponed, "event" | "refusal" | "alone"> {
    const { event: { id, commandId, place }, ...rest } = refusal;
    const key = { id, commandId, place };
    if (!isSingleItem(refusal.event)) return { event: key, refusal: rest, alone: null };
    const before = this.#postponed.get(id)?.alone;
    const first = before?.serverFailures === this.#serverFailures ? before : {
      refusals: 0,
      updatesBefore: this.#updates,
      serverFailures: this.#serverFailures,
      list: listOf(refusal.event),
    };
    const alone = { ...first, refusals: first.refusals + more };
    return { event: { ...key, commandId: null }, refusal: rest, alone };
  }

  /** Forgets everything, as the buffer is empty. */
  clear(): void {
    this.#postponed.clear();
    this.#lists.clear();
    this.#otherHalf.clear();
    this.#proven.clear();
  }

  /** Whether the server has recovered since, so that the event may be tried ahead of time. */
  #isFree({ failures, recoveries }: Postponed): boolean {
    return failures > 0 && recoveries < this.#recoveries;
  }
}

/** A key that all parts of one list share. */
function listOf({ commandId, place }: Pick<StoredEvent, "commandId" | "place">): string {
  return `${place} ${commandId}`;
}

/** Whether an event holds several items and is not a part of another event. */
function isWhole(event: StoredEvent): boolean {
  return event.place === event.sequence && bisectBody(event) !== null;
}
