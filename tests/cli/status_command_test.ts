import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  describeDisk,
  diskAsJson,
  statusAsJson,
  statusAsText,
} from "../../src/cli/status_command.ts";
import type { DiskStatus, Status } from "../../src/agent/status.ts";
import { signingAsJson } from "../../src/cli/signing_status.ts";
import type { SavedBreaker } from "../../src/breaker/saved.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

const NOW_MS = Date.UTC(2026, 10, 24);

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
    identityError: null,
    holder: null,
    state: null,
    signing: { keys: NO_SERVER_KEYS, unsigned: "read_only" },
    buffer: {
      pending: 0,
      deadLetters: 0,
      sizeBytes: 0,
      oldestPendingMs: null,
      appended: 0,
      delivered: 0,
      evicted: NONE_EVICTED,
      firstEvictionMs: null,
      purged: 0,
    },
    commands: ALL_TOLD,
    disk: { note: null, bufferError: null },
    limits: { maxEvents: 100, maxBytes: 1_000, maxAttempts: 10 },
    scannerBreakers: {},
    scans: {},
    scanners: { enabled: ["apt"], available: ["apt"] },
    damaged: [],
    hasDrawnMachineId: false,
    ...change,
  };
}

Deno.test("statusAsText() omits reported commands and absent drops", () => {
  const text = statusAsText(status());
  assert(!text.includes("not reported") && !text.includes("Evicted"), text);
  const { commands } = JSON.parse(statusAsJson(status()));
  assertEquals(commands, { ...ALL_TOLD, max_remembered: 10_000 });
  assertEquals(JSON.parse(statusAsJson(status({ commands: null }))).commands, null);
});

Deno.test("statusAsText() prints the progress of commands that are not all reported", () => {
  for (const state of ["received", "started", "finished"] as const) {
    const commands = { ...ALL_TOLD, [state]: 3 };
    assertStringIncludes(statusAsText(status({ commands })), `3 ${state}`);
  }
});

Deno.test("status prints what a full buffer evicted, by kind, and since when", () => {
  const { buffer } = status();
  const told = status({
    buffer: {
      ...buffer!,
      evicted: { ...NONE_EVICTED, updates: 12, log: 1 },
      firstEvictionMs: NOW_MS - 3_600_000,
    },
  });
  assertStringIncludes(
    statusAsText(told),
    "Evicted     12 updates, 1 log; the buffer was full, first 60 min ago",
  );
  const { evicted, evicted_since } = JSON.parse(statusAsJson(told)).buffer;
  assertEquals([evicted.updates, evicted_since], [12, "2026-11-23T23:00:00.000Z"]);
  assertEquals(JSON.parse(statusAsJson(status())).buffer.evicted_since, null);
});

const HOUR_MS = 3_600_000;

const CLOSED: SavedBreaker = { state: "closed", generation: 0, failures: 0, recent: [] };

const OPEN: Extract<SavedBreaker, { state: "open" }> = {
  state: "open",
  generation: 3,
  failures: 7,
  trips: 2,
  reason: "HTTP 502",
  sinceMs: NOW_MS - HOUR_MS,
  untilMs: NOW_MS + 240_000,
};

const SAVED: StoredState = {
  connection: {
    breaker: OPEN,
    paths: {
      check_in: { failures: 6, notBeforeMs: NOW_MS + 120_000 },
      delivery: { failures: 1, notBeforeMs: null },
    },
    outage: {
      sinceMs: NOW_MS - 2 * HOUR_MS,
      failedCalls: 9,
      why: "HTTP 502",
      offline: false,
      status: 502,
    },
    doubt: null,
    operatorAction: null,
  },
  rapidUntilMs: null,
  nextCheckInAtMs: NOW_MS + 60_000,
  afterCrashAtMs: null,
  lastCheckInAtMs: NOW_MS - 3 * HOUR_MS,
  lastSystemInfoAtMs: null,
  isOnce: false,
};

