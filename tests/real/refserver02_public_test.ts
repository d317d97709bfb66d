import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { call } from "./raw_request.ts";
import { enrol02, get, MINUTE_MS, register02, violations, with02 } from "./refserver02_agent.ts";
import { withServer } from "./refserver_agent.ts";

Deno.test("health, info and every other answer tell the version", async () => {
  await with02({}, async (server) => {
    for (const path of ["/health", "/api/health"]) {
      const answer = await get(server, path);
      assertEquals(answer.json, { status: "healthy", version: "0.2.9.3" });
      assertEquals(answer.headers.get("x-redflag-version"), "0.2.9.3");
    }
    assertEquals((await get(server, "/api/v1/info")).json, {
      version: "0.2.9.3",
      latest_agent_version: "0.2.9.3",
      min_agent_version: "0.1.22",
      name: "RedFlag Aggregator",
      description: "Self-hosted update management platform",
      features: [
        "agent_management",
        "update_tracking",
        "command_execution",
        "ed25519_signing",
        "key_rotation",
      ],
    });
    const unauthorized = await get(server, `/api/v1/agents/${crypto.randomUUID()}/commands`);
    assertEquals(unauthorized.headers.get("x-redflag-version"), "0.2.9.3");
  });
});

Deno.test("trap 26: unknown paths under /api are 404 JSON, other GETs are 200 HTML", async () => {
  await with02({}, async (server) => {
    for (
      const path of ["/api/", "/api/v1", "/api/v2/agents", "/api/v1/health", "/api/v1/nothing"]
    ) {
      const answer = await get(server, path);
      assertEquals([answer.status, answer.json], [404, { error: "not found" }], path);
    }
    const wrongMethod = await call(server.url, { method: "POST", path: "/api/v1/info" });
    assertEquals([wrongMethod.status, wrongMethod.json], [404, { error: "not found" }]);
    for (const path of ["/", "/redflag/api/v1/agents/register", "/api"]) {
      const answer = await get(server, path);
      assertEquals(answer.status, 200, path);
      assertMatch(answer.headers.get("content-type")!, /^text\/html/);
      assertEquals(answer.headers.get("x-redflag-version"), "0.2.9.3");
    }
    const post = await call(server.url, { method: "POST", path: "/redflag/health" });
    assertEquals(post.status, 404);
  });
});

Deno.test("trap 26: a server that is not set up answers health with 200, and has no agent routes", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await server.setFault({ mode: "waiting_for_configuration" });
    for (const path of ["/health", "/api/health", "/api/v1/health"]) {
      const answer = await get(server, path);
      assertEquals([answer.status, answer.json], [200, { status: "waiting for configuration" }]);
    }
    assertEquals((await agent.checkIn()).json, { error: "not found" });
    assertEquals((await agent.renew()).status, 404);
    assertEquals(
      (await get(server, "/setup")).headers.get("content-type"),
      "text/html; charset=utf-8",
    );
  });
});

