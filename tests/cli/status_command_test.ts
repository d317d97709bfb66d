import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeSystem } from "../fakes/system.ts";
import { settle } from "../fakes/clock.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

Deno.test("status prints the agent's files, as text and as JSON", async () => {
  const { system, server } = await enrolled();
  assertStringIncludes((await runCli(system, "status")).out, "no check-in yet");
  await runCli(system, "run", "--once");
  server.mood = { kind: "gone" };
  await runCli(system, "run", "--once");
  const { code, out } = await runCli(system, "status", "--json");
  assertEquals(code, 0);
  const status = JSON.parse(out);
  assertEquals([status.schema, status.registered, status.running], [
    "pennon.status/1",
    true,
    false,
  ]);
  assertEquals([status.connection.breaker, status.connection.failures], ["closed", 1]);
  assertEquals({
    takes_writes: status.disk.takes_writes,
    why: status.disk.why,
    process_id: status.process_id,
  }, { takes_writes: true, why: null, process_id: null });
  assertEquals([status.scanners, status.scanner_breakers], [{}, []]);
  const none = { received: 0, started: 0, finished: 0, reported: 0, remembered: 0, unfinished: 0 };
  assertEquals(status.commands, { ...none, max_remembered: 10_000 });
  const text = (await runCli(system, "status")).out;
  assertStringIncludes(text, "Outage");
  assert(!text.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("status --watch of an unregistered host repeats too, and returns 3", async () => {
  const system = new FakeSystem();
  const watching = runCli(system, "status", "--watch");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await watching;
  assertEquals(code, 3);
  assert(err.includes("pennon register"), err);
});

Deno.test("status --watch repeats until it is asked to stop", async () => {
  const { system } = await enrolled();
  const watching = runCli(system, "status", "--watch", "--json");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, out } = await watching;
  assertEquals(code, 0);
  const lines = out.trimEnd().split("\n");
  assert(lines.length >= 3, out);
  assertEquals(JSON.parse(lines.at(-1)!).schema, "pennon.status/1");
  assertEquals(system.stopListeners.size, 0);
});

Deno.test("status of an unregistered host prints the next step, and returns 3", async () => {
  const { code, out, err } = await runCli(new FakeSystem(), "status");
  assertEquals([code, err], [3, "Next: pennon register --server URL --token TOKEN\n"]);
  assertStringIncludes(out, "not registered");
});

Deno.test("status --watch prints a block every two seconds, and redraws on a terminal only", async () => {
  const blocks = async (isTerminal: boolean, ...words: string[]) => {
    const { system } = await enrolled();
    system.terminal.stdoutIsTerminal = isTerminal;
    const watching = runCli(system, "status", "--watch", ...words);
    // The first block: what the command loads takes turns, and no time.
    for (let turn = 0; turn < 1_000 && system.clock.sleeping === 0; turn++) await settle();
    await system.clock.advance(1_999);
    const before = system.terminal.out.split("Agent ").length - 1;
    await system.clock.advance(1);
    for (let turn = 0; turn < 1_000 && system.clock.sleeping === 0; turn++) await settle();
    system.stopListeners.forEach((listener) => listener("SIGINT"));
    const { out } = await watching;
    return {
      before,
      after: out.split("Agent ").length - 1,
      drawn: out.split("(clear)").length - 1,
    };
  };
  assertEquals(await blocks(true), { before: 1, after: 2, drawn: 2 });
  assertEquals(await blocks(false), { before: 1, after: 2, drawn: 0 });
  assertEquals((await blocks(true, "--json")).drawn, 0);
});

Deno.test("status reports an unreadable buffer, and everything else", async () => {
  const { system } = await enrolled();
  await runCli(system, "run", "--once");
  system.files.fail("look for the buffer", "denied");
  const { code, out } = await runCli(system, "status");
  assertEquals(code, 0);
  assertStringIncludes(out, "buffer unreadable: Cannot look for the buffer");
  assertStringIncludes(out, "Check-in");
  const { buffer, commands, disk } = JSON.parse((await runCli(system, "status", "--json")).out);
  assertEquals([buffer, commands], [null, null]);
  assertStringIncludes(disk.why, "Cannot look for the buffer");
});

Deno.test("status prints the interval in effect: the server's, or else the configured one", async () => {
  const { system } = await enrolled();
  const interval = async () => {
    await runCli(system, "run", "--once");
    return JSON.parse((await runCli(system, "status", "--json")).out).polling.interval_s;
  };
  assertEquals(await interval(), 60);
  const path = `${STATE}/identity.json`;
  const identity = JSON.parse(system.files.texts.get(path) ?? "");
  for (const key of Object.keys(identity)) if (/interval/i.test(key)) identity[key] = null;
  system.files.texts.set(path, JSON.stringify(identity));
  system.environment.set("PENNON_POLLING_INTERVAL", "7m");
  assertEquals(await interval(), 420);
});
