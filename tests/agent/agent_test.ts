import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Agent } from "../../src/agent/agent.ts";
import { loadScannerBreakers, loadState } from "../../src/agent/saved_state.ts";
import { loadIdentity, saveIdentity } from "../../src/identity.ts";
import { settle } from "../fakes/clock.ts";
import { response } from "../fakes/response.ts";
import { World } from "../fakes/world.ts";

const never = new AbortController().signal;
const longest = { notBeforeMs: 1e12, openMs: 1e12, rapidMs: 1e12, intervalMs: 1e12 };

/** A new agent of an interval of a minute, on the configuration's defaults. */
function setUp(configuration = "") {
  const world = new World({ configuration, intervalMs: 60_000, hostFacts: true });
  world.startSpreadMs = 30_000;
  const { system, server, log, identity } = world;
  const make = () => world.open();
  const once = (agent: Agent) =>
    agent.loop.runOnce({ shutdownSignal: never, deadlineSignal: never });
  return { system, server, log, identity, make, once };
}

Deno.test("an agent logs once that its state is not saved, and once that it is again", async () => {
  const { system, log, make, once } = setUp();
  const agent = await make();
  system.files.fail("save the state", "full");
  for (let cycle = 0; cycle < 3; cycle++) {
    await once(agent);
    await system.clock.advance(60_000);
  }
  const notSaved = () => log.told("not saved").map(({ what }) => what);
  assertEquals([notSaved(), log.told("saved again")], [["state"], []]);
  system.files.heal("save the state");
  await once(agent);
  assertEquals(log.told("saved again"), [{ what: "state" }]);
  await once(agent);
  assertEquals(log.told("saved again").length, 1);
  system.files.fail("save the state", "full");
  await once(agent);
  assertEquals(notSaved(), ["state", "state"]);
  await agent.close();
});

Deno.test("an agent saves its state once at a time, and the latest one last", async () => {
  const { system, server, make } = setUp();
  const agent = await make();
  const write = system.files.writeText.bind(system.files);
  const slow = Promise.withResolvers<void>();
  let [begun, writing] = [0, 0];
  const durabilities: (string | undefined)[] = [];
  system.files.writeText = async (purpose, path, text, options) => {
    if (purpose !== "save the state") return await write(purpose, path, text, options);
    begun += 1;
    writing += 1;
    durabilities.push(options.durability);
    assertEquals(writing, 1, "two at a time");
    // After the first check-in the disk is slow: a report that was delivered wants its state saved.
    if (begun > 2) await slow.promise;
    await write(purpose, path, text, options);
    writing -= 1;
  };
  const stop = new AbortController();
  const running = agent.loop.run({ shutdownSignal: stop.signal, deadlineSignal: stop.signal });
  await system.clock.advance(60_000);
  assertEquals([begun, writing, server.count("/system-info")], [3, 1, 1]);
  // Ahead of the check-in nothing is waited for, and after it the file alone.
  assertEquals(durabilities.slice(0, 2), ["none", "content"]);
  // So does the next check-in, meanwhile.
  await system.clock.advance(600_000);
  assertEquals([begun, writing], [3, 1]);
  slow.resolve();
  await system.clock.advance(1_000);
  const saved = JSON.parse(system.files.texts.get("/state/state.json") ?? "{}");
  const nextInMs = agent.loop.state.nextCheckInAtMs! - system.clock.monotonicMs();
  assert(Math.abs(Date.parse(saved.next_check_in_at) - system.clock.nowMs() - nextInMs) < 2);
  stop.abort(new Error("stop"));
  await running;
  await agent.close();
});

Deno.test("an agent that cannot read its state logs that, and starts with defaults", async () => {
  const { system, server, log, make, once } = setUp();
  system.files.fail("read the state", "denied");
  system.files.fail("read the scanner breakers", "denied");
  const agent = await make();
  assertEquals(
    log.told("cannot read saved state; starting with defaults").map(({ what }) => what),
    [
      "state",
      "scanner breakers",
    ],
  );
  assertEquals(await once(agent), true);
  assertEquals(server.count("/commands"), 1);
  await agent.close();
});

