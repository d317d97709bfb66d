import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../fakes/clock.ts";
import { RateLimiter, WINDOW_MS } from "../../tools/refserver/rate_limit.ts";
import {
  type Refserver,
  type RefserverOptions,
  startRefserver,
} from "../../tools/refserver/refserver.ts";
import { call, type RawAnswer } from "./raw_request.ts";

const TOKEN = "join-us";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** An agent as small as one can be. */
interface TestAgent {
  readonly id: string;
  readonly token: string;
  readonly refreshToken: string;
  send(method: string, what: string, body?: unknown): Promise<RawAnswer>;
}

const host = { hostname: "web-1", os_type: "linux", agent_version: "0.1.0" };

const update = {
  package_type: "apt",
  package_name: "openssl",
  current_version: "3.0.1",
  available_version: "3.0.2",
  severity: "important",
};

const log = { command_id: "", action: "scan_updates", result: "success" };

async function withServer(
  options: RefserverOptions,
  work: (server: Refserver) => Promise<void>,
): Promise<void> {
  const server = await startRefserver({ registrationTokens: [TOKEN], ...options });
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

function register(server: Refserver, body: unknown = host, token = TOKEN): Promise<RawAnswer> {
  const headers = { Authorization: `Bearer ${token}` };
  return call(server.url, { method: "POST", path: "/api/v1/agents/register", headers, body });
}

async function enrol(server: Refserver): Promise<TestAgent> {
  const { agent_id: id, token, refresh_token: refreshToken } = (await register(server)).json;
  return { id, token, refreshToken, send: (...args) => send(server, { id, token }, ...args) };
}

function send(
  server: Refserver,
  agent: { id: string; token: string },
  method: string,
  what: string,
  body?: unknown,
): Promise<RawAnswer> {
  const path = `/api/v1/agents/${agent.id}${what && `/${what}`}`;
  return call(server.url, {
    method,
    path,
    headers: { Authorization: `Bearer ${agent.token}` },
    body,
  });
}

function renew(server: Refserver, agent: TestAgent): Promise<RawAnswer> {
  const body = { agent_id: agent.id, refresh_token: agent.refreshToken };
  return call(server.url, { method: "POST", path: "/api/v1/agents/renew", body });
}

Deno.test("health is answered to anybody, unknown routes are not", async () => {
  await withServer({}, async (server) => {
    for (const path of ["/health", "/api/health"]) {
      const answer = await call(server.url, { method: "GET", path });
      assertEquals([answer.status, answer.json], [200, { status: "healthy" }]);
    }
    const answer = await call(server.url, { method: "GET", path: "/api/v1/agents" });
    assertEquals([answer.status, answer.text], [404, "404 page not found"]);
    assertEquals(server.state().violations.map(({ what }) => what), ["no such route"]);
  });
});

Deno.test("register gives out tokens, and makes two agents of one host that asks twice", async () => {
  await withServer({ checkInIntervalS: 60 }, async (server) => {
    const answer = await register(server, { ...host, metadata: { cpu_cores: "4" } });
    assertEquals(answer.status, 200);
    assertEquals(answer.json.config, { check_in_interval: 60, server_url: "refserver.test" });
    const inBody = { ...host, registration_token: TOKEN };
    const path = "/api/v1/agents/register";
    assertEquals((await call(server.url, { method: "POST", path, body: inBody })).status, 200);
    const { agents } = server.state();
    assertEquals(agents.map(({ hostname }) => hostname), ["web-1", "web-1"]);
    assertEquals(agents[0]!.metadata, { cpu_cores: "4" });
    assert(agents[0]!.id !== agents[1]!.id);
  });
});

Deno.test("register refuses what the real one refuses", async () => {
  await withServer({ limits: { register: 0 } }, async (server) => {
    const refusals: [unknown, number][] = [
      ["{", 400],
      [{ ...host, hostname: "" }, 400],
      [{ ...host, hostname: 7 }, 400],
      [{ ...host, agent_version: undefined }, 400],
      [{ ...host, metadata: { cpu_cores: 4 } }, 400],
      [{ ...host, os_type: "darwin" }, 500],
      [{ ...host, hostname: "x".repeat(256) }, 500],
      [{ ...host, os_version: "x".repeat(101) }, 500],
      [{ ...host, os_architecture: "x".repeat(21) }, 500],
      [{ ...host, agent_version: "x".repeat(21) }, 500],
    ];
    for (const [body, status] of refusals) {
      assertEquals((await register(server, body)).status, status, JSON.stringify(body));
    }
    assertEquals((await register(server, host, "wrong")).status, 401);
    const path = "/api/v1/agents/register";
    assertEquals((await call(server.url, { method: "POST", path, body: host })).status, 401);
    assertEquals(server.state().agents, []);
    assertEquals(server.state().violations.length, refusals.length);
    assertEquals((await register(server, { ...host, hostname: "é".repeat(255) })).status, 200);
  });
});

Deno.test("a check-in hands commands over once, ten at a time, oldest first", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const ids = Array.from(
      { length: 12 },
      (_, n) => server.queueCommand({ type: "scan_updates", params: { n } }),
    );
    const first = await agent.send("GET", "commands", { cpu_percent: 3.5, version: "0.2.0" });
    assertEquals(first.json.commands.map(({ id }: { id: string }) => id), ids.slice(0, 10));
    assertEquals(first.json.commands[0], { id: ids[0], type: "scan_updates", params: { n: 0 } });
    assert(first.json.rapid_polling.enabled);
    const second = await agent.send("GET", "commands");
    assertEquals(second.json.commands.map(({ id }: { id: string }) => id), ids.slice(10));
    assertEquals((await agent.send("GET", "commands")).json, { commands: [] });
    const handedOver = server.state().requests.slice(-3).map((request) => request.handedOver);
    assertEquals(handedOver, [ids.slice(0, 10), ids.slice(10), []]);
    const [known] = server.state().agents;
    assertEquals(known!.lastCheckIn, { cpu_percent: 3.5, version: "0.2.0" });
    assertEquals([known!.currentVersion, known!.checkIns], ["0.2.0", 3]);
    assertEquals(server.state().violations, []);
  });
});

