import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assessHealth } from "../../src/agent/health.ts";
import type { DiskStatus, Status } from "../../src/agent/status.ts";
import { readStatus } from "../../src/agent/status.ts";
import { loadConfig } from "../../src/config.ts";
import { painter } from "../../src/cli/colour.ts";
import { statusAsCheck, statusAsText } from "../../src/cli/status_text.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { CONDITION_STATE } from "../fakes/condition_host.ts";
import { CONDITIONS } from "../fakes/conditions.ts";
import {
  CLOSED,
  HOLDER,
  HOUR_MS,
  IDENTITY,
  NOW_MS,
  OPEN,
  SAVED,
  saved,
  status,
  TROUBLED,
} from "../fakes/statuses.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { runCli } from "./run_cli.ts";

/** The text of a status on a terminal without colours. */
function textOf(shown: Status, { width = 80, isVerbose = false } = {}): string {
  const paint = painter(new FakeSystem());
  return statusAsText(shown, assessHealth(shown), {
    width,
    isVerbose,
    paint,
    given: { values: {} },
  });
}

/** The text behind a title, of a registered host with a running agent. */
function line(title: string, change: Partial<Status>, isVerbose = false): string | undefined {
  return textOf(status({ identity: IDENTITY, holder: HOLDER, ...change }), {
    width: 1_000,
    isVerbose,
  }).split("\n").find((one) => one.startsWith(title))?.slice(12);
}

Deno.test("statusAsText() of an agent in an outage begins with its health, and ends with its scans", () => {
  assertEquals(textOf(TROUBLED, { width: 100 }).split("\n"), [
    "Health      DEGRADED: the server answers with errors: HTTP 502, since 2026-11-23 22:00Z (2 h)",
    "            Next: see the server's own log; events wait in the buffer meanwhile",
    "Also        DEGRADED: 2 dead letters wait for an operator",
    "            Next: `pennon events list --dead`, then requeue or purge them",
    "Also        DEGRADED: the buffer was full and 4 events were evicted: they are lost, since 2026-11-23",
    "            22:00Z (2 h)",
    "            Next: mend the connection; a larger buffer is set by buffer.max_events and",
    "            buffer.max_size",
    "Also        DEGRADED: apt is paused after 3 failed scans: no network, since 00:00Z (0 s)",
    "            Next: `pennon scan --only apt` shows what is wrong; then `pennon breaker reset apt`",
    "Server      answers with errors since 2026-11-23 22:00Z (2 h): HTTP 502; next attempt in 4 min",
    "            https://server.test",
    "Agent       running since 2026-11-23 19:00Z (5 h), process 42",
    "Check-in    last 2026-11-23 21:00Z (3 h ago), next 00:04Z (in 4 min)",
    "Breaker     open after 7 failures: HTTP 502",
    "Outage      9 failed attempts",
    "Polling     about every 5 min; with jitter a single wait is 2 min to 8 min",
    "Buffer      12 of 100 events waiting (512 B of 1000 B, oldest 4 h)",
    "            15 delivered, 2 dead letters, 4 evicted, 1 purged",
    "Commands    3 unfinished, 10 of 10000 remembered",
    "            1 received, 2 started, 3 finished and not reported",
    "Evicted     3 updates, 1 log; the buffer was full, first 2026-11-23 22:00Z (2 h ago)",
    "Disk        accepts writes",
    "Scans       apt 2026-11-23 23:58Z (2 min ago): failed: no network",
    "            dnf 2026-11-23 23:57Z (3 min ago): degraded, 7 updates, 2 security",
    "Paused      apt after 3 failures; no scan before 00:10Z (in 10 min)",
    "Paused      dnf after 4 failures; the next scan is the probe",
  ]);
});

Deno.test("statusAsText() prints whether the agent runs, and since when if that is known", () => {
  const agent = (holder: Status["holder"]) => line("Agent", { holder });
  assertEquals(agent(null), "not running");
  assertEquals(agent({ process_id: 42, since_ms: null, manager: null }), "running");
  const forAMinute = { process_id: 42, since_ms: NOW_MS - 60_000, manager: null };
  assertEquals(agent(forAMinute), "running since 2026-11-23 23:59Z (60 s), process 42");
  assertEquals(line("Agent", { identity: null, holder: null }), "not running, not registered");
  assertEquals([line("Id", {}), line("Id", {}, true)], [undefined, "a1"]);
  assertEquals(line("Machine id", {}), undefined);
  assertStringIncludes(line("Machine id", { hasDrawnMachineId: true }) ?? "", "drawn by Pennon");
});

