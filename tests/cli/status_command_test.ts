import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, say } from "./said.ts";

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