Deno.test("a command that nobody reports on is timed out after two hours", async () => {
  const clock = new FakeClock();
  await withServer({ clock }, async (server) => {
    const agent = await enrol(server);
    server.queueCommand({ type: "reboot", params: null });
    assertEquals((await agent.send("GET", "commands")).json.commands[0].params, null);
    clock.setNow(clock.nowMs() + 2 * HOUR_MS - 1);
    assertEquals(server.state().commands[0]!.status, "sent");
    clock.setNow(clock.nowMs() + 1);
    assertEquals(server.state().commands[0]!.status, "timed_out");
  });
});

Deno.test("a check-in passes over what it cannot read, and panics where the real one does", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    assertEquals((await agent.send("GET", "commands", "{")).status, 200);
    assertEquals((await agent.send("GET", "commands", { cpu_percent: "3" })).status, 200);
    assertEquals(server.state().violations.length, 2);
    server.queueCommand({ type: "scan_updates" });
    const until = new Date(Date.now() + HOUR_MS).toISOString();
    for (
      const metadata of [
        { rapid_polling_enabled: "true", rapid_polling_until: until },
        { rapid_polling_enabled: true, rapid_polling_until: 5 },
        { rapid_polling_enabled: null, rapid_polling_until: until },
      ]
    ) {
      const answer = await agent.send("GET", "commands", { metadata });
      assertEquals([answer.status, answer.text], [500, ""]);
    }
    assertMatch(server.state().violations.at(-1)!.what, /server panic/);
    assertEquals(server.state().commands[0]!.status, "pending");
  });
});

Deno.test("the server believes in rapid polling only as long as the agent says so", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const until = new Date(Date.now() + HOUR_MS).toISOString();
    const metadata = { rapid_polling_enabled: true, rapid_polling_until: until };
    const told = await agent.send("GET", "commands", { metadata });
    assertEquals(told.json.rapid_polling, { enabled: true, until });
    server.queueCommand({ type: "scan_updates" });
    const silent = await agent.send("GET", "commands", {});
    assertEquals([silent.json.commands.length, silent.json.rapid_polling], [1, undefined]);
    assertEquals(server.state().agents[0]!.rapidUntil, null);
    const noUntil = { metadata: { rapid_polling_enabled: true } };
    assertEquals((await agent.send("GET", "commands", noUntil)).json, { commands: [] });
    const asked = await agent.send("POST", "rapid-mode", { enabled: true, duration_minutes: 60 });
    assertEquals(server.state().agents[0]!.rapidUntil, asked.json.rapid_polling_until);
    for (const minutes of [0, 61, 1.5]) {
      const body = { enabled: true, duration_minutes: minutes };
      assertEquals((await agent.send("POST", "rapid-mode", body)).status, 400);
    }
  });
});

