/** Takes an event apart that holds many items, so that one bad item does not cost the others. Pure. */

import * as v from "valibot";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { NewEvent } from "./buffer.ts";

/** A report of updates; what else it holds goes into both halves. */
const report = v.looseObject({ updates: v.array(v.unknown()) });

/** The bodies of an event's two halves; `null`: it has no more than one item, or none of its own. */
export function splitBody(
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

/**
 * Whether it is a report of updates that cannot be split any further. A server that refuses it refuses
 * this very item, so nothing of its command has to wait for it.
 */
export function isSingleItem(event: Pick<NewEvent, "kind" | "body">): boolean {
  return event.kind === "updates" && splitBody(event) === null;
}

/** A body that a sick disk has changed is no list. */
function read(body: string): v.InferOutput<typeof report> | null {
  const decoded = decodeJson(report, body, LOCAL_LIMITS);
  return decoded.ok ? decoded.value : null;
}