Deno.test("resetBreaker() has saved the reset when it returns", async () => {
  const { system, make } = setUp();
  const agent = await make();
  const { files } = system;
  const { writeText } = files;
  // A disk that takes its time.
  files.writeText = async (...words) => {
    await settle();
    return await writeText.apply(files, words);
  };
  await agent.resetBreaker("apt");
  const kept = await loadScannerBreakers(system, "/state", 1e12);
  assertEquals(kept.get("apt")?.generation, 1);
  await agent.close();
});

Deno.test("watch() checks the state directory and handles requests in it, every 5 s until it ends", async () => {
  const { system, log, make } = setUp();
  const agent = await make();
  const end = new AbortController();
  const watching = agent.watch(end.signal);
  const request = "/state/breaker-reset.json";
  system.files.texts.set(request, '{"name":"apt"}');
  await system.clock.advance(4_999);
  assertEquals(log.told("breaker reset by an operator"), []);
  await system.clock.advance(1);
  assertEquals(log.told("breaker reset by an operator"), [{ breaker: "apt" }]);
  assert(!system.files.texts.has(request));
  const looks: string[] = [];
  const inspect = system.files.inspect.bind(system.files);
  system.files.inspect = async (purpose, path) => {
    looks.push(path);
    return await inspect(purpose, path);
  };
  await system.clock.advance(10_000);
  assertEquals(looks.filter((path) => path === "/state/buffer.sqlite").length, 2);
  end.abort();
  await watching;
  await system.clock.advance(60_000);
  assertEquals(looks.filter((path) => path === "/state/buffer.sqlite").length, 2);
  await agent.close();
});

Deno.test("resetBreaker() of the connection lets it try at once, and leaves the scanners' breakers alone", async () => {
  const { system, server, log, make, once } = setUp();
  const agent = await make();
  server.mood = { kind: "gone" };
  for (let cycle = 0; cycle < 8; cycle++) {
    await once(agent);
    await system.clock.advance(60_000);
  }
  assertEquals(agent.loop.state.connection.breaker.state, "open");
  await agent.resetBreaker("connection");
  assertEquals(agent.loop.state.connection.breaker.state, "closed");
  server.mood = { kind: "well" };
  assertEquals(await once(agent), true);
  const { connection } = await loadState(system, "/state", { longest, log });
  assertEquals(connection.breaker.state, "closed");
  assertEquals(await loadScannerBreakers(system, "/state", 1e12), new Map());
  await agent.close();
});

Deno.test("an agent shortens a saved wait to what its configuration allows", async () => {
  const { system, make, once } = setUp('[breaker]\nmax_open = "2m"\nmin_open = "2m"\n');
  const far = new Date(system.clock.nowMs() + 1e11).getTime();
  const saved = {
    schema: "pennon.state/1",
    connection: {
      breaker: {
        state: "open",
        generation: 1,
        failures: 5,
        trips: 1,
        reason: "",
        sinceMs: 0,
        untilMs: far,
      },
      paths: {
        check_in: { failures: 0, notBeforeMs: far },
        delivery: { failures: 0, notBeforeMs: far },
      },
      outage: null,
      needsPerson: { why: "HTTP 403", notBeforeMs: far },
    },
    rapidUntilMs: far,
    nextCheckInMs: far,
    lastCheckInMs: null,
    lastSystemInfoMs: null,
  };
  system.files.texts.set("/state/state.json", JSON.stringify(saved));
  const nowMs = system.clock.monotonicMs();
  const agent = await make();
  const { connection, rapidUntilMs, nextCheckInAtMs } = agent.loop.state;
  const { breaker, paths, operatorAction } = connection;
  assert(breaker.state === "open");
  assertEquals(
    [breaker.untilMs, paths.check_in.notBeforeMs, operatorAction?.notBeforeMs, rapidUntilMs]
      .map((ms) => (ms ?? 0) - nowMs),
    [120_000, 7_200_000, 7_200_000, 3_600_000],
  );
  assertEquals((nextCheckInAtMs ?? 0) - nowMs, 120_000); // Twice the interval.
  await once(agent);
  await agent.close();
});

Deno.test("an agent renews its token, keeps it, and uses it after a restart", async () => {
  const { system, server, identity, make, once } = setUp();
  server.acceptedToken = "access-2";
  const agent = await make();
  assertEquals(await once(agent), true);
  assertEquals(await loadIdentity(system, "/state"), { ...identity, accessToken: "access-2" });
  assertEquals(system.files.modes.get("/state/identity.json"), 0o600);
  await agent.close();
});