function saved(
  change: Partial<StoredState> = {},
  connection: Partial<StoredState["connection"]> = {},
): StoredState {
  return { ...SAVED, ...change, connection: { ...SAVED.connection, ...connection } };
}

const IDENTITY = {
  agentId: "a1",
  serverUrl: "https://server.test",
  tokenEndsAtMs: NOW_MS + 2 * HOUR_MS,
  intervalMs: 300_000,
};

const HOLDER = { process_id: 42, since_ms: NOW_MS - 5 * HOUR_MS };

/** An agent in the middle of an outage, with something to say in every part. */
const TROUBLED = status({
  identity: IDENTITY,
  holder: { process_id: 42, since_ms: NOW_MS - 5 * HOUR_MS },
  state: SAVED,
  buffer: {
    pending: 12,
    deadLetters: 2,
    sizeBytes: 512,
    oldestPendingMs: NOW_MS - HOUR_MS * 4,
    appended: 30,
    delivered: 15,
    evicted: { ...NONE_EVICTED, updates: 3, log: 1 },
    firstEvictionMs: NOW_MS - 2 * HOUR_MS,
    purged: 1,
  },
  commands: { received: 1, started: 2, finished: 3, reported: 4, remembered: 10, unfinished: 3 },
  scannerBreakers: {
    apt: {
      state: "open",
      generation: 1,
      failures: 3,
      trips: 1,
      reason: "no network",
      sinceMs: NOW_MS,
      untilMs: NOW_MS + 600_000,
    },
    dnf: {
      state: "half_open",
      generation: 2,
      failures: 4,
      trips: 1,
      reason: "broken",
      sinceMs: NOW_MS,
      probeUntilMs: null,
    },
    winget: { state: "closed", generation: 0, failures: 1, recent: [] },
  },
  scans: {
    apt: {
      at_ms: NOW_MS - 120_000,
      result: "failed",
      updates: 0,
      security: 0,
      duration_ms: 5,
      error: "no network",
    },
    dnf: {
      at_ms: NOW_MS - 180_000,
      result: "degraded",
      updates: 7,
      security: 2,
      duration_ms: 5,
      error: null,
    },
  },
});

Deno.test("statusAsText() of an agent in an outage prints its waits and their ends", () => {
  assertEquals(statusAsText(TROUBLED).split("\n"), [
    "Agent       running for 5 h (process 42)",
    "Id          a1",
    "Server      https://server.test",
    "Token       expires in 2 h; renewed automatically",
    "Connection  open (HTTP 502)",
    "Outage      for 2 h, 9 attempts: HTTP 502",
    "Check-in    last 3 h ago, next in 4 min",
    "Polling     every 5 min",
    "Server key  none shown; commands that only read run without a signature",
    "Buffer      12 of 100 events waiting (512 B of 1000 B, oldest 4 h)",
    "            15 delivered, 2 dead letters, 4 evicted, 1 purged",
    "            an event becomes a dead letter after 10 refusals of its own",
    "Commands    3 unfinished, 10 of 10000 remembered",
    "            1 received, 2 started, 3 finished and not reported",
    "Evicted     3 updates, 1 log; the buffer was full, first 2 h ago",
    "In memory   unknown",
    "Scans       apt 2 min ago: failed: no network",
    "            dnf 3 min ago: degraded, 7 updates, 2 security",
    "Paused      apt after 3 failures, next attempt in 10 min",
    "Paused      dnf after 4 failures, the next scan is the probe",
  ]);
});

