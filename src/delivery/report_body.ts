/** What an event is sent as: the report that carries it, and the bodies of its parts or of several. Pure. */

import * as v from "valibot";
import type { EventKind, NewEvent, StoredEvent } from "../buffer/buffer.ts";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { Report } from "../server/client.ts";

/** The report that carries events of a kind. */
export const REPORTS: Readonly<Record<EventKind, Report>> = {
  agent_event: "events",
  circuit_breakers: "circuit-breakers",
  storage_metrics: "storage-metrics",
  system_metrics: "metrics",
  updates: "updates",
  log: "logs",
  dependencies: "dependencies",
  system_info: "system-info",
};

/** The body of one call with agent events, each with the id and the instant that it has in the buffer. */
export function pageOf(events: readonly StoredEvent[]): string {
  const items = events.map(({ id, createdMs, body }) => {
    const known = JSON.stringify({ id, created_at: new Date(createdMs).toISOString() });
    return `${known.slice(0, -1)},${body.slice(1)}`;
  });
  return `{"events":[${items.join(",")}]}`;
}

/** A report of updates; its other properties go into both halves, but for those that close rows. */
const report = v.looseObject({ updates: v.array(v.unknown()) });

/** What makes a report of updates a complete list, which closes the rows that it lacks. */
const CLOSING: ReadonlySet<string> = new Set(["ecosystem", "scan_succeeded"]);

/** The same report of updates, which closes no row. A text without the field is returned as it is. */
export function withoutClosing(body: string): string {
  const output = body.includes('"scan_succeeded"') ? read(body) : null;
  return output === null ? body : JSON.stringify(withoutClosingFields(output));
}

function withoutClosingFields<T extends object>(report: T): T {
  return Object.fromEntries(Object.entries(report).filter(([key]) => !CLOSING.has(key))) as T;
}

/** The bodies of an event's two halves; `null` if it is no list of at least two items. */
export function bisectBody(
  { kind, body }: Pick<NewEvent, "kind" | "body">,
): readonly [string, string] | null {
  if (kind !== "updates") return null;
  const output = read(body);
  if (output === null || output.updates.length < 2) return null;
  const middle = Math.ceil(output.updates.length / 2);
  const half = (from: number, to?: number) =>
    JSON.stringify({ ...withoutClosingFields(output), updates: output.updates.slice(from, to) });
  return [half(0, middle), half(middle)];
}

/**
 * Whether an event is a report of updates that cannot be bisected further. A server that refuses it
 * refuses this very item, so nothing of its command has to wait for it.
 */
export function isSingleItem(event: Pick<NewEvent, "kind" | "body">): boolean {
  return event.kind === "updates" && bisectBody(event) === null;
}

/** A body that is corrupt on disk is no list. */
function read(body: string): v.InferOutput<typeof report> | null {
  const decoded = decodeJson(report, body, LOCAL_LIMITS);
  return decoded.ok ? decoded.value : null;
}