/** The server's renewals answer with these tokens, one after the other. */
function renewsWith({ system, server }: ReturnType<typeof setUp>, ...tokens: unknown[]): void {
  system.sendHttp = (request) =>
    request.url.endsWith("/renew")
      ? Promise.resolve(response(200, JSON.stringify({ token: tokens.shift() })))
      : server.sendHttp(request);
}

Deno.test("an agent keeps the old token when a renewal brings one that cannot be used", async () => {
  const bad = ["abc\nX-Evil: 1", "abc def", "äbc", "", "x".repeat(9_000), 7, null];
  for (const [at, token] of bad.entries()) {
    const world = setUp();
    const { system, server, identity, make, once } = world;
    server.acceptedToken = "good";
    renewsWith(world, token, "good");
    const agent = await make();
    assertEquals(await once(agent), false, String(at));
    const why = agent.loop.state.connection.outage?.why ?? "";
    assertStringIncludes(why, "HTTP 200, but not the answer promised: token ");
    assertEquals((await loadIdentity(system, "/state"))?.accessToken, identity.accessToken);
    // It is what the server did wrong, and is tried again with the next call.
    await system.clock.advance(60_000);
    assertEquals(await once(agent), true, String(at));
    assertEquals((await loadIdentity(system, "/state"))?.accessToken, "good");
    await agent.close();
  }
});

Deno.test("an agent goes on with the old token when an early renewal brings a bad one", async () => {
  const world = setUp();
  const { system, server, identity, make, once } = world;
  const dayS = 86_400;
  const iat = Math.floor(system.clock.nowMs() / 1_000);
  const part = (json: unknown) => btoa(JSON.stringify(json)).replace(/=+$/, "");
  const old = `${part({ alg: "HS256" })}.${part({ iat, exp: iat + dayS })}.c2ln`;
  await saveIdentity(system, "/state", { ...identity, accessToken: old });
  server.acceptedToken = old;
  let renewals = 0;
  renewsWith(world, "a b");
  const { sendHttp } = system;
  system.sendHttp = (request) => {
    if (request.url.endsWith("/renew")) renewals += 1;
    return sendHttp(request);
  };
  system.random = () => 0.5; // In the middle of the last quarter of the token's life.
  const agent = await make();
  await system.clock.advance(0.9 * dayS * 1_000);
  assertEquals(await once(agent), true);
  assertEquals(renewals, 1);
  assertEquals((await loadIdentity(system, "/state"))?.accessToken, old);
  await agent.close();
});

Deno.test("each check-in says how the agent is: its breakers, its buffer, its disk", async () => {
  const { server, make, once } = setUp();
  const agent = await make();
  await once(agent);
  const { body } = server.requests.find(({ path }) => path.endsWith("/commands")) ?? {};
  const { metadata } = body as { metadata: Record<string, unknown> };
  assertEquals(metadata, {
    rapid_polling_enabled: false,
    rapid_polling_until: "2026-11-23T00:00:00.000Z",
    polling_mode: "normal",
    connection_breaker: "closed",
    connection_failures: 0,
    scanner_breakers: "",
    pending_events: 0,
    dead_lettered_events: 0,
    buffer_disk: "ok",
    events_in_memory: 0,
  });
  assertEquals(body?.["available_scanners"], []);
  await agent.close();
});

Deno.test("check-ins name the package managers of the host, and find new ones within the hour", async () => {
  const { system, server, make, once } = setUp();
  const agent = await make();
  const told = async () => {
    await once(agent);
    const checkIns = server.requests.filter(({ path }) => path.endsWith("/commands"));
    return checkIns.at(-1)?.body["available_scanners"];
  };
  assertEquals(await told(), []);
  for (const name of ["apt-get", "dpkg-query"]) system.files.texts.set(`/usr/bin/${name}`, "");
  assertEquals(await told(), []);
  await system.clock.advance(3_600_000);
  await told(); // With the host's facts, which follow it, they are looked for again.
  assertEquals(await told(), ["apt"]);
  await agent.close();
});

