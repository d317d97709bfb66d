/** Drains the buffer: sends events one by one, at the server's pace, until told to stop. */

import type { Log } from "../log.ts";
import { type EventBuffer, type EventKey, PAGE_BYTES, type StoredEvent } from "./buffer.ts";
import { isSingleItem, splitBody } from "./split.ts";

/**
 * What came of sending one event.
 *
 * `delivered`: the server has it; `isLast`: and takes no more for now; `alsoRefused`: which shows
 * that an earlier failure was another event's own. `refused`: the server will not have this one;
 * `isFinal`: it has said so often enough.
 * `doubtful`: it broke over this one, and may break over any. `divided`: the same, and its halves
 * are to be tried. `later`: nothing is known of the event; the way to the server is not free;
 * `isUnanswered`: it may have got there all the same.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly isLast: boolean; readonly alsoRefused?: KnownRefusal }
  | { readonly kind: "refused"; readonly isFinal?: boolean } & Refusal
  | { readonly kind: "divided" } & Refusal
  | { readonly kind: "doubtful" }
  | { readonly kind: "later"; readonly isUnanswered?: boolean };

/** An event that the server will not have, and its word for that. */
export interface Refusal {
  readonly event: StoredEvent;
  readonly why: string;
  /** The reason may lie in one item, or in their number: halves may fare better. */
  readonly mayBeOneItem: boolean;
}

/** A refusal of an event that waits in the buffer: its body is not kept in memory. */
export interface KnownRefusal extends Omit<Refusal, "event"> {
  readonly id: string;
}

/** Who carries the events to the server. */
export interface Courier {
  send(event: StoredEvent): Promise<Delivery>;
  /** How many events may be on their way at once, now. @default 1 */
  mostInFlight?(): number;
  /** Passed over in this round; without a `commandId` nothing waits for it. @default none */
  readonly putOff?: Iterable<EventKey>;
  /** An event was set aside: it is not sent again unless a person wants it. */
  onSetAside?(id: string): void;
  /** An event goes on as these two, which are sent in this round; `isCounted`: it was its own fault. */
  onSplit?(event: StoredEvent, halves: readonly string[], isCounted: boolean): void;
}

/** Events looked at together; each is sent by itself. */
const PAGE_EVENTS = 64;

/**
 * Deliveries that are written down together, while others are still on their way: each write waits for
 * the disk. A crash in between has so many sent once more.
 */
const GROUP_EVENTS = 16;

/** What a round of delivery did. */
export interface Drained {
  readonly delivered: number;
  /** Events that the server would not have, and that are to be told again. */
  readonly refused: number;
  readonly setAside: number;
}

/**
 * Sends what is pending, most important first, until the buffer is empty, the courier says `later` or
 * the server takes no more for now. Several events may be on their way at once, but only one of a
 * command. An event is forgotten only when the server has it; one that is refused is split if that may
 * help, is set aside in the end, and holds up none but its own command's; a single item of a list not
 * even those.
 */
export async function drain(buffer: EventBuffer, log: Log, courier: Courier): Promise<Drained> {
  const round = new Round(buffer, log, courier);
  while (await round.page()) { /* until there is nothing left that may be sent */ }
  return round.drained;
}

/** What is to be done with the rest of a page. */
type Then = "go_on" | "look_again" | "end";

class Round {
  readonly drained = { delivered: 0, refused: 0, setAside: 0 };
  readonly #buffer: EventBuffer;
  readonly #log: Log;
  readonly #courier: Courier;
  /** They stay in the buffer, in front; looking past them lets the others through. */
  readonly #passedOver = new Set<string>();
  /**
   * The first place that a command waits for; `null`, no command, never waits. Parts of one event have
   * one place, and no order.
   */
  readonly #heldUp = new Map<string | null, number>();
  /** The server has them, and the buffer does not know that yet. */
  #group: string[] = [];

  constructor(buffer: EventBuffer, log: Log, courier: Courier) {
    this.#buffer = buffer;
    this.#log = log;
    this.#courier = courier;
    for (const event of courier.putOff ?? []) this.#passOver(event);
  }

  /** Sends the events at the front; `false`: the round is over, what came meanwhile is the next one's. */
  async page(): Promise<boolean> {
    const found = this.#buffer.next(PAGE_EVENTS, this.#passedOver);
    const then = await this.#sendAll([...found]);
    if (then !== "go_on") return then === "look_again";
    const sizeBytes = found.reduce((sum, event) => sum + event.sizeBytes, 0);
    return found.length === PAGE_EVENTS || sizeBytes >= PAGE_BYTES;
  }

  /** Returns when nothing is on its way any more, also if it throws. */
  async #sendAll(waiting: StoredEvent[]): Promise<Then> {
    const flights = new Flights();
    let then: Then = "go_on";
    try {
      while (true) {
        if (then === "go_on") this.#launch(waiting, flights);
        if (flights.size === 0) return then;
        const { event, result } = await flights.land();
        const next = this.#takeIn(event, result);
        if (then === "go_on") then = next;
        if (flights.size === 0 || this.#group.length >= GROUP_EVENTS) this.#writeDown();
      }
    } finally {
      // None is left unless something threw; what got through all the same is not sent once more.
      for (const { event, result } of await flights.landAll()) {
        if (result.kind === "delivered") this.#group.push(event.id);
      }
      this.#writeDown();
    }
  }