Deno.test("trap 9: 30 reports a minute together, 15 in the server's first minute", async () => {
  await with02({ isYoung: true }, async (server) => {
    const agent = await enrol02(server);
    const log = { action: "x", result: "success" };
    const kinds: [string, unknown][] = [
      ["logs", log],
      ["circuit-breakers", {}],
      ["security-events", { events: [] }],
    ];
    const send = async (n: number) => {
      const [what, body] = kinds[n % kinds.length]!;
      const { status, headers } = await agent.send("POST", what, body);
      return [status, headers.get("x-ratelimit-limit"), headers.get("x-ratelimit-remaining")];
    };
    for (let n = 0; n < 15; n++) assertEquals(await send(n), [200, "15", String(14 - n)]);
    assertEquals(await send(0), [429, "15", "0"]);
    assertEquals((await agent.send("GET", "config")).headers.has("x-ratelimit-limit"), false);
    const checkIn = await agent.checkIn();
    assertEquals(checkIn.headers.get("x-ratelimit-limit"), "30");
    const tokens = await agent.send("GET", "capability-tokens");
    assertEquals(tokens.headers.get("x-ratelimit-remaining"), "28", "one counter for both");
    server.advance(MINUTE_MS);
    for (let n = 0; n < 30; n++) assertEquals(await send(n), [200, "30", String(29 - n)]);
    const refused = await agent.send("POST", "logs", log);
    assertEquals(refused.status, 429);
    const { reset_time, ...rest } = refused.json;
    assertEquals(rest, { error: "Rate limit exceeded", limit: 30, window: "1m0s" });
    assertMatch(reset_time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    server.operator().set({ limits: { agent: 0 } });
    assertEquals((await agent.send("POST", "logs", log)).status, 200);
    assertEquals(violations(server), []);
  });
});

Deno.test("trap 9: Retry-After is rounded down, so that waiting for it meets another 429", async () => {
  await with02({ limits: { agent: 1 } }, async (server) => {
    const agent = await enrol02(server);
    const send = () => agent.send("POST", "circuit-breakers", {});
    assertEquals((await send()).status, 200);
    server.advance(100);
    const refused = await send();
    assertEquals([refused.status, refused.headers.get("retry-after")], [429, "59"]);
    server.advance(59_000);
    const again = await send();
    assertEquals([again.status, again.headers.get("retry-after")], [429, "0"]);
    server.advance(900);
    assertEquals((await send()).status, 200, "what was refused did not count");
  });
});

Deno.test("trap 9: renewals, keys and info of one address share a counter, registrations have one", async () => {
  await with02({ isYoung: true }, async (server) => {
    const agent = await enrol02(server);
    for (let n = 0; n < 5; n++) {
      assertEquals((await agent.renew()).status, 200);
      assertEquals((await get(server, "/api/v1/public-key")).status, 200);
    }
    assertEquals((await agent.renew()).status, 429);
    assertEquals((await get(server, "/api/v1/info")).status, 429);
    assertEquals((await get(server, "/health")).status, 200);
    assertEquals((await register02(server)).status, 409);
    assertEquals((await register02(server)).status, 429, "two a minute");
    server.advance(MINUTE_MS);
    for (let n = 0; n < 20; n++) assertEquals((await get(server, "/api/v1/info")).status, 200);
    assertEquals((await get(server, "/api/v1/info")).status, 429);
  });
});

Deno.test("trap 36: the configuration has no check_in_interval", async () => {
  await with02({ settings: { jitterMaxSeconds: 7 } }, async (server, clock) => {
    const agent = await enrol02(server);
    server.operator().setSubsystem({ subsystem: "apt", intervalMinutes: 120, autoRun: false });
    const row = (enabled: boolean, interval_minutes: number) => ({
      enabled,
      interval_minutes,
      auto_run: false,
    });
    assertEquals((await agent.send("GET", "config")).json, {
      subsystems: {
        apt: row(true, 120),
        docker: row(false, 15),
        storage: row(true, 15),
        system: row(true, 30),
        updates: row(true, 15),
      },
      polling: { jitter_max_seconds: 7, backoff_base_seconds: 10, backoff_max_seconds: 300 },
      command_signing: { stale_key_max_age_hours: 168 },
      version: Math.floor((clock.nowMs() + MINUTE_MS) / 1_000),
    });
  });
});

Deno.test("the control port takes the orders of 0.2, and a server of 0.1 does not", async () => {
  await with02({}, async (server) => {
    await enrol02(server);
    const post = async (path: string, body: unknown) => {
      const answer = await fetch(`${server.controlUrl}/debug/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: await answer.json() };
    };
    const order = { type: "reboot", params: null, sign: "wrong", signed_at_offset_s: 301 };
    const { id } = (await post("commands", order)).body;
    assertEquals((await post("commands", { ...order, sign: "nonsense" })).status, 400);
    assertEquals((await post("advance", { ms: 1_000 })).status, 200);
    const { settings } =
      (await post("settings", { minAgentVersion: "0.2", limits: { agent: 1 } })).body;
    assertEquals([settings.minAgentVersion, settings.limits.agent, settings.limits.checkin], [
      "0.2",
      1,
      60,
    ]);
    assertEquals((await post("settings", { nonsense: 1 })).status, 400);
    assertEquals((await post("rebind", { machine_id: "another-machine-id" })).status, 200);
    assertEquals((await post("cancel", { command_id: id })).body, { cancelled: true });
    assertEquals((await post("replay", { command_id: id })).status, 200);
    assertEquals((await post("replay", { command_id: "none" })).status, 400);
    const key = (await post("rotate-key", {})).body;
    assertEquals((await post("rotate-key", { retire_old: true })).status, 200);
    assertEquals((await post("retire-key", { key_id: key.key_id })).status, 200);
    const subsystem = { subsystem: "dnf", enabled: true, auto_run: true, interval_minutes: 5 };
    assertEquals((await post("subsystem", subsystem)).status, 200);
    assert(typeof (await post("trigger", { subsystem: "apt" })).body.id === "string");
    assertEquals((await post("schedule", {})).body.ids.length, 1);
    assertEquals((await post("nothing", {})).status, 404);
    const state = await (await fetch(`${server.controlUrl}/debug/state`)).json();
    assertEquals(state, JSON.parse(JSON.stringify(server.state())));
    assertEquals([state.age, state.age02.bindings[0].machineId], ["0.2", "another-machine-id"]);
  });
  await withServer({}, async (server) => {
    const body = JSON.stringify({ subsystem: "apt" });
    const answer = await fetch(`${server.controlUrl}/debug/trigger`, { method: "POST", body });
    assertEquals([answer.status, (await answer.json()).error], [
      404,
      "no POST /debug/trigger here",
    ]);
    assertEquals([server.state().age, server.state().age02], ["0.1", null]);
    assertThrows(() => server.operator(), Error, "a server of 0.1");
  });
});

Deno.test("main.ts takes the age, settings and a seed", async () => {
  const main = new URL("../../tools/refserver/main.ts", import.meta.url).href;
  const start = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", "--cached-only", "-A", main, ...args],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  const settings = JSON.stringify({ serverVersion: "0.2.8" });
  const child = start("--age", "0.2", "--settings", settings, "--signing-seed", "0".repeat(64));
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
  const { port } = JSON.parse((await lines.next()).value ?? "{}");
  const health = await (await fetch(`http://127.0.0.1:${port}/health`)).json();
  assertEquals(health, { status: "healthy", version: "0.2.8" });
  child.kill("SIGTERM");
  await child.status;
  await lines.return?.();
  await child.stderr.cancel();
  assertEquals((await start("--age", "0.3").output()).code, 2);
});