Deno.test("statusAsText() prints the remaining life of the token, to its end, if it is verbose", () => {
  const token = (tokenEndsAtMs: number | null) =>
    line("Token", { identity: { ...IDENTITY, tokenEndsAtMs } }, true);
  assertEquals(token(null), undefined);
  assertEquals(token(NOW_MS + 2_000), "expires in 2 s; renewed automatically");
  assertEquals(token(NOW_MS), "has expired; renewed automatically");
  assertEquals(line("Token", {}), undefined);
});

Deno.test("statusAsText() prints the next check-in, the latest of all its waits, while an agent runs", () => {
  const checkIn = (change: Partial<StoredState>, notBeforeMs: number | null, holder = HOLDER) => {
    const paths = { ...SAVED.connection.paths, check_in: { failures: 0, notBeforeMs } };
    const state = saved(change, { breaker: CLOSED, paths });
    return line("Check-in", { state, holder })?.split(", ")[1];
  };
  assertEquals(checkIn({ nextCheckInAtMs: null }, null), undefined);
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS }, null), "next due now");
  assertEquals(checkIn({ nextCheckInAtMs: NOW_MS + 1_000 }, null), "next 00:00Z (in 1 s)");
  assertEquals(checkIn({ nextCheckInAtMs: null }, NOW_MS + 2_000), "next 00:00Z (in 2 s)");
  assertEquals(
    checkIn({ nextCheckInAtMs: NOW_MS + 3_000 }, NOW_MS + 2_000),
    "next 00:00Z (in 3 s)",
  );
  assertEquals(
    checkIn({ nextCheckInAtMs: NOW_MS + 1_000 }, NOW_MS + 2_000),
    "next 00:00Z (in 2 s)",
  );
  const dead = line("Check-in", { state: SAVED, holder: null });
  assertEquals(dead, "last 2026-11-23 21:00Z (3 h ago)");
  const none = saved({ lastCheckInAtMs: null });
  assertEquals(line("Check-in", { state: none }), "none yet, next 00:04Z (in 4 min)");
});

Deno.test("statusAsText() prints the words of the breaker where it is not closed, or if it is verbose", () => {
  const state = saved({}, { breaker: CLOSED, outage: null });
  assertEquals([line("Breaker", { state }), line("Outage", { state })], [undefined, undefined]);
  assertEquals(line("Breaker", { state }, true), "closed: calls go through");
  assertEquals(line("Breaker", { state: SAVED }), "open after 7 failures: HTTP 502");
  const { untilMs: _, ...tripped } = OPEN;
  const breaker = { ...tripped, state: "half_open", probeUntilMs: null } as const;
  assertEquals(
    line("Breaker", { state: saved({}, { breaker }) }),
    "half-open after 7 failures: HTTP 502",
  );
});

Deno.test("statusAsText() says what a refusal of the host means, why, and what to do", () => {
  const operatorAction = {
    cause: "machine_not_bound",
    why: "HTTP 403: agent not bound to machine",
    facts: { agentId: "a1", machineId: "f".repeat(64) },
    sinceMs: NOW_MS - HOUR_MS,
    notBeforeMs: NOW_MS + HOUR_MS,
  } as const;
  const state = saved({}, { breaker: CLOSED, outage: null, operatorAction });
  const text = textOf(status({ state, identity: IDENTITY, holder: HOLDER }));
  const lines = text.split("\n");
  assert(lines.every((text) => text.length <= 80 || !text.trim().includes(" ")), text);
  const words = lines.map((text) => text.trim()).join(" ");
  assertStringIncludes(words, "FAILED: operator action required: the server has no machine id");
  assertStringIncludes(words, "Why: the agent was registered before the server was upgraded");
  assertStringIncludes(words, "Next: send as an administrator POST /api/v1/admin/agents/a1/rebind");
  assertStringIncludes(words, "HTTP 403: agent not bound to machine; next attempt in 60 min");
});

Deno.test("statusAsText() names the jitter of polling, and rapid polling until it ends", () => {
  const polling = (rapidUntilMs: number) =>
    line("Polling", { state: saved({ rapidUntilMs }, { outage: null }) });
  assertEquals(polling(NOW_MS + 2_000), "rapid for 2 s more");
  const normal = "about every 5 min; with jitter a single wait is 2 min to 8 min";
  assertEquals(polling(NOW_MS), normal);
});

