/**
 * Drains the buffer: sends its events in order, several at once, and writes down what became of each.
 * Which report may go, and what an answer means, is decided elsewhere.
 */

import {
  type EventBuffer,
  type EventKey,
  type EventKind,
  PAGE_BYTES,
  type StoredEvent,
} from "../buffer/buffer.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../system/system.ts";
import {
  type FailureAttribution,
  type KnownRefusal,
  type Outcome,
  type ReportRefusal,
} from "./failure_attribution.ts";
import { bisectBody, isSingleItem } from "./report_body.ts";

/** Sends single reports for a drain. */
export interface ReportSender {
  /** `others`: what goes in the same call, and is delivered with it. */
  send(event: StoredEvent, others: readonly StoredEvent[]): Promise<Outcome>;
  /** How many reports may be in flight with this one; 0: no further report in this drain. @default 1 */
  maxInFlight?(event: StoredEvent): number;
  /** How many events of a kind one call carries now. @default 1 */
  maxTogether?(kind: EventKind): number;
}

/** What a drain works with. */
export interface DrainDeps {
  readonly clock: Pick<Clock, "turn">;
  readonly buffer: EventBuffer;
  readonly log: Log;
  readonly sender: ReportSender;
  /** Learns of dead letters and bisected events. @default none */
  readonly attribution?: Pick<FailureAttribution, "forget" | "bisected">;
  /** Events to pass over in this drain; no event waits for one without a `commandId`. @default none */
  readonly postponed?: Iterable<EventKey>;
}

/** Events read together; each is sent by itself. */
const PAGE_EVENTS = 64;

/**
 * Deliveries acknowledged together while others are in flight, because each write waits for the disk.
 * After a crash in between, this many are sent once more.
 */
const GROUP_EVENTS = 16;

interface DrainResult {
  readonly delivered: number;
  /** Refused, and to be sent again. */
  readonly refused: number;
  readonly deadLettered: number;
}

/**
 * Sends the pending events, most important first, until the buffer is empty, an outcome is `later` or
 * the server accepts no more for now. Several events may be in flight at once, but only one per
 * command. An event is acknowledged only when the server has it. A refused event is bisected if that
 * may help, and becomes a dead letter in the end. It holds up only its own command's events; a single
 * item of a list not even those.
 */
export async function drain(deps: DrainDeps): Promise<DrainResult> {
  const run = new Drain(deps);
  await run.sendAll();
  return run.result;
}

/** What happens with the events that have been read and not sent. */
type Next = "go_on" | "read_again" | "end";

class Drain {
  readonly result = { delivered: 0, refused: 0, deadLettered: 0 };
  readonly #deps: DrainDeps;
  /** These stay in the buffer, in front; reading past them reaches the others. */
  readonly #passedOver = new Set<string>();
  /**
   * The first place that a command waits for; `null`, no command, never waits. Parts of one event have
   * one place, and no order.
   */
  readonly #heldUp = new Map<string | null, number>();
  readonly #inFlight = new InFlight();
  /** Events that were read, in order, and are not in flight. */
  #waiting: StoredEvent[] = [];
  /** Whether the buffer may hold more, behind those that were read. */
  #hasMore = true;
  /** Delivered events that are not acknowledged yet. */
  #group: string[] = [];

  constructor(deps: DrainDeps) {
    this.#deps = deps;
    for (const event of deps.postponed ?? []) this.#passOver(event);
  }

  /** Returns when nothing is in flight any more, also if it throws. Later events belong to the next drain. */
  async sendAll(): Promise<void> {
    const inFlight = this.#inFlight;
    let next: Next = "go_on";
    try {
      while (true) {
        if (next === "read_again" && inFlight.size === 0) {
          this.#waiting = [];
          this.#hasMore = true;
          next = "go_on";
        }
        if (next === "go_on") next = this.#launch();
        if (inFlight.size === 0) return;
        if (this.#group.length >= GROUP_EVENTS) {
          // The requests go out first: the server works while this process waits for the disk.
          await this.#deps.clock.turn();
          this.#acknowledge();
        }
        const { event, others, outcome } = await inFlight.first();
        const then = this.#record(event, outcome);
        if (outcome.kind === "delivered") this.#recordOthers(others);
        if (next === "go_on") next = then;
        if (inFlight.size === 0) this.#acknowledge();
      }
    } finally {
      // Reports are left only if something threw; those that were delivered are not sent once more.
      for (const { event, others, outcome } of await inFlight.all()) {
        if (outcome.kind !== "delivered") continue;
        this.#group.push(event.id);
        this.#recordOthers(others);
      }
      this.#acknowledge();
    }
  }

