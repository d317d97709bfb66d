import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { holdState } from "../../src/agent/hold_state.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, say, STATE } from "./said.ts";

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
