import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Status, statusAsJson, statusAsText } from "../../src/cli/status_output.ts";

const NOW_MS = Date.UTC(2026, 10, 24);
const NONE = { system_info: 0, updates: 0, dependencies: 0, log: 0 };

const ALL_TOLD = {
  received: 0,
  started: 0,
  finished: 0,
  reported: 7,
  remembered: 7,
  unfinished: 0,
};

function status(change: Partial<Status> = {}): Status {
  return {
    nowMs: NOW_MS,
    identity: null,
    holder: null,
    state: null,
    buffer: {
      pending: 0,
      setAside: 0,
      sizeBytes: 0,
      oldestPendingMs: null,
      appended: 0,
      delivered: 0,
      dropped: NONE,
      firstDropMs: null,
      purged: 0,
    },
    commands: ALL_TOLD,
    disk: { refusal: null, told: null, unreadable: null, leftAlone: null },
    limits: { maxEvents: 100, maxBytes: 1_000, maxAttempts: 10 },
    scannerBreakers: {},
    scans: {},
    ...change,
  };
}

Deno.test("statusAsText() says nothing of commands that are all told, nor of drops that were none", () => {
  const text = statusAsText(status());
  assert(!text.includes("not reported") && !text.includes("Dropped"), text);
  assertEquals(JSON.parse(statusAsJson(status())).commands, {
    ...ALL_TOLD,
    max_remembered: 10_000,
  });
  assertEquals(JSON.parse(statusAsJson(status({ commands: null }))).commands, null);
});

Deno.test("statusAsText() says how far commands are that are not all told", () => {
  for (const state of ["received", "started", "finished"] as const) {
    const commands = { ...ALL_TOLD, [state]: 3 };
    assertStringIncludes(statusAsText(status({ commands })), `3 ${state}`);
  }
});

Deno.test("status tells what a full buffer dropped, by kind, and since when", () => {
  const { buffer } = status();
  const told = status({
    buffer: {
      ...buffer!,
      dropped: { ...NONE, updates: 12, log: 1 },
      firstDropMs: NOW_MS - 3_600_000,
    },
  });
  assertStringIncludes(
    statusAsText(told),
    "Dropped     12 updates, 1 log; the buffer was full, first 60 min ago",
  );
  const { dropped, dropped_since } = JSON.parse(statusAsJson(told)).buffer;
  assertEquals([dropped.updates, dropped_since], [12, "2026-11-23T23:00:00.000Z"]);
  assertEquals(JSON.parse(statusAsJson(status())).buffer.dropped_since, null);
});