  /** Sends as many as may be in flight now, and passes over what has to wait for another event. */
  #launch(): Next {
    const { sender } = this.#deps;
    const inFlight = this.#inFlight;
    this.#readPage();
    for (let at = 0; at < this.#waiting.length;) {
      const event = this.#waiting[at]!;
      if (this.#isHeldUp(event)) this.#passOver(event);
      else if (inFlight.hasOf(event)) {
        at += 1; // It is sent when the other one has its answer.
        continue;
      } else {
        const max = sender.maxInFlight?.(event) ?? 1;
        if (max === 0) return "end";
        if (inFlight.size >= max) return "go_on";
        const others = this.#takeOthers(at);
        inFlight.add(event, others, sender.send(event, others));
      }
      this.#waiting.splice(at, 1);
      this.#readPage();
    }
    return "go_on";
  }

  /** Reads the events in front, once all that were read are in flight or passed over. */
  #readPage(): void {
    while (this.#waiting.length === 0 && this.#hasMore) {
      const known = new Set([...this.#passedOver, ...this.#inFlight.ids(), ...this.#group]);
      this.#waiting = this.#deps.buffer.next(PAGE_EVENTS, known);
      const sizeBytes = this.#waiting.reduce((sum, event) => sum + event.sizeBytes, 0);
      this.#hasMore = this.#waiting.length === PAGE_EVENTS || sizeBytes >= PAGE_BYTES;
    }
  }

  /** Takes what may go in the same call as the event at `at` out of the events behind it. */
  #takeOthers(at: number): StoredEvent[] {
    const waiting = this.#waiting;
    const { kind } = waiting[at]!;
    const most = (this.#deps.sender.maxTogether?.(kind) ?? 1) - 1;
    let count = 0;
    while (count < most && waiting[at + 1 + count]?.kind === kind) count += 1;
    return waiting.splice(at + 1, count);
  }

  #recordOthers(others: readonly StoredEvent[]): void {
    this.#group.push(...others.map(({ id }) => id));
    this.result.delivered += others.length;
  }

  #acknowledge(): void {
    if (this.#group.length === 0) return;
    const ids = this.#group;
    this.#group = [];
    this.#deps.buffer.acknowledge(ids);
  }

  #record(event: StoredEvent, outcome: Outcome): Next {
    if (outcome.kind !== "delivered" && outcome.isUnanswered) {
      this.#deps.buffer.noteUnanswered(event.id);
    }
    switch (outcome.kind) {
      case "later":
        return "end";
      case "refused":
        return this.#refuse(outcome, outcome.isFinal);
      case "bisect":
        if (this.#bisect(outcome, { isCounted: false })) return "read_again";
        this.#passOverTried(event);
        return "go_on";
      case "unattributed":
        this.#passOverTried(event);
        return "go_on";
      case "delivered": {
        this.#group.push(event.id);
        this.result.delivered += 1;
        const next = outcome.alsoRefused ? this.#refuseKnown(outcome.alsoRefused) : "go_on";
        return outcome.isLast ? "end" : next;
      }
    }
  }

