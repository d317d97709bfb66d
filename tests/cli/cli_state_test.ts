import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { holdState } from "../../src/agent/hold_state.ts";
import { FakeSystem } from "../fakes/system.ts";
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
  const none = { received: 0, started: 0, finished: 0, reported: 0, remembered: 0, unfinished: 0 };
  assertEquals(status.commands, { ...none, max_remembered: 10_000 });
  const text = (await say(system, "status")).out;
  assertStringIncludes(text, "Outage");
  assert(!text.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("events list tells what waits", async () => {
  const { system, server } = await enrolled();
  assertEquals((await say(system, "events", "list")).out, "No events\n");
  server.poison = { text: "command_id", status: 400 };
  server.queue("c1", "disable_heartbeat");
  await say(system, "run", "--once");
  const { events, total } = JSON.parse((await say(system, "events", "list", "--json")).out);
  assertEquals([total, events[0].kind, events[0].command_id, events[0].attempts], [
    1,
    "log",
    "c1",
    1,
  ]);
  assertStringIncludes((await say(system, "events", "list")).out, "HTTP 400");
  assertEquals((await say(system, "events", "list", "--dead")).out, "No events\n");
});

Deno.test("config show tells each value and where it came from, and hides the secret", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "https://file.test"\n');
  system.environment.set("PENNON_TOKEN", "very-secret");
  const { out } = await say(system, "config", "show", "--log-level", "debug");
  assert(!out.includes("very-secret"));
  assert(
    /^server\.url +https:\/\/file\.test +file: \/etc\/pennon\/config\.toml, line 2$/m.test(out),
  );
  assert(/^server\.registration_token +\(set\) +environment: PENNON_TOKEN$/m.test(out));
  assert(/^log\.level +debug +flag: /m.test(out), out);
});

Deno.test("breaker list shows each breaker, and breaker reset closes one on disk", async () => {
  const { system, server } = await enrolled();
  assertEquals((await say(system, "breaker", "list")).out, "No breaker has been used yet\n");
  server.mood = { kind: "gone" };
  for (let attempt = 0; attempt < 6; attempt++) {
    await say(system, "run", "--once");
    await system.clock.advance(300_000);
  }
  const { out } = await say(system, "breaker", "list", "--json");
  assertEquals(JSON.parse(out).breakers[0].name, "connection");
  assertEquals(JSON.parse(out).breakers[0].state, "open");
  assertStringIncludes((await say(system, "breaker", "list")).out, "refused");
  const reset = await say(system, "breaker", "reset", "connection");
  assertEquals([reset.code, reset.out], [
    0,
    'Breaker "connection" is closed (on disk; no agent runs)\n',
  ]);
  const after = JSON.parse((await say(system, "breaker", "list", "--json")).out);
  assertEquals(after.breakers[0].state, "closed");
});

Deno.test("breaker reset is refused for a breaker that there is not", async () => {
  for (const words of [["reset"], ["reset", "toaster"], ["open", "apt"], ["list", "apt"]]) {
    assertEquals((await say(new FakeSystem(), "breaker", ...words)).code, 2, words.join(" "));
  }
});

Deno.test("breaker reset with a running agent asks it, and gives up where it does not answer", async () => {
  const { system } = await enrolled();
  const hold = await holdState(system, STATE, "test");
  const asked = say(system, "breaker", "reset", "apt");
  for (let turn = 0; turn < 100; turn++) await system.clock.advance(500);
  const { code, err } = await asked;
  assertEquals(code, 1);
  assertStringIncludes(err, "did not take it up");
  assert(![...system.files.texts.keys()].some((path) => path.endsWith("breaker-reset.json")));
  await hold.release();
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
