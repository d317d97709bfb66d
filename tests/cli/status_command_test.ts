import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { DiskStatus } from "../../src/agent/status.ts";
import { signingAsJson } from "../../src/cli/signing_status.ts";
import { statusAsJson } from "../../src/cli/status_command.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import {
  CLOSED,
  HOLDER,
  HOUR_MS,
  IDENTITY,
  NOW_MS,
  SAVED,
  saved,
  status,
  TROUBLED,
} from "../fakes/statuses.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

Deno.test("statusAsJson() has every field of the contract", () => {
  const { disk, scanners, health, server, next_attempt_at, ...rest } = JSON.parse(
    statusAsJson(TROUBLED),
  );
  assertEquals(health.reasons[0], {
    code: "outage",
    level: "degraded",
    words: "the server answers with errors: HTTP 502",
    since: "2026-11-23T22:00:00.000Z",
    since_is: null,
    because: null,
    next_step: "see the server's own log; events wait in the buffer meanwhile",
  });
  assertEquals(server, {
    state: "failing",
    since: "2026-11-23T22:00:00.000Z",
    why: "HTTP 502",
  });
  assertEquals(next_attempt_at, "2026-11-24T00:04:00.000Z");
  assertEquals(disk.takes_writes, true);
  assertEquals(scanners.dnf.updates, 7);
  assertEquals(rest, {
    schema: "pennon.status/1",
    registered: true,
    agent_id: "a1",
    server_url: "https://server.test",
    token_ends_at: "2026-11-24T02:00:00.000Z",
    running: true,
    process_id: 42,
    running_since: "2026-11-23T19:00:00.000Z",
    machine_id_drawn: false,
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

Deno.test("statusAsJson() is indented, or one line on request", () => {
  const shown = status({ state: SAVED });
  const value = JSON.parse(statusAsJson(shown));
  assertEquals(statusAsJson(shown), JSON.stringify(value, null, 2));
  assertEquals(statusAsJson(shown, { isOneLine: true }), JSON.stringify(value));
});

Deno.test("statusAsJson() calls polling rapid until the instant when it ends, and not at it", () => {
  const polling = (rapidUntilMs: number) => {
    const state = saved({ rapidUntilMs });
    const { mode, rapid_until } = JSON.parse(statusAsJson(status({ state }))).polling;
    assertEquals(rapid_until, new Date(rapidUntilMs).toISOString());
    return mode;
  };
  assertEquals(polling(NOW_MS + 2_000), "rapid");
  assertEquals(polling(NOW_MS), "normal");
});

Deno.test("statusAsJson() has every limit of the disk with its counter, and null for unknown values", () => {
  const note = {
    process_id: 42,
    at_ms: 0,
    since_ms: null,
    disk: "full",
    why: "Cannot change database: database or disk is full",
    events: 12,
    size_bytes: 4_096,
    acknowledgements: 3,
  };
  const disk = (change: Partial<DiskStatus>) =>
    JSON.parse(
      statusAsJson(
        status({
          disk: { note: null, refusal: null, isFull: false, bufferError: null, ...change },
        }),
      ),
    ).disk;
  assertEquals(disk({ note }), {
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
  const ok = { ...note, disk: "ok", why: null };
  assertEquals([disk({ note: ok }).takes_writes, disk({ note: ok }).why], [true, null]);
  const refused = disk({ note: ok, refusal: "read-only", bufferError: "read" });
  assertEquals([refused.takes_writes, refused.why], [false, "read-only"]);
  const unknown = disk({ bufferError: "read" });
  assertEquals([unknown.takes_writes, unknown.events_in_memory, unknown.why], [null, null, "read"]);
});

Deno.test("statusAsJson() says what a refusal of the host means, and keeps the options in what to do", () => {
  const operatorAction = {
    cause: "machine_not_bound",
    why: "HTTP 403: agent not bound to machine",
    facts: { agentId: "a1", machineId: "f".repeat(64) },
    sinceMs: NOW_MS,
    notBeforeMs: NOW_MS + HOUR_MS,
  } as const;
  const state = saved({}, { breaker: CLOSED, outage: null, operatorAction });
  const given = { values: { "state-dir": "/srv/my state", config: "/etc/p.toml" } };
  const { connection, health } = JSON.parse(statusAsJson(
    status({
      state,
      identity: IDENTITY,
      holder: HOLDER,
    }),
    { given },
  ));
  assertEquals([connection.operator_action.cause, connection.operator_action.since], [
    "machine_not_bound",
    new Date(NOW_MS).toISOString(),
  ]);
  const { next_step } = connection.operator_action;
  assertStringIncludes(next_step, `{"new_machine_id":"${"f".repeat(64)}"}`);
  assertStringIncludes(
    next_step,
    "pennon breaker --config /etc/p.toml --state-dir '/srv/my state' ",
  );
  assertEquals(connection.next_attempt_at, new Date(NOW_MS + HOUR_MS).toISOString());
  assertEquals([health.level, health.reasons[0].next_step], ["failed", next_step]);
  const { reason, outage_since, outage_attempts, operator_action_required } = connection;
  assertEquals([reason, outage_since, outage_attempts, operator_action_required], [
    null,
    null,
    0,
    "HTTP 403: agent not bound to machine",
  ]);
});

Deno.test("statusAsJson() has what a full buffer evicted, by kind, and since when", () => {
  const { evicted, evicted_since } = JSON.parse(statusAsJson(TROUBLED)).buffer;
  assertEquals([evicted.updates, evicted_since], [3, "2026-11-23T22:00:00.000Z"]);
  assertEquals(JSON.parse(statusAsJson(status())).buffer.evicted_since, null);
  assertEquals(JSON.parse(statusAsJson(status({ commands: null }))).commands, null);
});

Deno.test("status --check refuses --watch, and says a failure to read in its one line", async () => {
  const { system } = await enrolled();
  const both = await runCli(system, "status", "--check", "--watch");
  assertEquals([both.code, both.out], [2, ""]);
  system.files.fail("read the identity", "denied");
  const { code, out, err } = await runCli(system, "status", "--check");
  assertEquals([code, err], [2, ""]);
  assertEquals(out, "PENNON FAILED - Cannot read the identity: denied on purpose\n");
});

Deno.test("status --check --json prints the JSON, and exits by the health", async () => {
  const { system } = await enrolled();
  const { code, out } = await runCli(system, "status", "--check", "--json");
  assertEquals([code, JSON.parse(out).health.reasons[0].code], [2, "never_started"]);
});

Deno.test("status of a damaged identity says so, and returns 1", async () => {
  const { system } = await enrolled();
  system.files.texts.set(`${STATE}/identity.json`, "{");
  const { code, out, err } = await runCli(system, "status");
  assertEquals([code, err], [1, ""]);
  assertStringIncludes(out, "FAILED: Cannot use the identity");
});

Deno.test("status --verbose shows more, and the words of a colour are there without it", async () => {
  const { system } = await enrolled();
  system.terminal.width = 1_000;
  const few = (await runCli(system, "status")).out;
  const { out } = await runCli(system, "status", "--verbose");
  assert(!few.includes("\nId ") && out.includes("\nId          a1"), out);
  system.terminal.stdoutIsTerminal = true;
  const coloured = (await runCli(system, "status")).out;
  assertStringIncludes(coloured, "Health      \x1b[31mFAILED\x1b[0m: ");
  assertEquals(
    coloured.replaceAll("\x1b[31m", "").replaceAll("\x1b[33m", "").replaceAll("\x1b[0m", ""),
    few,
  );
  system.environment.set("NO_COLOR", "1");
  assertEquals((await runCli(system, "status")).out, few);
});

Deno.test("status of an unregistered host keeps the options in its next step", async () => {
  const { err } = await runCli(new FakeSystem(), "status", "--state-dir", "/srv/p", "--json");
  assertEquals(err, "Next: pennon register --state-dir /srv/p --server URL --token TOKEN\n");
});