Deno.test("one bad update costs the whole batch", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const good = [update, { ...update, package_name: "curl", severity: "low" }];
    const bad: [unknown, number][] = [
      [{ severity: "high" }, 500],
      [{ severity: "none" }, 500],
      [{ severity: undefined }, 500],
      [{ package_name: "x".repeat(501) }, 500],
      [{ current_version: "x".repeat(101) }, 500],
      [{ available_version: "x".repeat(101) }, 500],
      [{ repository_source: "x".repeat(256) }, 500],
      [{ kb_id: "x".repeat(51) }, 500],
      [{ metadata: { text: "a\0b" } }, 500],
      [{ package_name: "a\0b" }, 500],
      [{ package_name: "" }, 400],
      [{ package_type: undefined }, 400],
      [{ available_version: null }, 400],
      [{ size_bytes: 1.5 }, 400],
      [{ cve_list: "CVE-2026-1" }, 400],
    ];
    for (const [change, status] of bad) {
      const updates = [...good, { ...update, ...change as Record<string, unknown> }];
      const answer = await agent.send("POST", "updates", { command_id: "c", updates });
      assertEquals(answer.status, status, JSON.stringify(change));
    }
    assertEquals([server.state().updates, server.state().packages], [[], []]);
    assertEquals(server.state().violations.length, bad.length);
    const whole = { command_id: "c", timestamp: "2026-11-24T00:00:00.123Z", updates: good };
    const answer = await agent.send("POST", "updates", whole);
    assertEquals(answer.json, { message: "update events recorded", count: 2, command_id: "c" });
    await agent.send("POST", "updates", whole);
    const { updates, packages } = server.state();
    assertEquals(updates.map(({ package_name }) => package_name), [
      "openssl",
      "curl",
      "openssl",
      "curl",
    ]);
    assertEquals(packages.map(({ packageName }) => packageName), ["openssl", "curl"]);
    const late = { ...whole, timestamp: "yesterday" };
    assertEquals((await agent.send("POST", "updates", late)).status, 400);
  });
});

Deno.test("a log completes or fails its command, or only stores a part", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const ids = ["success", "failed", "partial"].map(() =>
      server.queueCommand({ type: "scan_updates" })
    );
    await agent.send("GET", "commands");
    for (const [n, result] of ["success", "failed", "partial"].entries()) {
      const body = { ...log, command_id: ids[n], result, stdout: "said", exit_code: n };
      assertEquals((await agent.send("POST", "logs", body)).status, 200);
    }
    const { commands, logs } = server.state();
    assertEquals(commands.map(({ status }) => status), ["completed", "failed", "sent"]);
    assertEquals(logs.map(({ result }) => result), ["success", "failed", "partial"]);
    assertEquals((commands[2]!.result as { exit_code: number }).exit_code, 2);
    const bad: [unknown, number][] = [
      [{ result: "completed" }, 500],
      [{ result: "failure" }, 500],
      [{ action: "x".repeat(51) }, 500],
      [{ stdout: "a\0b" }, 500],
      // An HRESULT of Windows, read as unsigned, does not fit the column.
      [{ exit_code: 0x8024_0022 }, 500],
      [{ result: "" }, 400],
      [{ action: undefined }, 400],
      [{ duration_seconds: 0.5 }, 400],
    ];
    for (const [change, status] of bad) {
      const body = { ...log, ...change as Record<string, unknown> };
      assertEquals((await agent.send("POST", "logs", body)).status, status);
    }
    assertEquals(server.state().logs.length, 3);
  });
});

Deno.test("no dependencies means that the installation goes ahead", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const report = { ...update, update_id: "u", dependencies: [] };
    assertEquals((await agent.send("POST", "dependencies", report)).status, 500);
    await agent.send("POST", "updates", { updates: [update] });
    for (const dependencies of [undefined, null, "libc6"]) {
      const body = { ...report, dependencies };
      assertEquals((await agent.send("POST", "dependencies", body)).status, 400);
    }
    const some = { ...report, dependencies: ["libssl3"] };
    assertEquals((await agent.send("POST", "dependencies", some)).status, 200);
    assertEquals(server.state().packages[0]!.status, "pending_dependencies");
    assertEquals((await agent.send("POST", "dependencies", report)).status, 200);
    const { commands } = (await agent.send("GET", "commands")).json;
    assertEquals(commands[0].type, "confirm_dependencies");
    assertEquals(commands[0].params, {
      update_id: server.state().packages[0]!.id,
      package_name: "openssl",
      package_type: "apt",
      dependencies: [],
    });
    await agent.send("POST", "logs", { ...log, command_id: commands[0].id });
    assertEquals(server.state().packages[0]!.status, "updated");
    assertEquals(server.state().dependencies.map(({ dependencies }) => dependencies), [[
      "libssl3",
    ], []]);
  });
});