  /** Sends as many as may be on their way now, and passes over what has to wait for another. */
  #launch(waiting: StoredEvent[], flights: Flights): void {
    const most = this.#courier.mostInFlight?.() ?? 1;
    for (let at = 0; at < waiting.length && flights.size < most;) {
      const event = waiting[at]!;
      if (this.#isHeldUp(event)) this.#passOver(event);
      else if (flights.hasOf(event.commandId)) {
        at += 1; // Its turn comes when the other has landed.
        continue;
      } else flights.launch(event, this.#courier.send(event));
      waiting.splice(at, 1);
    }
  }

  #writeDown(): void {
    if (this.#group.length === 0) return;
    const ids = this.#group;
    this.#group = [];
    this.#buffer.acknowledge(ids);
  }

  #takeIn(event: StoredEvent, result: Delivery): Then {
    switch (result.kind) {
      case "later":
        if (result.isUnanswered) this.#buffer.noteUnanswered(event.id);
        return "end";
      case "refused":
        return this.#refuse(result, result.isFinal);
      case "divided":
        if (this.#split(result, { isCounted: false })) return "look_again";
        this.#passOverTried(event);
        return "go_on";
      case "doubtful":
        this.#passOverTried(event);
        return "go_on";
      case "delivered": {
        this.#group.push(event.id);
        this.drained.delivered += 1;
        const then = result.alsoRefused ? this.#refuseKnown(result.alsoRefused) : "go_on";
        return result.isLast ? "end" : then;
      }
    }
  }

  #split({ event, why, mayBeOneItem }: Refusal, { isCounted }: { isCounted: boolean }): boolean {
    const halves = mayBeOneItem ? splitBody(event) : null;
    if (halves === null) return false;
    const ids = this.#buffer.bisect(event.id, halves, { error: why, isCounted });
    if (ids.length === 0) return false; // The disk would not have it, or it is gone.
    this.#log.warning("event split", { event: event.id, kind: event.kind, why });
    this.#courier.onSplit?.(event, ids, isCounted);
    return true;
  }

  #refuseKnown({ id, ...refusal }: KnownRefusal): Then {
    const event = this.#buffer.find(id, 1).find((found) => found.id === id);
    return event === undefined ? "go_on" : this.#refuse({ ...refusal, event });
  }

  #refuse(refusal: Refusal, isFinal = false): Then {
    // What was looked at may come after the halves.
    if (this.#split(refusal, { isCounted: true })) return "look_again";
    const { event, why } = refusal;
    const state = this.#buffer.refuse(event.id, why, { isFinal });
    const message = state === "dead_lettered" ? "event set aside" : "event refused";
    const { id, kind } = event;
    this.#log.warning(message, { event: id, kind, attempts: event.attempts + 1, why });
    if (state === "dead_lettered") {
      this.drained.setAside += 1;
      this.#passedOver.add(event.id);
      this.#courier.onSetAside?.(event.id);
    } else {
      this.drained.refused += 1;
      this.#passOverTried(event);
    }
    return "go_on";
  }

  /** The server did not take it. If it is a single item of a list, its command goes on without it. */
  #passOverTried(event: StoredEvent): void {
    this.#passOver(isSingleItem(event) ? { ...event, commandId: null } : event);
  }

  /** What is left of a command waits for what came before it. */
  #passOver({ id, commandId, place }: EventKey): void {
    this.#passedOver.add(id);
    if (commandId === null) return;
    this.#heldUp.set(commandId, Math.min(place, this.#heldUp.get(commandId) ?? Infinity));
  }

  #isHeldUp({ commandId, place }: StoredEvent): boolean {
    return place > (this.#heldUp.get(commandId) ?? Infinity);
  }
}

/** An event that was sent, and what came of it. */
interface Landed {
  readonly event: StoredEvent;
  readonly result: Delivery;
}

/** The events that are on their way. */
class Flights {
  readonly #flights = new Map<string, { commandId: string | null; landing: Promise<Landed> }>();

  get size(): number {
    return this.#flights.size;
  }

  /** Whether one of this command is on its way. */
  hasOf(commandId: string | null): boolean {
    if (commandId === null) return false;
    return this.#flights.values().some((flight) => flight.commandId === commandId);
  }

  launch(event: StoredEvent, sending: Promise<Delivery>): void {
    const landing = sending.then((result) => ({ event, result }));
    landing.catch(() => {}); // `land` or `landAll` tells it.
    this.#flights.set(event.id, { commandId: event.commandId, landing });
  }

  /** The first of those that have an answer. Throws what sending it threw. */
  async land(): Promise<Landed> {
    const landed = await Promise.race(this.#flights.values().map(({ landing }) => landing));
    this.#flights.delete(landed.event.id);
    return landed;
  }

  /** Waits for all that are left; answers those that have an answer. */
  async landAll(): Promise<Landed[]> {
    const landings = this.#flights.values().map(({ landing }) => landing.catch(() => null));
    return (await Promise.all(landings)).filter((landed) => landed !== null);
  }
}
