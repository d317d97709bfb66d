import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeSystem } from "../fakes/system.ts";
import { settle } from "../fakes/clock.ts";
import { enrolled, say, STATE } from "./said.ts";

Deno.test("status tells what the agent left on disk, as text and as JSON", async () => {
  const { system, server } = await enrolled();
  assertStringIncludes((await say(system, "status")).out, "no check-in yet");
  await say(system, "run", "--once");
  server.mood = { kind: "gone" };
  await say(system, "run", "--once");
  const { code, out } = await say(system, "status", "--json");
  assertEquals(code, 0);
  const status = JSON.parse(out);
  assertEquals([status.schema, status.registered, status.running], [
    "pennon.status/1",
    true,
    false,
  ]);
  assertEquals([status.connection.breaker, status.connection.failures], ["closed", 1]);
  assertEquals([status.disk.takes_writes, status.disk.why, status.process_id], [true, null, null]);
  assertEquals([status.scanners, status.scanner_breakers], [{}, []]);
  const none = { received: 0, started: 0, finished: 0, reported: 0, remembered: 0, unfinished: 0 };
  assertEquals(status.commands, { ...none, max_remembered: 10_000 });
  const text = (await say(system, "status")).out;
  assertStringIncludes(text, "Outage");
  assert(!text.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("status --watch of a host that is not registered goes on too, and ends with 3", async () => {
  const system = new FakeSystem();
  const watching = say(system, "status", "--watch");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await watching;
  assertEquals(code, 3);
  assert(err.includes("pennon register"), err);
});

Deno.test("status --watch goes on until it is asked to stop", async () => {
  const { system } = await enrolled();
  const watching = say(system, "status", "--watch", "--json");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, out } = await watching;
  assertEquals(code, 0);
  const lines = out.trimEnd().split("\n");
  assert(lines.length >= 3, out);
  assertEquals(JSON.parse(lines.at(-1)!).schema, "pennon.status/1");
  assertEquals(system.stopListeners.size, 0);
});

Deno.test("status of a host that is not registered says how it is done, and answers 3", async () => {
  const { code, out, err } = await say(new FakeSystem(), "status");
  assertEquals([code, err], [3, "Next: pennon register --server URL --token TOKEN\n"]);
  assertStringIncludes(out, "not registered");
});

Deno.test("status --watch shows a block every two seconds, drawn over on a terminal alone", async () => {
  const blocks = async (isTerminal: boolean, ...words: string[]) => {
    const { system } = await enrolled();
    system.terminal.stdoutIsTerminal = isTerminal;
    const watching = say(system, "status", "--watch", ...words);
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

Deno.test("status tells of a buffer that cannot be read, and of all else", async () => {
  const { system } = await enrolled();
  await say(system, "run", "--once");
  system.files.fail("look for the buffer", "denied");
  const { code, out } = await say(system, "status");
  assertEquals(code, 0);
  assertStringIncludes(out, "buffer unreadable: Cannot look for the buffer");
  assertStringIncludes(out, "Check-in");
  const { buffer, commands, disk } = JSON.parse((await say(system, "status", "--json")).out);
  assertEquals([buffer, commands], [null, null]);
  assertStringIncludes(disk.why, "Cannot look for the buffer");
});

Deno.test("status says what interval holds: the server's, or else the configuration's", async () => {
  const { system } = await enrolled();
  const interval = async () => {
    await say(system, "run", "--once");
    return JSON.parse((await say(system, "status", "--json")).out).polling.interval_s;
  };
  assertEquals(await interval(), 60);
  const path = `${STATE}/identity.json`;
  const identity = JSON.parse(system.files.texts.get(path) ?? "");
  for (const key of Object.keys(identity)) if (/interval/i.test(key)) identity[key] = null;
  system.files.texts.set(path, JSON.stringify(identity));
  system.environment.set("PENNON_POLLING_INTERVAL", "7m");
  assertEquals(await interval(), 420);
});
