/** The buffer's rules: what is sent first, and what goes when room is short. Pure. */

import type { BufferLimits, EventKind } from "./buffer.ts";

/**
 * How early an event is sent, the higher the earlier. Results of commands come first, because the
 * server times a command out if nothing is heard of it.
 */
export const URGENCY: Readonly<Record<EventKind, number>> = {
  system_info: 0,
  updates: 1,
  dependencies: 2,
  log: 2,
};

/** How late an event is dropped, the higher the later. */
export const IMPORTANCE: Readonly<Record<EventKind, number>> = {
  system_info: 0,
  updates: 1,
  dependencies: 2,
  log: 3,
};

/** What is in the buffer, or is to go in. */
export interface Load {
  readonly events: number;
  readonly sizeBytes: number;
}

/** An event that may go to make room. */
export interface Droppable {
  readonly sequence: number;
  readonly kind: EventKind;
  readonly sizeBytes: number;
}

/**
 * How urgent a new event is, behind the least urgent one that its command still has waiting (`null`:
 * none): it never overtakes that one.
 */
export function urgencyBehind(kind: EventKind, earlier: number | null): number {
  return earlier === null ? URGENCY[kind] : Math.min(URGENCY[kind], earlier);
}

/**
 * Which events go so that a new one fits beside `present`. `candidates` come in the order in which
 * they are to go; no more of them are read than are needed. `null`: it would not fit if all went, and
 * so none should.
 */
export function planRoom(
  candidates: Iterable<Droppable>,
  present: { load: Load; limits: BufferLimits },
  sizeBytes: number,
): Droppable[] | null {
  let { events, sizeBytes: usedBytes } = present.load;
  const { maxEvents, maxBytes } = present.limits;
  const fits = () => events + 1 <= maxEvents && usedBytes + sizeBytes <= maxBytes;
  const going: Droppable[] = [];
  if (fits()) return going;
  for (const candidate of candidates) {
    going.push(candidate);
    events -= 1;
    usedBytes -= candidate.sizeBytes;
    if (fits()) return going;
  }
  return null;
}
