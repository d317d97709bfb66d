/**
 * Bisects the body of an event with many items, so that one bad item does not block the others. Pure.
 * `failure_attribution.ts` decides which event to bisect, `drain.ts` does it, and `buffer/sqlite_buffer.ts`
 * stores the halves.
 */

import * as v from "valibot";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { NewEvent, StoredEvent } from "../buffer/buffer.ts";

/** A report of updates; its other properties go into both halves. */
const report = v.looseObject({ updates: v.array(v.unknown()) });

/** The bodies of an event's two halves; `null` if it is no list of at least two items. */
export function bisectBody(
  { kind, body }: Pick<NewEvent, "kind" | "body">,
): readonly [string, string] | null {
  if (kind !== "updates") return null;
  const output = read(body);
  if (output === null || output.updates.length < 2) return null;
  const middle = Math.ceil(output.updates.length / 2);
  const half = (from: number, to?: number) =>
    JSON.stringify({ ...output, updates: output.updates.slice(from, to) });
  return [half(0, middle), half(middle)];
}

/** Whether an event holds several items and is not a part of another event. */
export function isWhole(event: StoredEvent): boolean {
  return event.place === event.sequence && bisectBody(event) !== null;
}

/**
 * Whether an event is a report of updates that cannot be bisected further. A server that refuses it
 * refuses this very item, so nothing of its command has to wait for it.
 */
export function isSingleItem(event: Pick<NewEvent, "kind" | "body">): boolean {
  return event.kind === "updates" && bisectBody(event) === null;
}

/** A body that the disk has damaged is no list. */
function read(body: string): v.InferOutput<typeof report> | null {
  const decoded = decodeJson(report, body, LOCAL_LIMITS);
  return decoded.ok ? decoded.value : null;
}
