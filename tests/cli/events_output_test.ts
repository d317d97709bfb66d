import { assertEquals } from "@std/assert";
import type { StoredEvent } from "../../src/buffer/buffer.ts";
import {
  eventAsJson,
  eventAsText,
  eventsAsJson,
  eventsAsTable,
} from "../../src/cli/events_output.ts";

const NOW_MS = Date.UTC(2026, 10, 24);

const log: StoredEvent = {
  id: "0197f0aa",
  kind: "log",
  commandId: "c1",
  snapshotOf: null,
  sequence: 7,
  place: 7,
  state: "dead_lettered",
  attempts: 10,
  createdMs: NOW_MS - 120_000,
  sizeBytes: 2_048,
  lastError: "HTTP 400: bad",
  body: '{"a":[1]}',
};

const updates: StoredEvent = {
  ...log,
  id: "0197f0bb",
  kind: "updates",
  commandId: null,
  snapshotOf: "updates/apt/0",
  state: "pending",
  attempts: 0,
  lastError: null,
  body: "no JSON",
};

const LISTED = {
  id: "0197f0aa",
  kind: "log",
  command_id: "c1",
  snapshot_of: null,
  sequence: 7,
  created_at: "2026-11-23T23:58:00.000Z",
  state: "set_aside",
  attempts: 10,
  size_bytes: 2_048,
  last_error: "HTTP 400: bad",
};

Deno.test("eventsAsJson() has each field but the body, and how many there are in all", () => {
  assertEquals(JSON.parse(eventsAsJson([log], 9)), {
    schema: "pennon.events/1",
    total: 9,
    events: [LISTED],
  });
});

Deno.test("eventAsJson() has the body as a value, or as the text that it is", () => {
  assertEquals(JSON.parse(eventAsJson(log)), {
    schema: "pennon.events/1",
    event: { ...LISTED, body: { a: [1] } },
  });
  assertEquals(JSON.parse(eventAsJson(updates)).event.body, "no JSON");
});

Deno.test("eventsAsTable() has a line for each event, numbers on the right", () => {
  assertEquals(eventsAsTable([log, updates], NOW_MS, Infinity).split("\n"), [
    "ID        KIND       AGE  STATE      TRIES   SIZE  LAST ERROR",
    "0197f0aa  log      2 min  set_aside     10  2 KiB  HTTP 400: bad",
    "0197f0bb  updates  2 min  pending        0  2 KiB  -",
  ]);
});

Deno.test("eventAsText() has a line for each field, then the body", () => {
  assertEquals(eventAsText(updates, NOW_MS).split("\n"), [
    "Id           0197f0bb",
    "Kind         updates",
    "Command      -",
    "Snapshot of  updates/apt/0",
    "Sequence     7",
    "Created      2026-11-23T23:58:00.000Z (2 min ago)",
    "State        pending",
    "Attempts     0",
    "Size         2 KiB",
    "Last error   -",
    "Body",
    '"no JSON"',
  ]);
  assertEquals(eventAsText(log, NOW_MS).split("\nBody\n")[1], '{\n  "a": [\n    1\n  ]\n}');
});
