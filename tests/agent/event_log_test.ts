import { assert, assertEquals } from "@std/assert";
import { EventLog } from "../../src/agent/event_log.ts";
import type { AgentHealth, HealthLevel } from "../../src/agent/health.ts";
import { Secrets } from "../../src/redact.ts";
import { FileError } from "../../src/system/files.ts";
import { CommandError, type RunOptions, type RunResult } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const FINE: RunResult = { code: 0, stdout: "", stderr: "", truncated: false };

function setUp() {
  const system = new FakeSystem();
  system.os = "windows";
  const log = new FakeLog();
  const runs: { argv: readonly string[]; options: RunOptions }[] = [];
  const world = {
    level: "ok" as HealthLevel,
    answer: (_: RunOptions): Promise<RunResult> => Promise.resolve(FINE),
    health: (): Promise<AgentHealth> => Promise.reject(new TypeError("unset")),
  };
  world.health = () => {
    const reason = { code: "x", words: "no agent runs", sinceMs: null, because: null, next: null };
    const reasons = world.level === "ok" ? [] : [{ ...reason, level: world.level }];
    return Promise.resolve({ level: world.level, reasons } as unknown as AgentHealth);
  };
  system.runCommand = (argv, options) => {
    runs.push({ argv, options });
    return world.answer(options);
  };
  const eventLog = new EventLog({
    system,
    log,
    secrets: new Secrets(["very-secret-token"]),
    health: () => world.health(),
  });
  const stop = new AbortController();
  const running = eventLog.run(stop.signal);
  const texts = () => runs.map(({ argv }) => argv.at(-1) ?? "");
  const end = async () => {
    stop.abort();
    await settle();
    await system.clock.advance(1_000);
    await running;
  };
  return { system, log, runs, texts, world, eventLog, stop, running, end };
}

Deno.test("EventLog writes errors of the log, each by one eventcreate with separate arguments", async () => {
  const { system, log, runs, eventLog, end } = setUp();
  system.environment.set("SystemRoot", "D:\\Windows");
  eventLog.log.error("cannot lock the state directory", { why: 'a "b" c\n/d', token: "x" });
  eventLog.log.warning("scan failed", { why: "no" });
  eventLog.log.info("checked in");
  await settle();
  assertEquals(log.events.length, 3);
  assertEquals(runs.map(({ argv }) => argv), [[
    "D:\\Windows\\System32\\eventcreate.exe",
    "/l",
    "APPLICATION",
    "/so",
    "Pennon",
    "/t",
    "ERROR",
    "/id",
    "1",
    "/d",
    "cannot lock the state directory (agent.lock_failed); why: a 'b' c/d; token: (hidden)",
  ]]);
  assertEquals(runs[0]?.options.timeoutMs, 10_000);
  await end();
});

Deno.test("EventLog shows no secret, cuts what is long, and ends no text in a backslash", async () => {
  const { texts, eventLog, end } = setUp();
  eventLog.log.error("command refused", { why: "very-secret-token password=hunter2" });
  const long = Object.fromEntries(
    Array.from({ length: 9 }, (_, at) => [`f${at}`, "x".repeat(900)]),
  );
  eventLog.log.error("command refused", long);
  eventLog.log.error("command refused", { why: "C:\\a\\\\" });
  await settle();
  const [secret = "", cut = "", path = ""] = texts();
  assert(!/very-secret|hunter2/.test(secret), secret);
  assertEquals(cut.length, 1_500);
  assertEquals(path, "command refused (command.refused); why: C:\\a");
  await end();
});

Deno.test("EventLog writes that the health becomes FAILED, and that it no longer is, once each", async () => {
  const { system, runs, texts, world, end } = setUp();
  await system.clock.advance(120_000);
  world.level = "degraded";
  await system.clock.advance(60_000);
  assertEquals(runs, []);
  world.level = "failed";
  await system.clock.advance(180_000);
  const refusal = new FileError("Cannot read it", { reason: "denied" });
  world.health = () => Promise.reject(refusal);
  await system.clock.advance(60_000);
  const level = { level: "degraded", reasons: [] } as unknown as AgentHealth;
  world.health = () => Promise.resolve(level);
  await system.clock.advance(180_000);
  assertEquals(texts(), ["health FAILED: no agent runs", "health no longer FAILED: DEGRADED"]);
  assertEquals(runs.map(({ argv }) => [argv[6], argv[8]]), [["ERROR", "2"], ["INFORMATION", "3"]]);
  await end();
});

