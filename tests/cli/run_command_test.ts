import { assert, assertEquals } from "@std/assert";
import { cli } from "../../src/cli/cli.ts";
import type { HttpRequest } from "../../src/system/http.ts";
import { settle } from "../fakes/clock.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";
// Loaded before it is asked for: loading takes real time, and the clock here stands still.
import "../../src/cli/run_command.ts";
import "../../src/config/toml.ts";

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

Deno.test("a stop request ends a request without an answer after 4 s, and not before", () =>
  assertStops("/commands"));

Deno.test("a stop request does not wait for a renewal without an answer", () =>
  assertStops("/renew"));

Deno.test("run starts the watchdog with the configured limit", async () => {
  const { system, running, signal, advance } = await hangingAgent();
  assertEquals(system.watchedMs, 120_000);
  signal();
  await advance(4_000);
  await running;
});

/** Answers each request well until the token has been renewed, and with `status` and `error` then. */
function failsAfterRenewal(server: FakeServer, status: number, error: string) {
  return async (request: HttpRequest) => {
    const answer = await server.sendHttp(request);
    const body = JSON.stringify({ error });
    if (request.url.endsWith("/renew")) server.mood = { kind: "answers", status, body };
    return answer;
  };
}

Deno.test("neither the log nor status shows a renewed token that the server repeats", async () => {
  const { system, server } = await enrolled();
  const tokens = ["a-first-renewed-token", "a-second-renewed-token", "refresh-1"];
  server.acceptedToken = tokens[0]!;
  const error = `no such token: ${tokens.join()}`;
  system.sendHttp = failsAfterRenewal(server, 500, error);
  const { code, err } = await runCli(system, "run", "--once");
  assertEquals(code, 1);
  assert(err.includes(`no such token: (hidden),${tokens[1]},(hidden)`), err);
  const state = system.files.texts.get(`${STATE}/state.json`) ?? "";
  const status = await runCli(system, "status");
  for (const text of [state, status.out]) {
    assert(text.includes("no such token: (hidden)"), text);
    for (const token of [tokens[0]!, tokens[2]!]) assert(!text.includes(token), text);
  }
});

Deno.test("run reports to the service manager that it runs, that it stops, and then no more", async () => {
  const { system, running, signal, advance } = await hangingAgent();
  assertEquals(system.reported, [`connected in ${STATE}`, "ready"]);
  signal();
  assertEquals(system.reported.at(-1), "stopping");
  await advance(4_000);
  await running;
  assertEquals(system.reported.slice(2), ["stopping", "closed"]);
});

Deno.test("run goes on if its service manager cannot be reached, and logs why", async () => {
  const { system } = await enrolled();
  system.reportFailure = "no such socket";
  const { code, err } = await runCli(system, "run", "--once");
  assertEquals(code, 0);
  assert(err.includes('service manager not reached state=ready why="no such socket"'), err);
});

Deno.test("run --log-file writes what is on stderr to a file in the state directory, too", async () => {
  const { system } = await enrolled();
  const { code, err } = await runCli(system, "run", "--once", "--log-file", "pennon.log");
  assertEquals([code, system.files.texts.get(`${STATE}/pennon.log`)], [0, err]);
  assertEquals((await runCli(system, "run", "--log-file", "../a.log")).code, 2);
});
