/** Drains the buffer: sends events one by one, at the server's pace, until told to stop. */

import type { Log } from "../log.ts";
import type { EventBuffer, StoredEvent } from "./buffer.ts";
import { splitBody } from "./split.ts";

/**
 * What came of sending one event.
 *
 * `delivered`: the server has it; `isLast`: and takes no more for now; `alsoRefused`: which shows
 * that an earlier failure was another event's own. `refused`: the server will not have this one.
 * `doubtful`: it broke over this one, and may break over any. `divided`: the same, and its halves
 * are to be tried. `later`: nothing is known of the event; the way to the server is not free;
 * `isUnanswered`: it may have got there all the same.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly isLast: boolean; readonly alsoRefused?: Refusal }
  | { readonly kind: "refused" | "divided" } & Refusal
  | { readonly kind: "doubtful" }
  | { readonly kind: "later"; readonly isUnanswered?: boolean };

/** An event that the server will not have, and its word for that. */
export interface Refusal {
  readonly event: StoredEvent;
  readonly why: string;
  /** The reason may lie in one item, or in their number: halves may fare better. */
  readonly mayBeOneItem: boolean;
}

/** Who carries the events to the server. */
export interface Courier {
  send(event: StoredEvent): Promise<Delivery>;
  /** Passed over in this round. @default none */
  isPutOff?(event: StoredEvent): boolean;
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
 * refused is split if that may help, is set aside in the end, and holds up none but its own command's.
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
  /** The place of what a command waits for. Parts of one event have one place, and no order. */
  readonly #heldUp = new Map<string, number>();

  constructor(buffer: EventBuffer, log: Log, courier: Courier) {
    this.#buffer = buffer;
    this.#log = log;
    this.#courier = courier;
  }

  /** Sends the events at the front; `false`: the round is over, what came meanwhile is the next one's. */
  async page(): Promise<boolean> {
    const limit = BATCH + this.#passedOver.size;
    const found = this.#buffer.next(limit);
    for (const event of found) {
      if (this.#passedOver.has(event.id)) continue;
      if (this.#isHeldUp(event) || this.#courier.isPutOff?.(event)) this.#passOver(event);
      else {
        const then = this.#takeIn(event, await this.#courier.send(event));
        if (then !== "go_on") return then === "look_again";
      }
    }
    return found.length === limit;
  }

  #takeIn(event: StoredEvent, result: Delivery): "go_on" | "look_again" | "end" {
    switch (result.kind) {
      case "later":
        if (result.isUnanswered) this.#buffer.noteUnanswered(event.id);
        return "end";
      case "refused":
        return this.#refuse(result);
      case "divided":
        if (this.#split(result, { isCounted: false })) return "look_again";
        this.#passOver(event);
        return "go_on";
      case "doubtful":
        this.#passOver(event);
        return "go_on";
      case "delivered": {
        this.#buffer.acknowledge([event.id]);
        this.drained.delivered += 1;
        const then = result.alsoRefused ? this.#refuse(result.alsoRefused) : "go_on";
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

  #refuse(refusal: Refusal): "go_on" | "look_again" {
    // What was looked at may come after the halves.
    if (this.#split(refusal, { isCounted: true })) return "look_again";
    const { event, why } = refusal;
    const state = this.#buffer.refuse(event.id, why);
    const message = state === "set_aside" ? "event set aside" : "event refused";
    const { id, kind } = event;
    this.#log.warning(message, { event: id, kind, attempts: event.attempts + 1, why });
    if (state === "set_aside") {
      this.drained.setAside += 1;
      this.#passedOver.add(event.id);
    } else {
      this.drained.refused += 1;
      this.#passOver(event);
    }
    return "go_on";
  }

  /** What is left of a command waits for what came before it. */
  #passOver({ id, commandId, place }: StoredEvent): void {
    this.#passedOver.add(id);
    if (commandId === null || this.#heldUp.has(commandId)) return;
    this.#heldUp.set(commandId, place);
  }

  #isHeldUp({ commandId, place }: StoredEvent): boolean {
    if (commandId === null) return false;
    const holderPlace = this.#heldUp.get(commandId);
    return holderPlace !== undefined && holderPlace !== place;
  }
}
