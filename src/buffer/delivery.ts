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
  /** Passed over in this round; without a `commandId` nothing waits for it. @default none */
  readonly putOff?: Iterable<EventKey>;
  /** An event was set aside: it is not sent again unless a person wants it. */
  onSetAside?(id: string): void;
  /** An event goes on as these two, which are sent in this round; `isCounted`: it was its own fault. */
  onSplit?(event: StoredEvent, halves: readonly string[], isCounted: boolean): void;
}

/** Events looked at together; each is sent by itself. */
const BATCH = 16;

/** What a round of delivery did. */
export interface Drained {
  readonly delivered: number;
  /** Events that the server would not have, and that are to be told again. */
  readonly refused: number;
  readonly setAside: number;
}

/**
 * Sends what is pending, most important first, until the buffer is empty, the courier says `later` or
 * the server takes no more for now. An event is forgotten only when the server has it; one that is
 * refused is split if that may help, is set aside in the end, and holds up none but its own command's;
 * a single item of a list not even those.
 */
export async function drain(buffer: EventBuffer, log: Log, courier: Courier): Promise<Drained> {
  const round = new Round(buffer, log, courier);
  while (await round.page()) { /* until there is nothing left that may be sent */ }
  return round.drained;
}

class Round {
  readonly drained = { delivered: 0, refused: 0, setAside: 0 };
  readonly #buffer: EventBuffer;
  readonly #log: Log;
  readonly #courier: Courier;
  /** They stay in the buffer, in front; looking past them lets the others through. */
  readonly #passedOver = new Set<string>();
  /** The first place that a command waits for. Parts of one event have one place, and no order. */
  readonly #heldUp = new Map<string, number>();

  constructor(buffer: EventBuffer, log: Log, courier: Courier) {
    this.#buffer = buffer;
    this.#log = log;
    this.#courier = courier;
    for (const event of courier.putOff ?? []) this.#passOver(event);
  }

  /** Sends the events at the front; `false`: the round is over, what came meanwhile is the next one's. */
  async page(): Promise<boolean> {
    const found = this.#buffer.next(BATCH, this.#passedOver);
    for (const event of found) {
      if (this.#isHeldUp(event)) this.#passOver(event);
      else {
        const then = this.#takeIn(event, await this.#courier.send(event));
        if (then !== "go_on") return then === "look_again";
      }
    }
    const sizeBytes = found.reduce((sum, event) => sum + event.sizeBytes, 0);
    return found.length === BATCH || sizeBytes >= PAGE_BYTES;
  }

  #takeIn(event: StoredEvent, result: Delivery): "go_on" | "look_again" | "end" {
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
        this.#buffer.acknowledge([event.id]);
        this.drained.delivered += 1;
        const then = result.alsoRefused ? this.#refuseKnown(result.alsoRefused) : "go_on";
        return result.isLast ? "end" : then;
      }
    }
  }

  #split({ event, why, mayBeOneItem }: Refusal, { isCounted }: { isCounted: boolean }): boolean {
    const halves = mayBeOneItem ? splitBody(event) : null;
    if (halves === null) return false;
    const ids = this.#buffer.split(event.id, halves, { error: why, isCounted });
    if (ids.length === 0) return false; // The disk would not have it, or it is gone.
    this.#log.warning("event split", { event: event.id, kind: event.kind, why });
    this.#courier.onSplit?.(event, ids, isCounted);
    return true;
  }

  #refuseKnown({ id, ...refusal }: KnownRefusal): "go_on" | "look_again" {
    const event = this.#buffer.find(id, 1).find((found) => found.id === id);
    return event === undefined ? "go_on" : this.#refuse({ ...refusal, event });
  }

  #refuse(refusal: Refusal, isFinal = false): "go_on" | "look_again" {
    // What was looked at may come after the halves.
    if (this.#split(refusal, { isCounted: true })) return "look_again";
    const { event, why } = refusal;
    const state = this.#buffer.refuse(event.id, why, { isFinal });
    const message = state === "set_aside" ? "event set aside" : "event refused";
    const { id, kind } = event;
    this.#log.warning(message, { event: id, kind, attempts: event.attempts + 1, why });
    if (state === "set_aside") {
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
    if (commandId === null) return false;
    return place > (this.#heldUp.get(commandId) ?? Infinity);
  }
}