Deno.test("a new server acknowledges what it has stored, an old one knows nothing of it", async () => {
  for (const old of [false, true]) {
    await withServer({ old }, async (server) => {
      const agent = await enrol(server);
      const [done, open] = [1, 2].map(() => server.queueCommand({ type: "scan_updates" }));
      await agent.send("GET", "commands");
      await agent.send("POST", "logs", { ...log, command_id: done });
      const body = { pending_acknowledgments: [done, open, "unknown"] };
      const answer = await agent.send("GET", "commands", body);
      assertEquals(answer.json.acknowledged_ids, old ? undefined : [done]);
      const info = await agent.send("POST", "system-info", { cpu_model: "X", cpu_cores: 4 });
      assertEquals(info.status, old ? 404 : 200);
      const { agents, systemInfo, violations } = server.state();
      assertEquals(agents[0]!.metadata, old ? {} : { cpu_model: "X", cpu_cores: 4 });
      assertEquals(systemInfo.length, old ? 0 : 1);
      assertEquals(violations, []);
    });
  }
});

Deno.test("a new server takes one log of a command, and acknowledges what it gave up itself", async () => {
  for (const old of [false, true]) {
    const clock = new FakeClock();
    await withServer({ old, clock }, async (server) => {
      const agent = await enrol(server);
      const [done, late] = [1, 2].map(() => server.queueCommand({ type: "scan_updates" }));
      await agent.send("GET", "commands");
      const tell = async (command_id: string | undefined) => {
        const { status, json } = await agent.send("POST", "logs", { ...log, command_id });
        return [status, json.current_status];
      };
      assertEquals(await tell(done), [200, undefined]);
      assertEquals(await tell(done), old ? [200, undefined] : [409, "completed"]);
      clock.setNow(clock.nowMs() + 2 * HOUR_MS);
      const asked = { pending_acknowledgments: [late] };
      const answer = await agent.send("GET", "commands", asked);
      assertEquals(answer.json.acknowledged_ids, old ? undefined : [late]);
      assertEquals(await tell(late), old ? [200, undefined] : [409, "timed_out"]);
      assertEquals(server.state().violations, []);
    });
  }
});

Deno.test("an access token ends with its life, and a renewal gives another", async () => {
  const clock = new FakeClock();
  await withServer({ clock, tokenLifeS: 60 }, async (server) => {
    const agent = await enrol(server);
    clock.setNow(clock.nowMs() + 59_000);
    assertEquals((await agent.send("GET", "commands")).status, 200);
    clock.setNow(clock.nowMs() + 1_000);
    assertEquals((await agent.send("GET", "commands")).status, 401);
    const { token } = (await renew(server, agent)).json;
    assertEquals((await send(server, { id: agent.id, token }, "GET", "commands")).status, 200);
  });
});

Deno.test("a refresh token lives 90 days from its last use", async () => {
  const clock = new FakeClock();
  await withServer({ clock }, async (server) => {
    const agent = await enrol(server);
    clock.setNow(clock.nowMs() + 90 * DAY_MS);
    assertEquals((await renew(server, agent)).status, 200);
    clock.setNow(clock.nowMs() + 90 * DAY_MS);
    assertEquals((await renew(server, agent)).status, 200);
    clock.setNow(clock.nowMs() + 90 * DAY_MS + 1);
    assertEquals((await renew(server, agent)).status, 401);
    assertEquals((await renew(server, { ...agent, id: "no-uuid" })).status, 400);
  });
});