Deno.test("statusAsJson() has every field of the contract", () => {
  const { disk, scanners, health, server, next_attempt_at, ...rest } = JSON.parse(
    statusAsJson(TROUBLED),
  );
  assertEquals(health.reasons[0], {
    code: "outage",
    level: "degraded",
    words: "the server fails: HTTP 502",
    since: "2026-11-23T22:00:00.000Z",
    next_step: "see the server's own log; nothing is lost meanwhile",
  });
  assertEquals(server, {
    state: "failing",
    since: "2026-11-23T22:00:00.000Z",
    why: "HTTP 502",
  });
  assertEquals(next_attempt_at, "2026-11-24T00:04:00.000Z");
  assertEquals(disk.takes_writes, null);
  assertEquals(scanners.dnf.updates, 7);
  assertEquals(rest, {
    schema: "pennon.status/1",
    registered: true,
    agent_id: "a1",
    server_url: "https://server.test",
    token_ends_at: "2026-11-24T02:00:00.000Z",
    running: true,
    process_id: 42,
    connection: {
      breaker: "open",
      reason: "HTTP 502",
      failures: 6,
      next_attempt_at: "2026-11-24T00:04:00.000Z",
      outage_since: "2026-11-23T22:00:00.000Z",
      outage_attempts: 9,
      operator_action_required: null,
      operator_action: null,
      last_check_in_at: "2026-11-23T21:00:00.000Z",
    },
    polling: { mode: "normal", rapid_until: null, interval_s: 300 },
    signing: signingAsJson(NO_SERVER_KEYS, "read_only"),
    buffer: {
      pending: 12,
      dead_lettered: 2,
      size_bytes: 512,
      oldest_pending_at: "2026-11-23T20:00:00.000Z",
      appended: 30,
      delivered: 15,
      evicted: { ...NONE_EVICTED, updates: 3, log: 1 },
      evicted_since: "2026-11-23T22:00:00.000Z",
      purged: 1,
      max_events: 100,
      max_bytes: 1_000,
      max_attempts: 10,
    },
    commands: {
      received: 1,
      started: 2,
      finished: 3,
      reported: 4,
      remembered: 10,
      unfinished: 3,
      max_remembered: 10_000,
    },
    scanner_breakers: [
      {
        name: "apt",
        state: "open",
        failures: 3,
        reason: "no network",
        next_try_at: "2026-11-24T00:10:00.000Z",
      },
      { name: "dnf", state: "half_open", failures: 4, reason: "broken", next_try_at: null },
      { name: "winget", state: "closed", failures: 1, reason: null, next_try_at: null },
    ],
  });
});

Deno.test("statusAsJson() of a new host has nulls", () => {
  const { connection, polling, buffer, ...rest } = JSON.parse(
    statusAsJson(status({ buffer: null, commands: null })),
  );
  assertEquals([connection, polling, buffer], [null, null, null]);
  const { registered, agent_id, server_url, token_ends_at, running, process_id } = rest;
  assertEquals([registered, agent_id, server_url], [false, null, null]);
  assertEquals([token_ends_at, running, process_id], [null, false, null]);
});

/** The line of the text that begins with a title. */
function line(title: string, change: Partial<Status>): string | undefined {
  return statusAsText(status({ identity: IDENTITY, holder: HOLDER, ...change })).split("\n")
    .find((one) => one.startsWith(title))?.slice(12);
}

Deno.test("statusAsText() prints whether the agent runs, and since when if that is known", () => {
  const agent = (holder: Status["holder"]) => line("Agent", { holder });
  assertEquals(agent(null), "not running");
  assertEquals(agent({ process_id: 42, since_ms: null }), "running");
  const forAMinute = { process_id: 42, since_ms: NOW_MS - 60_000 };
  assertEquals(agent(forAMinute), "running for 60 s (process 42)");
  assertEquals(line("Agent", { identity: null, holder: null }), "not running, not registered");
  assertEquals(line("Id", { identity: null }), undefined);
});

Deno.test("statusAsText() prints the remaining life of the token, to its end", () => {
  const token = (tokenEndsAtMs: number | null) =>
    line("Token", { identity: { ...IDENTITY, tokenEndsAtMs } });
  assertEquals(token(null), undefined);
  assertEquals(token(NOW_MS + 2_000), "expires in 2 s; renewed automatically");
  assertEquals(token(NOW_MS), "has expired; renewed automatically");
});

