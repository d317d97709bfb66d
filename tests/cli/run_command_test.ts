import { assertEquals } from "@std/assert";
import { cli } from "../../src/cli/cli.ts";
// Loaded before it is asked for: loading takes real time, and the clock here stands still.
import "../../src/cli/run_command.ts";
import "../../src/config/toml.ts";
import { settle } from "../fakes/clock.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";

/** An agent whose first check-in hangs, in that request; `ended` is its exit code, once it has one. */
async function hangingAgent(where = "/commands") {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const identity = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(identity) };
  await cli(["register", "--server", "http://server.test", "--token", "t"], system);
  system.files.texts.set("/etc/pennon/config.toml", '[polling]\nstart_spread = "0s"\n');
  server.mood = { kind: "well" };
  server.hangsAt = where;
  server.acceptedToken = where === "/renew" ? "access-2" : "access-1";
  let ended: number | null = null;
  const running = cli(["run"], system).then((code) => ended = code);
  for (let turn = 0; turn < 20 && server.count(where) === 0; turn++) {
    await system.clock.advance(0);
    await settle();
  }
  assertEquals(server.count(where), 1);
  const signal = () => system.stopListeners.forEach((listener) => listener("SIGTERM"));
  const advance = async (ms: number) => {
    await system.clock.advance(ms);
    await settle();
  };
  return { system, running, signal, advance, ended: () => ended };
}

/** Asserts that an agent which waits there ends 4 s after a request to stop, and not before. */
async function assertStops(where: string): Promise<void> {
  const { system, running, signal, advance, ended } = await hangingAgent(where);
  signal();
  await advance(3_999);
  assertEquals(ended(), null);
  await advance(1);
  assertEquals(await running, 0);
  assertEquals([system.stopListeners.size, system.clock.sleeping], [0, 0]);
}

Deno.test("a request to stop cuts off a server that does not answer after 4 s, and not before", () =>
  assertStops("/commands"));

Deno.test("a request to stop waits no longer for a token that the server does not renew", () =>
  assertStops("/renew"));

Deno.test("a second request to stop ends it at once, as a failure", async () => {
  const { running, signal, system } = await hangingAgent();
  signal();
  signal();
  assertEquals(await running, 1);
  assertEquals([system.stopListeners.size, system.clock.sleeping], [0, 0]);
});

Deno.test("run has its event loop watched, with the limit of the configuration", async () => {
  const { system, running, signal } = await hangingAgent();
  assertEquals(system.watchedMs, 120_000);
  signal();
  signal();
  await running;
});