Deno.test("an agent writes no token to its state, though the server repeats it, renewed or not", async () => {
  const { system, server, identity, make, once } = setUp();
  const renewed = "a-renewed-access-token";
  server.acceptedToken = renewed;
  const agent = await make();
  assertEquals(await once(agent), true);
  for (const token of [renewed, identity.accessToken, identity.refreshToken]) {
    await system.clock.advance(60_000);
    const body = JSON.stringify({ error: `no such token: ${token}` });
    server.mood = { kind: "answers", status: 500, body };
    agent.loop.resetConnection();
    await once(agent);
    const text = system.files.texts.get("/state/state.json") ?? "";
    assert(text.includes("no such token: (hidden)"), text);
    assert(!text.includes(token), text);
  }
  await agent.close();
});

Deno.test("a call without an end is over after health, three requests and five seconds", async () => {
  const http = '[http]\nhealth_timeout = "7s"\ntimeout = "20s"\n';
  const { system, log, make } = setUp(http);
  let beganMs = NaN;
  system.sendHttp = () => {
    beganMs = system.clock.monotonicMs();
    return new Promise(() => {});
  };
  const agent = await make();
  const stop = new AbortController();
  const running = agent.loop.run({ shutdownSignal: stop.signal, deadlineSignal: stop.signal });
  let waitedMs = 0;
  const isOver = () => log.events.some(({ level }) => level === "warning");
  for (; !isOver() && waitedMs < 600_000; waitedMs += 1_000) await system.clock.advance(1_000);
  const tookMs = system.clock.monotonicMs() - beganMs;
  assertEquals(Math.floor(tookMs / 1_000), 7 + 3 * 20 + 5);
  stop.abort();
  await running;
  await agent.close();
});

Deno.test("an agent reports with the host's facts whether a restart is due, from scans since the host started", async () => {
  const uptimeMs = 3_600_000; // The fake machine's.
  for (const [agoMs, expected] of [[uptimeMs - 1, true], [uptimeMs + 1, undefined]] as const) {
    const { system, server, make, once } = setUp();
    const scan = {
      at_ms: system.clock.nowMs() - agoMs,
      result: "ok",
      updates: 0,
      security: 0,
      duration_ms: 1,
      error: null,
      reboot: { required: true, reason: "a new kernel" },
    };
    system.files.texts.set("/state/last-scans.json", JSON.stringify({ apt: scan }));
    const agent = await make();
    await once(agent);
    const facts = server.reports.find(({ report }) => report === "system-info");
    const metadata = facts?.body["metadata"] as Record<string, unknown> | undefined;
    assertEquals(metadata?.["kernel"], "6.1.0-test");
    assertEquals(metadata?.["reboot_required"], expected);
    agent.close();
  }
});

Deno.test("an agent sends the machine id of its host with every call, and saves the pair of a renewal", async () => {
  const { system, server, make, once } = setUp();
  const ids = new Set<string | undefined>();
  system.sendHttp = async (request) => {
    ids.add(request.headers["x-machine-id"]);
    if (!request.url.endsWith("/renew")) return await server.sendHttp(request);
    server.acceptedToken = "access-2";
    return response(200, JSON.stringify({ token: "access-2", refresh_token: "refresh-2" }));
  };
  server.acceptedToken = "none";
  const agent = await make();
  assertEquals(await once(agent), true);
  assertEquals([...ids], ["3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9"]);
  const saved = await loadIdentity(system, "/state");
  assertEquals([saved?.accessToken, saved?.refreshToken], ["access-2", "refresh-2"]);
  await agent.close();
});

Deno.test("an agent whose version or machine has changed since a refusal tries again at once", async () => {
  const body = JSON.stringify({ error: "machine ID mismatch", hint: "h" });
  for (const hasChanged of [false, true]) {
    const { system, server, make, once } = setUp();
    server.mood = { kind: "answers", status: 403, body };
    const refused = await make();
    await once(refused);
    await refused.close();
    server.mood = { kind: "well" };
    if (hasChanged) system.files.ofHost.set("/etc/machine-id", `${"f0".repeat(16)}\n`);
    const before = server.count("/commands");
    const next = await make();
    await once(next);
    assertEquals(server.count("/commands") - before, hasChanged ? 1 : 0);
    await next.close();
  }
});