Deno.test("only an agent's own, living token opens its routes", async () => {
  await withServer({}, async (server) => {
    const [one, two] = [await enrol(server), await enrol(server)];
    const path = `/api/v1/agents/${one.id}/commands`;
    assertEquals((await call(server.url, { method: "GET", path })).status, 401);
    const [head, payload] = one.token.split(".");
    for (const token of ["", "x", `${head}.${payload}.`, `${head}.${payload}.AAAA`]) {
      assertEquals((await send(server, { id: one.id, token }, "GET", "commands")).status, 401);
    }
    assertEquals((await send(server, { ...one, token: two.token }, "DELETE", "")).status, 403);
    assertEquals((await renew(server, { ...two, id: one.id })).status, 401);
    server.revokeTokens("access");
    assertEquals((await one.send("GET", "commands")).status, 401);
    assertEquals((await renew(server, one)).status, 200);
    server.revokeTokens("refresh");
    assertEquals((await renew(server, one)).status, 401);
  });
});

Deno.test("a deleted agent is gone, as far as the real one notices", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    assertEquals((await agent.send("DELETE", "")).status, 200);
    assertEquals((await agent.send("DELETE", "")).status, 404);
    assertEquals((await renew(server, agent)).status, 404);
    assertEquals((await agent.send("GET", "commands")).json, { commands: [] });
    assertEquals((await agent.send("POST", "logs", log)).status, 500);
    assertEquals((await agent.send("POST", "system-info", {})).status, 404);
    assertEquals(server.state().agents, []);
  });
});

Deno.test("reports of all kinds share a limit, told in headers", async () => {
  const clock = new FakeClock(1_800_000_000_500);
  await withServer({ clock, limits: { agent: 3 } }, async (server) => {
    const agent = await enrol(server);
    const kinds: [string, unknown][] = [["updates", {}], ["logs", log], ["system-info", {}]];
    for (const [n, [what, body]] of kinds.entries()) {
      const { status, headers } = await agent.send("POST", what, body);
      assertEquals([status, headers.get("x-ratelimit-remaining")], [200, String(2 - n)]);
      assertEquals(headers.get("x-ratelimit-limit"), "3");
      assertEquals(headers.get("x-ratelimit-reset"), "1800000060");
    }
    clock.setNow(clock.nowMs() + 1);
    const refused = await agent.send("POST", "logs", log);
    assertEquals([refused.status, refused.headers.get("retry-after")], [429, "59"]);
    assertEquals(refused.headers.get("x-ratelimit-remaining"), "0");
    clock.setNow(clock.nowMs() + WINDOW_MS - 2);
    const soon = await agent.send("POST", "logs", log);
    assertEquals([soon.status, soon.headers.get("retry-after")], [429, "0"]);
    assertEquals((await agent.send("GET", "commands")).status, 200);
    clock.setNow(clock.nowMs() + 1);
    assertEquals((await agent.send("POST", "logs", log)).status, 200);
    assertEquals(server.state().logs.length, 2);
  });
});

Deno.test("registrations and renewals have limits of their own", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    for (let n = 1; n < 5; n++) assertEquals((await register(server)).status, 200);
    assertEquals((await register(server)).status, 429);
    for (let n = 0; n < 20; n++) assertEquals((await renew(server, agent)).status, 200);
    assertEquals((await renew(server, agent)).status, 429);
  });
});

Deno.test("RateLimiter lets no more than its limit into any window", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), gaps, (limit, waitsMs) => {
    const limiter = new RateLimiter();
    const allowedMs: number[] = [];
    let nowMs = 0;
    for (const waitMs of waitsMs) {
      nowMs += waitMs;
      const inWindow = allowedMs.filter((atMs) => atMs > nowMs - WINDOW_MS).length;
      const { allowed } = limiter.take("k", limit, nowMs);
      assertEquals(allowed, inWindow < limit);
      if (allowed) allowedMs.push(nowMs);
    }
  }));
});

Deno.test("queueCommand() wants to know whose, unless there is one agent", async () => {
  await withServer({}, async (server) => {
    assertThrows(() => server.queueCommand({ type: "reboot" }), Error, "0 agents");
    const [one] = [await enrol(server), await enrol(server)];
    assertThrows(() => server.queueCommand({ type: "reboot" }), Error, "2 agents");
    assertThrows(() => server.queueCommand({ type: "reboot", agentId: "nobody" }));
    const id = server.queueCommand({ type: "reboot", agentId: one!.id });
    assertEquals(server.state().commands.map((command) => command.id), [id]);
  });
});

Deno.test("startRefserver() leaves nothing open when its port is taken", async () => {
  await withServer({}, async (server) => {
    await assertRejects(() => startRefserver({ port: server.port }), Deno.errors.AddrInUse);
  });
});
