/** Events of the buffer as a table, as text and as JSON. Pure. */

import type { StoredEvent } from "../buffer/buffer.ts";
import { LOCAL_LIMITS, parseJson } from "../json.ts";
import { describeDuration, describeSize, isoInstant } from "./duration.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { formatTable } from "./table.ts";

/** `pennon.events/1` of several; it only ever gains fields. */
export function eventsAsJson(events: readonly StoredEvent[], total: number): string {
  return asJson({ schema: "pennon.events/1", total, events: events.map(fieldsOf) });
}

/** `pennon.events/1` of one, with its body; it only ever gains fields. */
export function eventAsJson(event: StoredEvent): string {
  const body = readBody(event.body);
  return asJson({ schema: "pennon.events/1", event: { ...fieldsOf(event), body } });
}

/** A line an event, none wider than `width`. */
export function eventsAsTable(
  events: readonly StoredEvent[],
  nowMs: number,
  width: number,
): string {
  const columns = [
    { title: "ID" },
    { title: "KIND" },
    { title: "AGE", alignRight: true },
    { title: "STATE" },
    { title: "TRIES", alignRight: true },
    { title: "SIZE", alignRight: true },
    { title: "LAST ERROR" },
  ];
  const rows = events.map((event) => [
    event.id,
    event.kind,
    describeDuration(nowMs - event.createdMs),
    stateName(event.state),
    String(event.attempts),
    describeSize(event.sizeBytes),
    event.lastError ?? "-",
  ]);
  return formatTable(columns, rows, width).join("\n");
}

/** All there is to say of one event, and its body whole. */
export function eventAsText(event: StoredEvent, nowMs: number): string {
  const age = describeDuration(nowMs - event.createdMs);
  const lines: readonly (readonly [title: string, text: string])[] = [
    ["Id", event.id],
    ["Kind", event.kind],
    ["Command", event.commandId ?? "-"],
    ["Snapshot of", event.snapshotOf ?? "-"],
    ["Sequence", String(event.sequence)],
    ["Created", `${isoInstant(event.createdMs) ?? "not known"} (${age} ago)`],
    ["State", stateName(event.state)],
    ["Attempts", String(event.attempts)],
    ["Size", describeSize(event.sizeBytes)],
    ["Last error", event.lastError ?? "-"],
    ["Body", ""],
  ];
  const fields = lines.map(([title, text]) =>
    `${title.padEnd(13)}${stripControls(text)}`.trimEnd()
  );
  return [...fields, asJson(readBody(event.body))].join("\n");
}

/** The name of a state in `pennon.events/1`, which has `set_aside` for a dead letter. */
export function stateName(state: StoredEvent["state"]): "pending" | "set_aside" {
  return state === "dead_lettered" ? "set_aside" : state;
}

function fieldsOf(event: StoredEvent): Readonly<Record<string, unknown>> {
  return {
    id: event.id,
    kind: event.kind,
    command_id: event.commandId,
    snapshot_of: event.snapshotOf,
    sequence: event.sequence,
    created_at: isoInstant(event.createdMs),
    state: stateName(event.state),
    attempts: event.attempts,
    size_bytes: event.sizeBytes,
    last_error: event.lastError,
  };
}

/** A body that is no JSON, which Pennon does not write, is shown as the text that it is. */
function readBody(text: string): unknown {
  const parsed = parseJson(text, LOCAL_LIMITS);
  return parsed.ok ? parsed.value : text;
}

function asJson(value: unknown): string {
  return safeJson(value, 2);
}