Deno.test("statusAsText() prints what the running agent says of the disk, and nothing without one", () => {
  const note = {
    process_id: 42,
    at_ms: 0,
    since_ms: null,
    disk: "full",
    why: "database or disk is full",
    events: 12,
    size_bytes: 4_096,
    acknowledgements: 3,
  };
  const nothing: DiskStatus = { note: null, refusal: null, isFull: false, bufferError: null };
  const disk = (change: Partial<DiskStatus>) => line("Disk", { disk: { ...nothing, ...change } });
  const ok = { ...note, disk: "ok", why: null };
  assertEquals(disk({ note: ok }), "accepts writes");
  assertEquals(disk({ note }), `accepts no writes: ${note.why}`);
  assertEquals(disk({ note: { ...note, why: null } }), "accepts no writes: full");
  assertEquals(disk({ note: ok, refusal: "read-only" }), "accepts no writes: read-only");
  assertEquals(line("Disk", { holder: null }), undefined);
  const memory = (isVerbose: boolean, shown: typeof note | typeof ok) =>
    line("In memory", { disk: { ...nothing, note: shown } }, isVerbose);
  const figures = "12 of 1000 events (4 KiB of 4 MiB), 3 of 1000 acknowledgements";
  assertEquals([memory(false, note), memory(true, ok), memory(false, ok)], [
    figures,
    figures,
    undefined,
  ]);
  assertEquals(
    line("Buffer", { buffer: null, disk: { ...nothing, bufferError: "damaged" } }),
    "unreadable: damaged",
  );
  assertEquals(line("Buffer", { buffer: null }), "empty");
  assertEquals(
    line("Buffer", { buffer: null, disk: { ...nothing, note } }),
    "none on disk; events are in memory",
  );
});

Deno.test("statusAsText() shows commands while some are not reported", () => {
  const all = status().commands!;
  assertEquals(line("Commands", {}), undefined);
  assertEquals(line("Commands", {}, true), "0 unfinished, 7 of 10000 remembered");
  for (const state of ["received", "started", "finished"] as const) {
    assertStringIncludes(textOf(status({ commands: { ...all, [state]: 3 } })), `3 ${state}`);
  }
});

Deno.test("statusAsCheck() is one line, without the sign that begins a plugin's figures", () => {
  const damaged = [{ file: "state.json", why: "a | b\nc" }];
  const shown = status({ identity: IDENTITY, holder: HOLDER, damaged });
  const check = statusAsCheck(shown, assessHealth(shown));
  assert(!/[|\n]/.test(check), check);
  const troubled = statusAsCheck(TROUBLED, assessHealth(TROUBLED));
  assertEquals(
    troubled,
    "PENNON DEGRADED - the server answers with errors: HTTP 502, since 2026-11-23 22:00Z (2 h) " +
      "(and 3 more); next attempt in 4 min",
  );
});

/** Those whose screens are kept: tests/fixtures/status/CONDITION/WIDTH.txt. */
const KEPT: Readonly<Record<string, string>> = {
  "healthy": "healthy",
  "outage of 87 s": "outage",
  "outage of 10 min, breaker open": "breaker_open",
  "HTTP 502 for 10 min, half-open": "half_open",
  "403 of machine binding": "machine_mismatch",
  "full disk": "full_disk",
  "dead agent in an outage": "dead_agent",
  "dead letters": "dead_letters",
  "scanner breaker open": "scanner_paused",
  "never registered": "never_registered",
};

for (const { name, host } of CONDITIONS.filter(({ name }) => name in KEPT)) {
  Deno.test(`the screen of status is the one that is kept, at four widths: ${name}`, async () => {
    const { system } = await host();
    const { config } = await loadConfig(system, {});
    const shown = await readStatus(system, { stateDirectory: CONDITION_STATE, config });
    for (const width of [60, 80, 120, 200]) {
      const text = textOf(shown, { width });
      const path = `../fixtures/status/${KEPT[name]}/${width}.txt`;
      const kept = await Deno.readTextFile(new URL(path, import.meta.url));
      assertEquals(`${text}\n`, kept, path);
      // A word, or a command that is to be copied, is never broken.
      const isOne = (line: string) =>
        /^(?:`[^`]*`\S*|\S*)$/.test(line.trim()) || /^ {14}pennon \S/.test(line);
      const isCut = (line: string) => line.length > width && !isOne(line);
      assertEquals(text.split("\n").filter(isCut), []);
    }
  });
  Deno.test(`status --watch draws that screen on a terminal, at four widths: ${name}`, async () => {
    for (const width of [60, 80, 120, 200]) {
      const { system } = await host();
      system.machine = { ...system.machine, userId: () => 0 }; // The conditions are of its directory.
      system.terminal.stdoutIsTerminal = true;
      system.terminal.width = width;
      system.environment.set("NO_COLOR", "1");
      const watching = runCli(system, "status", "--watch");
      // What the command loads takes turns, and no time.
      for (let turn = 0; turn < 1_000 && system.clock.sleeping === 0; turn++) await settle();
      system.stopListeners.forEach((listener) => listener("SIGINT"));
      const path = `../fixtures/status/${KEPT[name]}/${width}.txt`;
      const kept = await Deno.readTextFile(new URL(path, import.meta.url));
      assertEquals((await watching).out, `(clear)${kept}`, path);
    }
  });
}
