/** Drains the buffer: sends events one by one, at the server's pace, until told to stop. */

import type { Log } from "../log.ts";
import type { EventBuffer, StoredEvent } from "./buffer.ts";

/**
 * What came of sending one event.
 *
 * `delivered`: the server has it. `refused`: the server will not have this one. `doubtful`: it broke
 * over this one, and may break over any. `later`: nothing is known of the event; the way to the
 * server is not free.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly pauseMs: number }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "doubtful" }
  | { readonly kind: "later" };

/** Events looked at together; each is sent by itself. */
const BATCH = 50;

/** So many events in a row that the server breaks over, and it is given a rest. */
const DOUBTFUL_IN_A_ROW = 3;

/** What a round of delivery did. */
export interface Drained {
  readonly delivered: number;
  /** Events that the server would not have, and that are to be told again. */
  readonly refused: number;
  readonly setAside: number;
  /** How long the server wants a pause before the next round; 0: none. */
  readonly pauseMs: number;
}

/**
 * Sends what is pending, most important first, until the buffer is empty or `send` says `later` or
 * asks for a pause. An event is forgotten only when the server has it; one that is refused too often
 * is set aside, and does not hold up the others. What `isPutOff` is passed over this time.
 */
export async function drain(
  buffer: EventBuffer,
  log: Log,
  send: (event: StoredEvent) => Promise<Delivery>,
  isPutOff: (event: StoredEvent) => boolean = () => false,
): Promise<Drained> {
  let delivered = 0;
  let doubtfulInARow = 0;
  let refused = 0;
  let setAside = 0;
  // Refused events stay in the buffer, in front; looking past them lets the others through.
  const passedOver = new Set<string>();
  const heldUp = new Set<string>();
  while (true) {
    const next = buffer.next(BATCH + passedOver.size)
      .filter((event) => !passedOver.has(event.id));
    if (next.length === 0) return { delivered, refused, setAside, pauseMs: 0 };
    for (const event of next) {
      if (isPutOff(event) || (event.commandId !== null && heldUp.has(event.commandId))) {
        passedOver.add(event.id);
        if (event.commandId !== null) heldUp.add(event.commandId);
        continue;
      }
      const result = await send(event);
      switch (result.kind) {
        case "later":
          return { delivered, refused, setAside, pauseMs: 0 };
        case "refused":
          passedOver.add(event.id);
          if (refuse(buffer, log, { event, why: result.why }) === "set_aside") setAside += 1;
          else {
            refused += 1;
            // What is left of a command waits for what came before it.
            if (event.commandId !== null) heldUp.add(event.commandId);
          }
          break;
        case "doubtful":
          passedOver.add(event.id);
          doubtfulInARow += 1;
          if (event.commandId !== null) heldUp.add(event.commandId);
          if (doubtfulInARow < DOUBTFUL_IN_A_ROW) break;
          return { delivered, refused, setAside, pauseMs: 0 };
        case "delivered":
          doubtfulInARow = 0;
          buffer.acknowledge([event.id]);
          delivered += 1;
          if (result.pauseMs > 0) {
            return { delivered, refused, setAside, pauseMs: result.pauseMs };
          }
      }
    }
  }
}

function refuse(
  buffer: EventBuffer,
  log: Log,
  refusal: { event: StoredEvent; why: string },
): StoredEvent["state"] {
  const { event, why } = refusal;
  const state = buffer.refuse(event.id, why);
  log.warning(state === "set_aside" ? "event set aside" : "event refused", {
    event: event.id,
    kind: event.kind,
    attempts: event.attempts + 1,
    why,
  });
  return state;
}
