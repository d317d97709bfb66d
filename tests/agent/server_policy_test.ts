import { assert, assertEquals } from "@std/assert";
import { loadPolicy, POLICY_FILE } from "../../src/agent/server_policy.ts";
import { HttpError } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import type { FakeSystem } from "../fakes/system.ts";
import { SERVER_URL, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;

const POLICY = {
  polling: { jitter_max_seconds: 2, backoff_base_seconds: 10, backoff_max_seconds: 20 },
  subsystems: {},
};

function setUp() {
  const world = new World({ intervalMs: MINUTE_MS, hostFacts: true });
  world.startSpreadMs = 30_000;
  const { system, server, log } = world;
  const asked = () => server.requests.filter(({ path }) => path.endsWith("/config"));
  /** Runs the agent while `during` goes on. */
  const whileRunning = async (during: () => Promise<void>) => {
    await world.start();
    await during();
    world.cutOff();
    await world.stop();
  };
  return { system, server, log, whileRunning, asked };
}

const saved = async ({ files }: FakeSystem) =>
  (await loadPolicy({ files }, "/state", SERVER_URL))?.policy ?? null;

Deno.test("an agent asks for the server's policy at its start, then every 15 minutes, and saves changes", async () => {
  const { system, server, log, whileRunning, asked } = setUp();
  server.policy = POLICY;
  await whileRunning(async () => {
    await system.clock.advance(2 * MINUTE_MS);
    assertEquals(asked().map(({ method, token }) => [method, token]), [["GET", "access-1"]]);
    assertEquals((await saved(system))?.backoffMaxMs, 20_000);
    system.files.texts.delete(POLICY_FILE.pathIn("/state"));
    await system.clock.advance(60 * MINUTE_MS);
    assert(asked().length >= 4 && asked().length <= 5, String(asked().length));
    // Nothing has changed, so nothing was written.
    assertEquals(system.files.texts.has(POLICY_FILE.pathIn("/state")), false);
    server.policy = { ...POLICY, polling: { backoff_max_seconds: 30 } };
    await system.clock.advance(16 * MINUTE_MS);
    assertEquals((await saved(system))?.backoffMaxMs, 30_000);
  });
  assertEquals(log.told("server's policy changed"), [{ is_set: true }, { is_set: true }]);
});

Deno.test("an agent reports its breakers, once they have changed, to a server that has a policy alone", async () => {
  for (const policy of [POLICY, null]) {
    const { system, server, whileRunning } = setUp();
    server.policy = policy;
    await whileRunning(async () => {
      await system.clock.advance(10 * MINUTE_MS);
      assertEquals(server.count("/circuit-breakers"), 0);
      server.mood = { kind: "gone" };
      await system.clock.advance(30 * MINUTE_MS);
      server.mood = { kind: "well" };
      await system.clock.advance(30 * MINUTE_MS);
      assertEquals(server.count("/circuit-breakers"), policy === null ? 0 : 1);
    });
  }
});

Deno.test("an agent asks a server without such a route once a day, and drops the policy it had", async () => {
  const { system, server, whileRunning, asked } = setUp();
  server.policy = POLICY;
  await whileRunning(() => system.clock.advance(2 * MINUTE_MS));
  server.policy = null;
  const before = asked().length;
  await whileRunning(async () => {
    await system.clock.advance(2 * MINUTE_MS);
    assertEquals(await saved(system), null);
    await system.clock.advance(23 * 60 * MINUTE_MS);
    assertEquals(asked().length, before + 1);
    await system.clock.advance(2 * 60 * MINUTE_MS);
    assertEquals(asked().length, before + 2);
  });
});

Deno.test("an agent keeps the policy it has where a 404 is not the server's own", async () => {
  const rows: [version: string | null, page: string][] = [
    [null, "<html>404</html>"],
    ["0.2.9", "404 page not found"],
  ];
  for (const [version, page] of rows) {
    const { system, server, whileRunning, asked } = setUp();
    server.policy = POLICY;
    server.version = version;
    await whileRunning(async () => {
      await system.clock.advance(2 * MINUTE_MS);
      const before = asked().length;
      const send = system.sendHttp;
      system.sendHttp = async (request) =>
        request.url.endsWith("/config") ? response(404, page) : await send(request);
      await system.clock.advance(31 * MINUTE_MS);
      assertEquals((await saved(system))?.backoffMaxMs, 20_000);
      system.sendHttp = send;
      await system.clock.advance(31 * MINUTE_MS);
      assert(asked().length > before, "it was asked for again soon");
    });
  }
});

Deno.test("an agent asks a server that was upgraded at its next check-in, though at most every 15 minutes", async () => {
  const { system, server, whileRunning, asked } = setUp();
  await whileRunning(async () => {
    await system.clock.advance(20 * MINUTE_MS);
    assertEquals(asked().length, 1);
    server.version = "0.2.9";
    server.policy = POLICY;
    await system.clock.advance(2 * MINUTE_MS);
    assertEquals(asked().length, 2);
    assertEquals((await saved(system))?.backoffMaxMs, 20_000);
    // Two versions behind one load balancer.
    server.policy = null;
    for (let minute = 0; minute < 60; minute += 1) {
      server.version = minute % 2 === 0 ? "0.2.10" : "0.2.9";
      await system.clock.advance(MINUTE_MS);
    }
    assert(asked().length >= 4 && asked().length <= 7, String(asked().length));
  });
});

Deno.test("a policy lasts over a restart, and holds from the first failure on", async () => {
  const { system, server, whileRunning } = setUp();
  server.policy = POLICY;
  await whileRunning(() => system.clock.advance(2 * MINUTE_MS));
  server.mood = { kind: "answers", status: 500 };
  server.requests.length = 0;
  await whileRunning(() => system.clock.advance(5 * MINUTE_MS));
  const waits = server.requests.map(({ atMs }, at) =>
    atMs - (server.requests[at - 1]?.atMs ?? atMs)
  );
  assert(waits.length >= 4, String(waits));
  // 20 s is the longest backoff; an open breaker stays open for 60 s at most, as its minimum says.
  assert(waits.slice(1, 4).every((ms) => ms <= 20_000), String(waits));
});

Deno.test("nothing that the policy's route answers disturbs check-ins and reports", async () => {
  for (const status of [200, 400, 404, 429, 500, 503]) {
    const { system, server, log, whileRunning, asked } = setUp();
    const send = server.sendHttp;
    system.sendHttp = async (request) => {
      const answer = await send(request);
      return request.url.endsWith("/config") ? { ...answer, status } : answer;
    };
    await whileRunning(async () => {
      await system.clock.advance(70 * MINUTE_MS);
      assert(server.count("/commands") >= 68, `${status}: ${server.count("/commands")}`);
      const most = status === 404 ? 1 : 5;
      assert(asked().length <= most && asked().length > 0, `${status}: ${asked().length}`);
    });
    assertEquals(log.told("server not reached"), [], String(status));
    assertEquals(log.told("connection breaker opened"), [], String(status));
    assertEquals(await saved(system), null);
  }
});

Deno.test("a policy's route that asks to be left alone for a while holds back all calls, and is no outage", async () => {
  const { system, server, log, whileRunning } = setUp();
  const send = server.sendHttp;
  const turnedAwayMs: number[] = [];
  system.sendHttp = async (request) => {
    if (!request.url.endsWith("/config")) return await send(request);
    turnedAwayMs.push(system.clock.monotonicMs());
    return response(503, '{"error":"later"}', { "retry-after": "300" });
  };
  await whileRunning(() => system.clock.advance(40 * MINUTE_MS));
  assert(turnedAwayMs.length >= 2, String(turnedAwayMs.length));
  for (const atMs of turnedAwayMs) {
    const next = server.requests.find((request) => request.atMs > atMs);
    assert(next === undefined || next.atMs >= atMs + 300_000, `${next?.path} after ${atMs}`);
  }
  assertEquals(log.told("connection breaker opened"), []);
});

Deno.test("a policy's route that hangs holds a check-in up for 10 s, and counts as no failure", async () => {
  const { system, server, log, whileRunning } = setUp();
  const send = server.sendHttp;
  system.sendHttp = async (request) => {
    if (!request.url.endsWith("/config")) return await send(request);
    await system.clock.sleep(request.timeoutMs, new AbortController().signal);
    assertEquals(request.timeoutMs, 10_000);
    throw new HttpError("Cannot wait: no answer", { reason: "timeout" });
  };
  await whileRunning(() => system.clock.advance(60 * MINUTE_MS));
  assert(server.count("/commands") >= 57, String(server.count("/commands")));
  assertEquals(log.told("server not reached"), []);
});

Deno.test("a policy that the disk does not take holds all the same, and is saved later", async () => {
  const { system, server, log, whileRunning } = setUp();
  server.policy = POLICY;
  system.files.fail("save the server's policy", "full");
  await whileRunning(async () => {
    await system.clock.advance(40 * MINUTE_MS);
    assertEquals([log.told("server's policy not saved").length, await saved(system)], [1, null]);
    system.files.heal("save the server's policy");
    await system.clock.advance(16 * MINUTE_MS);
    assertEquals((await saved(system))?.jitterMaxMs, 2_000);
  });
});

Deno.test("loadPolicy() reads only this server's policy, and throws for no file", async () => {
  const { system } = setUp();
  const load = () => loadPolicy(system, "/state", SERVER_URL);
  assertEquals(await load(), null);
  const policy = { jitterMaxMs: null, backoffBaseMs: 1, backoffMaxMs: 2, subsystems: {} };
  const value = { serverUrl: SERVER_URL, receivedMs: 5, policy };
  await POLICY_FILE.write(system.files, "/state", value);
  assertEquals(await load(), value);
  await POLICY_FILE.write(system.files, "/state", { ...value, serverUrl: "http://other.test" });
  assertEquals(await load(), null);
  system.files.texts.set(POLICY_FILE.pathIn("/state"), "junk");
  assertEquals(await load(), null);
  system.files.fail("read the server's policy", "denied");
  assertEquals(await load(), null);
});