  #bisect(
    { event, why, mayBeOneItem }: ReportRefusal,
    { isCounted }: { isCounted: boolean },
  ): boolean {
    const { buffer, log, attribution } = this.#deps;
    const halves = mayBeOneItem ? bisectBody(event) : null;
    if (halves === null) return false;
    const ids = buffer.bisect(event.id, halves, { error: why, isCounted });
    if (ids.length === 0) return false; // The disk refused to write, or the event is no longer there.
    log.warning("event bisected", { event: event.id, kind: event.kind, why });
    attribution?.bisected(event.id, ids, isCounted);
    return true;
  }

  #refuseKnown({ id, ...refusal }: KnownRefusal): Next {
    const event = this.#deps.buffer.find(id);
    return event === null ? "go_on" : this.#refuse({ ...refusal, event });
  }

  #refuse(refusal: ReportRefusal, isFinal = false): Next {
    // The halves may come before the events that have been read.
    if (this.#bisect(refusal, { isCounted: true })) return "read_again";
    const { buffer, log, attribution } = this.#deps;
    const { event, why } = refusal;
    const { id, kind } = event;
    const isDead = buffer.refuse(id, why, { isFinal }) === "dead_lettered";
    const message = isDead ? "event dead-lettered" : "event refused";
    log.warning(message, { event: id, kind, attempts: event.attempts + 1, why });
    if (isDead) {
      this.result.deadLettered += 1;
      this.#passedOver.add(id);
      attribution?.forget(id);
    } else {
      this.result.refused += 1;
      this.#passOverTried(event);
    }
    return "go_on";
  }

  /** The server did not accept it. If it is a single item of a list, its command goes on without it. */
  #passOverTried(event: StoredEvent): void {
    this.#passOver(isSingleItem(event) ? { ...event, commandId: null } : event);
  }

  /** The later events of a command wait for the earlier ones. */
  #passOver({ id, commandId, place }: EventKey): void {
    this.#passedOver.add(id);
    if (commandId === null) return;
    this.#heldUp.set(commandId, Math.min(place, this.#heldUp.get(commandId) ?? Infinity));
  }

  #isHeldUp({ commandId, place }: StoredEvent): boolean {
    return place > (this.#heldUp.get(commandId) ?? Infinity);
  }
}

interface Sent {
  readonly event: StoredEvent;
  readonly others: readonly StoredEvent[];
  readonly outcome: Outcome;
}

/** What `send` threw. */
interface Failed {
  readonly event: StoredEvent;
  readonly error: unknown;
}

/** By what it is known which events must not overtake one. */
interface FollowedEvent {
  readonly commandId: string | null;
  /** The key by which a later event will supersede it; `null`: none will, or one has. */
  readonly snapshotOf: string | null;
}

class InFlight {
  readonly #events = new Map<string, FollowedEvent & { readonly others: readonly StoredEvent[] }>();
  /** Those with an answer that has not been taken yet. */
  readonly #ended: (Sent | Failed)[] = [];
  #notify: () => void = () => {};

  get size(): number {
    return this.#events.size;
  }

  /** Of all that is in flight. */
  *ids(): Generator<string> {
    for (const [id, { others }] of this.#events) {
      yield id;
      for (const other of others) yield other.id;
    }
  }

  /** Whether an event is in flight that this one must not overtake: of its command, or its snapshot. */
  hasOf({ commandId, snapshotOf }: FollowedEvent): boolean {
    return this.#events.values().some((one) =>
      commandId !== null && one.commandId === commandId ||
      snapshotOf !== null && one.snapshotOf === snapshotOf
    );
  }

  add(event: StoredEvent, others: readonly StoredEvent[], sending: Promise<Outcome>): void {
    const { commandId, isSuperseded } = event;
    const snapshotOf = isSuperseded ? null : event.snapshotOf;
    this.#events.set(event.id, { commandId, snapshotOf, others });
    const end = (ended: Sent | Failed) => {
      this.#ended.push(ended);
      this.#notify();
    };
    sending.then(
      (outcome) => end({ event, others, outcome }),
      (error: unknown) => end({ event, error }),
    );
  }

  /** Waits for the first answer. Throws what sending that event threw. */
  async first(): Promise<Sent> {
    const first = await this.#take();
    if ("error" in first) throw first.error;
    return first;
  }

  /** Waits for all that are left; returns those that have an answer. */
  async all(): Promise<Sent[]> {
    const all: Sent[] = [];
    while (this.size > 0) {
      const ended = await this.#take();
      if ("outcome" in ended) all.push(ended);
    }
    return all;
  }

  async #take(): Promise<Sent | Failed> {
    while (true) {
      const ended = this.#ended.shift();
      if (ended !== undefined) {
        this.#events.delete(ended.event.id);
        return ended;
      }
      await new Promise<void>((resolve) => this.#notify = resolve);
    }
  }
}
