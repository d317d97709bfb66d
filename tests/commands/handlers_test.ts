import { assert, assertEquals, assertThrows } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import {
  collectSpecs,
  commandHandlers,
  disableHeartbeat,
  enableHeartbeat,
} from "../../src/commands/handlers.ts";
import { FakeLog } from "../fakes/log.ts";
import { scanDeps } from "../fakes/scanner_runner.ts";
import { FakeSystem } from "../fakes/system.ts";

const facts: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
const system = new FakeSystem();
const collectSystemInfo = () => Promise.resolve(facts);
const deps = scanDeps({ system, log: new FakeLog(), collectSystemInfo });
const findHandler = commandHandlers(deps);

async function run(type: string, params: Record<string, unknown> = {}) {
  const { signal } = new AbortController();
  const handler = findHandler(type);
  assert("run" in handler);
  const outcome = await handler.run({ id: "c1", type, params }, { signal, appendEarly: () => {} });
  const last = outcome.events.at(-1);
  return { ...outcome, log: JSON.parse(last?.body ?? "null") };
}

const REFUSED = [
  "dry_run_update",
  "install_updates",
  "confirm_dependencies",
  "reboot",
  "update_agent",
  "rollback_update",
];

for (const type of [...REFUSED, "brew_coffee", "constructor", "__proto__", "x".repeat(90)]) {
  Deno.test(`commandHandlers() refuses ${type.slice(0, 20)}, and says why`, () => {
    const handler = findHandler(type);
    assert("refusal" in handler);
    const why = REFUSED.includes(type)
      ? "this version of Pennon does not change the host"
      : "Pennon knows no such command";
    assertEquals(
      handler.refusal({ id: "c1", type, params: {} }),
      `Cannot run "${type.slice(0, 50)}": ${why}`,
    );
  });
}

Deno.test("collect_specs reports the facts, then its result", async () => {
  const { events, log, rapidPollingMs } = await run("collect_specs");
  assertEquals(events.map(({ kind }) => kind), ["system_info", "log"]);
  assertEquals([log.result, log.exit_code, log.stdout], ["success", 0, "facts collected"]);
  assertEquals(rapidPollingMs, null);
});

Deno.test("collect_specs reports how long it took", async () => {
  const slow = new FakeSystem();
  const handler = collectSpecs(slow.clock, async () => {
    await slow.clock.advance(4_000);
    return facts;
  });
  const { events } = await handler.run({ id: "c1", type: "collect_specs", params: {} }, {
    signal: new AbortController().signal,
    appendEarly: () => {},
  });
  assertEquals(JSON.parse(events[1]?.body ?? "null").duration_seconds, 4);
});

Deno.test("commandHandlers() uses further handlers, in place of its own of that type too", () => {
  const handler = {
    repeatable: false,
    run: () => Promise.resolve({ events: [], rapidPollingMs: 7 }),
  };
  const find = commandHandlers({ ...deps, more: new Map([["brew_coffee", handler]]) });
  assertEquals(find("brew_coffee"), handler);
  assertEquals(find("reboot") === handler, false);
});

Deno.test("scan_updates on a host without a package manager is no success", async () => {
  const { events, log } = await run("scan_updates");
  assertEquals([events.length, log.result], [1, "failed"]);
  assertEquals(log.stderr, "no package manager that Pennon knows is on this host");
});

Deno.test("every handler of this version may be repeated after a crash", () => {
  const known = ["scan_updates", "collect_specs", "enable_heartbeat", "disable_heartbeat"];
  for (const type of [...known, "reboot", "brew_coffee"]) {
    assertEquals(findHandler(type).repeatable, true, type);
  }
});

function runHeartbeat(params: Record<string, unknown>) {
  const command = { id: "c1", type: "enable_heartbeat", params };
  return enableHeartbeat.run(command, {
    signal: new AbortController().signal,
    appendEarly: () => {},
  });
}

Deno.test('enable_heartbeat polls for the requested minutes, 10 by default, 60 at most and for "permanent"', async () => {
  const longest = (asked: number) => `, the longest allowed (duration_minutes is ${asked})`;
  const rows: [asked: unknown, minutes: number, note: string][] = [
    [undefined, 10, ""],
    [null, 10, ""],
    [1, 1, ""],
    [0.5, 0.5, ""],
    [60, 60, ""],
    [61, 60, longest(61)],
    // "Permanent" at the dashboard, and a duration that the API left out.
    [-1, 60, longest(-1)],
    [0, 60, longest(0)],
  ];
  for (const [duration_minutes, minutes, note] of rows) {
    const { rapidPollingMs, events } = await runHeartbeat({ duration_minutes });
    assertEquals(rapidPollingMs, minutes * 60_000);
    assertEquals(JSON.parse(events[0]?.body ?? ""), {
      command_id: "c1",
      action: "enable_heartbeat",
      result: "success",
      stdout: `rapid polling for ${minutes} min${note}`,
      stderr: "",
      exit_code: 0,
      duration_seconds: 0,
    });
  }
});

Deno.test("enable_heartbeat refuses what is no number of minutes", () => {
  for (const duration_minutes of ["5", NaN, Infinity, {}, []]) {
    assertThrows(() => runHeartbeat({ duration_minutes }), Error, "Cannot enable rapid polling");
  }
});

Deno.test("disable_heartbeat ends rapid polling", async () => {
  const command = { id: "c1", type: "disable_heartbeat", params: {} };
  const outcome = await disableHeartbeat.run(command, {
    signal: new AbortController().signal,
    appendEarly: () => {},
  });
  assertEquals(outcome.rapidPollingMs, 0);
  const { result, stdout, duration_seconds } = JSON.parse(outcome.events[0]?.body ?? "");
  assertEquals([result, stdout, duration_seconds], ["success", "rapid polling off", 0]);
});

Deno.test("enable_heartbeat quotes a hundred characters of what it was sent at most", () => {
  const enable = () => runHeartbeat({ duration_minutes: "x".repeat(500) });
  const { message } = assertThrows(enable, Error, "Cannot enable rapid polling");
  assertEquals(
    message.length,
    `Cannot enable rapid polling: duration_minutes is , not a number`.length + 100,
  );
});

for (const type of ["scan_docker", "scan_pacman", "scan_processes", "scan_"]) {
  Deno.test(`commandHandlers() refuses ${type}, of which there is no scanner`, () => {
    const handler = findHandler(type);
    assert("refusal" in handler);
    assertEquals(
      handler.refusal({ id: "c1", type, params: {} }),
      `Cannot run "${type}": Pennon has no such scanner`,
    );
  });
}

for (const [type, name] of [["scan_apt", "apt"], ["scan_windows", "winupdate"]]) {
  Deno.test(`${type} fails at once on a host without that package manager`, async () => {
    const { log, events } = await run(type!, { subsystem: "apt" });
    assertEquals([events.length, log.result, log.action], [1, "failed", type]);
    assertEquals(
      log.stderr,
      `Cannot scan with ${name}: it is not on this host, or "scanners.enabled" omits it`,
    );
  });
}
