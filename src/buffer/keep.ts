/** Keeps events and tells what that cost: nothing is dropped silently. */

import type { Log } from "../log.ts";
import type { EventBuffer, NewEvent } from "./buffer.ts";

/** Appends events; a full buffer's loss is logged, by kind. Throws what `append` throws. */
export function keep(buffer: EventBuffer, log: Log, events: readonly NewEvent[]): void {
  const { dropped } = buffer.append(events);
  if (Object.values(dropped).every((count) => count === 0)) return;
  log.warning("events dropped, the buffer is full", dropped);
}