Deno.test("EventLog writes at most 30 events per hour, one at a time, and counts the others", async () => {
  const { system, runs, texts, world, eventLog, end } = setUp();
  let active = 0;
  world.answer = async () => {
    active += 1;
    assertEquals(active, 1);
    await settle();
    active -= 1;
    return FINE;
  };
  for (let at = 0; at < 15; at++) eventLog.log.error("step failed", { at });
  for (let turn = 0; turn < 40; turn++) await settle();
  for (let at = 15; at < 40; at++) eventLog.log.error("step failed", { at });
  for (let turn = 0; turn < 40; turn++) await settle();
  assertEquals(runs.length, 30);
  await system.clock.advance(120_000);
  eventLog.log.error("step failed", { at: 40 });
  for (let turn = 0; turn < 5; turn++) await settle();
  assertEquals(runs.length, 31);
  assert(texts().at(-1)?.endsWith("at: 40"), texts().at(-1));
  const counts = texts().flatMap((text) =>
    /events not written before: (\d+)$/.exec(text)?.[1] ?? []
  );
  assertEquals(counts, ["10"]);
  await end();
});

Deno.test("EventLog keeps 20 events for a program that is slow", async () => {
  const { system, runs, texts, world, eventLog, end } = setUp();
  const { promise, resolve } = Promise.withResolvers<RunResult>();
  world.answer = () => promise;
  for (let at = 0; at < 25; at++) eventLog.log.error("step failed", { at });
  await settle();
  assertEquals(runs.length, 1);
  resolve(FINE);
  await system.clock.advance(0);
  assertEquals(runs.length, 21);
  assert(texts()[1]?.includes("events not written before: 4"), texts()[1]);
  await end();
});

Deno.test("EventLog says once that eventcreate fails, and counts what was lost", async () => {
  const { log, texts, world, eventLog, end } = setUp();
  const failures: (() => Promise<RunResult>)[] = [
    () => Promise.resolve({ ...FINE, code: 1, stderr: "ERROR: Access is denied." }),
    () => Promise.reject(new CommandError("Cannot run it: absent", { reason: "not_found" })),
  ];
  for (const failure of failures) {
    world.answer = failure;
    eventLog.log.error("step failed");
    await settle();
  }
  assertEquals(log.told("event log not written"), [{ why: "exit 1: ERROR: Access is denied." }]);
  world.answer = () => Promise.resolve(FINE);
  eventLog.log.error("step failed");
  await settle();
  assert(texts().at(-1)?.endsWith("events not written before: 2"), texts().at(-1));
  await end();
});

Deno.test("EventLog has a second for what waits when the agent stops", async () => {
  const { system, runs, world, eventLog, stop, running } = setUp();
  world.answer = (options) =>
    new Promise((_, reject) => {
      options.signal?.addEventListener("abort", () => reject(new Error("ended")));
    });
  eventLog.log.error("step failed");
  eventLog.log.error("step failed");
  await settle();
  stop.abort();
  let isOver = false;
  running.then(() => isOver = true);
  await system.clock.advance(999);
  assertEquals(isOver, false);
  await system.clock.advance(1);
  await running;
  eventLog.log.error("step failed");
  await settle();
  assertEquals([runs.length, system.clock.sleeping], [1, 0]);
});

Deno.test("EventLog needs a directory of Windows", async () => {
  const { system, log, runs, eventLog, end } = setUp();
  system.environment.set("SystemRoot", "\\\\server\\share");
  eventLog.log.error("step failed");
  await settle();
  assertEquals(runs, []);
  assertEquals(log.told("event log not written").length, 1);
  await end();
});
