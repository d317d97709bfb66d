/** The buffer's rules: what matters more, and whether something more fits. Pure. */

import type { BufferLimits, EventKind } from "./buffer.ts";

/**
 * How much an event matters: the more, the earlier it is sent and the later it is dropped. A command's
 * result comes before all else, because the server times the command out if nothing is heard of it.
 */
export const IMPORTANCE: Readonly<Record<EventKind, number>> = {
  system_info: 0,
  updates: 1,
  dependencies: 2,
  log: 3,
};

/**
 * How early an event is sent. Events of one command have one priority, that of the least important
 * among them, so that none overtakes those that were appended before it.
 */
export function priorityOf(
  kind: EventKind,
  sameCommand: readonly EventKind[],
): number {
  return Math.min(IMPORTANCE[kind], ...sameCommand.map((other) => IMPORTANCE[other]));
}

/** What is in the buffer, or is to go in. */
export interface Load {
  readonly events: number;
  readonly sizeBytes: number;
}

/** Whether `more` fits beside what is there; both bounds count. */
export function fits(present: Load, more: Load, limits: BufferLimits): boolean {
  return present.events + more.events <= limits.maxEvents &&
    present.sizeBytes + more.sizeBytes <= limits.maxBytes;
}
