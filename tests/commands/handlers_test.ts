import { assert, assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { collectSpecs, commandHandlers } from "../../src/commands/handlers.ts";
import { FakeLog } from "../fakes/log.ts";
import { makeScannerRunner } from "../fakes/scanner_runner.ts";
import { FakeSystem } from "../fakes/system.ts";

const facts: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
const system = new FakeSystem();
const findHandler = commandHandlers({
  system,
  log: new FakeLog(),
  stateDirectory: "/state",
  runner: makeScannerRunner(system, new FakeLog()).runner,
  findScanners: () => Promise.resolve([]),
  collectSystemInfo: () => Promise.resolve(facts),
});

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
  const find = commandHandlers({
    system,
    log: new FakeLog(),
    stateDirectory: "/state",
    runner: makeScannerRunner(system, new FakeLog()).runner,
    findScanners: () => Promise.resolve([]),
    collectSystemInfo: () => Promise.resolve(facts),
    more: new Map([["brew_coffee", handler]]),
  });
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