Deno.test("statusAsText() prints the next check-in: the latest of all its waits", () => {
  const checkIn = (change: Partial<StoredState>, notBeforeMs: number | null) => {
    const paths = { ...SAVED.connection.paths, check_in: { failures: 0, notBeforeMs } };
    return line("Check-in", { state: saved(change, { breaker: CLOSED, paths }) })?.split(", ")[1];
  };
  assertEquals(checkIn({ nextCheckInAtMs: null }, null), "due now");
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS }, null), "due now");
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS + 1_000 }, null), "next in 1 s");
  assertEquals(checkIn({ nextCheckInAtMs: null }, NOW_MS + 2_000), "next in 2 s");
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS + 3_000 }, NOW_MS + 2_000), "next in 3 s");
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS + 1_000 }, NOW_MS + 2_000), "next in 2 s");
  const none = saved({ lastCheckInAtMs: null });
  assertEquals(line("Check-in", { state: none }), "last none yet, next in 4 min");
});

Deno.test("statusAsText() prints a closed connection, and that operator action is required", () => {
  const healthy = { breaker: CLOSED, outage: null };
  const state = saved({}, healthy);
  assertEquals(line("Connection", { state }), "closed");
  assertEquals([line("Outage", { state }), line("ATTENTION", { state })], [undefined, undefined]);
  const operatorAction = {
    cause: "forbidden",
    why: "HTTP 403",
    sinceMs: NOW_MS,
    notBeforeMs: NOW_MS + 2 * HOUR_MS,
  } as const;
  assertStringIncludes(
    line("Check-in", { state: saved({}, { ...healthy, operatorAction }) }) ?? "",
    "next in 2 h",
  );
  assertEquals(
    line("ATTENTION", { state: saved({}, { ...healthy, operatorAction }) }),
    "operator action required: HTTP 403",
  );
  const json = JSON.parse(
    statusAsJson(status({ state: saved({}, { ...healthy, operatorAction }) })),
  );
  const { reason, outage_since, outage_attempts, operator_action_required } = json.connection;
  assertEquals([reason, outage_since, outage_attempts, operator_action_required], [
    null,
    null,
    0,
    "HTTP 403",
  ]);
  const { untilMs: _, ...tripped } = OPEN;
  const breaker: SavedBreaker = { ...tripped, state: "half_open", probeUntilMs: null };
  assertEquals(line("Connection", { state: saved({}, { breaker }) }), "half-open (HTTP 502)");
  assertEquals(line("Connection", { state: null }), "no check-in yet");
  assertEquals(line("Connection", { state: null, identity: null }), undefined);
});

Deno.test("status says what a refusal of the host means, why, and what to do", () => {
  const operatorAction = {
    cause: "machine_not_bound",
    why: "HTTP 403: agent not bound to machine",
    facts: { agentId: "a1", machineId: "f".repeat(64) },
    sinceMs: NOW_MS,
    notBeforeMs: NOW_MS + HOUR_MS,
  } as const;
  const state = saved({}, { breaker: CLOSED, outage: null, operatorAction });
  const text = statusAsText(status({ state }));
  const [attention = "", ...below] = text.slice(text.indexOf("ATTENTION")).split("\n");
  assertEquals(
    attention,
    "ATTENTION   operator action required: HTTP 403: agent not bound to machine",
  );
  const lines = below.slice(0, below.findIndex((text) => !text.startsWith(" ")));
  assertEquals(lines[0], "            What: the server has no machine id on record for this agent");
  assert(lines.every((text) => text.length <= 80 || !text.trim().includes(" ")), lines.join("\n"));
  const words = lines.map((text) => text.trim()).join(" ");
  assertStringIncludes(words, "Why: the agent was registered before the server was upgraded");
  assertStringIncludes(words, "Next: send as an administrator POST /api/v1/admin/agents/a1/rebind");
  const { operator_action } = JSON.parse(statusAsJson(status({ state }))).connection;
  assertEquals([operator_action.cause, operator_action.since], [
    "machine_not_bound",
    new Date(NOW_MS).toISOString(),
  ]);
  assertStringIncludes(operator_action.next_step, `{"new_machine_id":"${"f".repeat(64)}"}`);
});

Deno.test("status calls polling rapid until the instant when it ends, and not at it", () => {
  const polling = (rapidUntilMs: number) => {
    const state = saved({ rapidUntilMs });
    const { mode, rapid_until } = JSON.parse(statusAsJson(status({ state }))).polling;
    assertEquals(rapid_until, new Date(rapidUntilMs).toISOString());
    return [mode, line("Polling", { state })];
  };
  assertEquals(polling(NOW_MS + 2_000), ["rapid", "rapid for 2 s more"]);
  assertEquals(polling(NOW_MS), ["normal", "every 5 min"]);
});

Deno.test("statusAsText() calls an absent buffer empty, and prints no line for an unreadable one", () => {
  assertEquals(line("Buffer", { buffer: null }), "empty");
  const disk = { note: null, bufferError: "damaged" };
  assertEquals(line("Buffer", { buffer: null, disk }), undefined);
  assertEquals(line("Buffer", {}), "0 of 100 events waiting (0 B of 1000 B)");
  assertEquals(line("Commands", { commands: null }), undefined);
});

Deno.test("statusAsJson() is indented, or one line on request", () => {
  const shown = status({ state: SAVED });
  const value = JSON.parse(statusAsJson(shown));
  assertEquals(statusAsJson(shown), JSON.stringify(value, null, 2));
  assertEquals(statusAsJson(shown, { isOneLine: true }), JSON.stringify(value));
});

const note = {
  schema: "pennon.disk/1",
  process_id: 7,
  at_ms: 0,
  disk: "full",
  why: "Cannot change database: database or disk is full",
  events: 12,
  size_bytes: 4_096,
  acknowledgements: 3,
} as const;
const well: DiskStatus = { note: null, bufferError: null };
const ok = { ...note, disk: "ok", why: null };

Deno.test("describeDisk() says what the running agent says, and nothing without one", () => {
  assertEquals(describeDisk({ ...well, note: ok }, true)[0], ["Disk", "accepts writes"]);
  assertEquals(describeDisk(well, false), []);
  const [first, ...more] = describeDisk({ ...well, note }, true);
  assertEquals(first, ["DISK", `accepts no writes: ${note.why}`]);
  assertEquals(more.map(([title]) => title), ["In memory"]);
  const silent = { ...well, note: { ...note, why: null } };
  assertEquals(describeDisk(silent, true)[0], ["DISK", "accepts no writes: full"]);
});

Deno.test("describeDisk() prints what is in memory of the running agent", () => {
  const memory = (disk: Partial<DiskStatus>) => describeDisk({ ...well, ...disk }, true).at(-1);
  assertEquals(memory({ note }), [
    "In memory",
    "12 of 1000 events (4 KiB of 4 MiB), 3 of 1000 acknowledgements",
  ]);
  assertEquals(memory({}), ["In memory", "unknown"]);
});

Deno.test("describeDisk() prints why the buffer could not be read", () => {
  const bufferError = "Cannot open database: unable to open database file";
  assertEquals(describeDisk({ note: null, bufferError }, false), [
    ["", `buffer unreadable: ${bufferError}`],
  ]);
});

Deno.test("diskAsJson() has every limit with its counter, and null for unknown values", () => {
  assertEquals(diskAsJson({ ...well, note }), {
    takes_writes: false,
    why: note.why,
    agent_says: "full",
    events_in_memory: 12,
    max_events_in_memory: 1_000,
    bytes_in_memory: 4_096,
    max_bytes_in_memory: 4_194_304,
    acknowledgements_owed: 3,
    max_acknowledgements_owed: 1_000,
    left_alone: null,
  });
  assertEquals(diskAsJson({ note: ok, bufferError: null }).takes_writes, true);
  const unknown = diskAsJson({ note: null, bufferError: "read" });
  assertEquals([unknown.takes_writes, unknown.events_in_memory, unknown.why], [null, null, "read"]);
});
