import { assertEquals } from "@std/assert";
import { call } from "./raw_request.ts";
import {
  enrol02,
  get,
  host02,
  MACHINE,
  MINUTE_MS,
  register02,
  violations,
  with02,
} from "./refserver02_agent.ts";
import { TOKEN } from "./refserver_agent.ts";

const hint = (text: string) => ({ hint: text });

Deno.test("trap 1: a registration without machine_id succeeds, and all calls after it are 403", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server, { machine_id: "" });
    const missing = await agent.checkIn();
    assertEquals([missing.status, missing.json], [403, {
      error: "missing machine ID header - agent version too old or tampered",
      ...hint("Please upgrade to the latest agent version (v0.1.22+)"),
    }]);
    agent.headers = { "X-Machine-ID": MACHINE };
    const unbound = await agent.checkIn();
    assertEquals([unbound.status, unbound.json], [403, {
      error: "agent not bound to machine - re-registration required",
      ...hint(
        "This agent was registered before v0.1.22. Please re-register with a new registration token.",
      ),
    }]);
    assertEquals(violations(server), ["registers without a machine id", "no X-Machine-ID"]);
    server.operator().rebind(MACHINE);
    assertEquals((await agent.checkIn()).status, 200, "its tokens were good all the time");
  });
});

Deno.test("trap 1: another machine is 403, and so is every report", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    agent.headers = { "X-Machine-ID": MACHINE.toUpperCase() };
    for (const [method, what] of [["GET", "commands"], ["POST", "logs"], ["GET", "config"]]) {
      const answer = await agent.send(method!, what!);
      assertEquals([answer.status, answer.json], [403, {
        error: "machine ID mismatch - config file copied to different machine",
        ...hint(
          "Agent configuration is bound to the original machine. Please register this machine with a new registration token.",
        ),
        security_note: "This prevents agent impersonation attacks",
      }]);
    }
  });
});

Deno.test("trap 5: a version that is no plain number counts as 0, and locks out from the next call on", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    assertEquals((await agent.checkIn({ version: "pennon-1.0" })).status, 200);
    const refused = await agent.checkIn({ version: "1.0.0" });
    assertEquals([refused.status, refused.json], [426, {
      error: "agent version too old - upgrade required for security",
      current_version: "pennon-1.0",
      minimum_version: "0.1.26",
      upgrade_instructions: "Please upgrade to the latest agent version and re-register",
    }]);
    assertEquals(violations(server), ["reports version pennon-1.0, below the minimum"]);
    assertEquals((await agent.renew({ agent_version: "v0.1.26" })).status, 200);
    assertEquals((await agent.checkIn()).status, 200);
    for (const version of ["0.1.26", "0.1.26.0", "v0.2", "1"]) {
      await agent.checkIn({ version });
      assertEquals((await agent.checkIn()).status, 200, version);
    }
  });
});

Deno.test("trap 6: 426 goes by the stored version, until a renewal reports the new one", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server, { agent_version: "0.1.0", machine_id: "" });
    agent.headers = {};
    const answer = await agent.send("POST", "logs", {});
    assertEquals(
      [answer.status, answer.json.current_version],
      [426, "0.1.0"],
      "before the machine",
    );
    server.operator().rebind(MACHINE);
    agent.headers = { "X-Machine-ID": MACHINE, "X-Agent-Version": "9.9.9" };
    assertEquals((await agent.checkIn({ version: "9.9.9" })).status, 426, "no header tells it");
    assertEquals((await agent.renew()).status, 200);
    assertEquals(
      (await agent.checkIn()).status,
      426,
      "a renewal without a version changes nothing",
    );
    assertEquals((await agent.renew({ agent_version: "1.0.0" })).status, 200);
    assertEquals((await agent.checkIn()).status, 200);
    server.operator().set({ minAgentVersion: "2.0.0" });
    assertEquals((await agent.checkIn()).status, 426);
  });
});

Deno.test("426: a check-in passes while an update_agent waits, without even a machine id", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server, { agent_version: "0.1.0" });
    assertEquals((await agent.checkIn()).status, 426);
    const id = server.queueCommand({ type: "update_agent", params: { version: "0.2.9.3" } });
    agent.headers = {};
    const answer = await agent.checkIn();
    assertEquals([answer.status, answer.json.commands[0].id], [200, id]);
    assertEquals((await agent.send("POST", "logs", {})).status, 426, "no other route");
  });
});

Deno.test("trap 7: a machine that is known is 409, for as long as its agent is there", async () => {
  await with02({}, async (server, clock) => {
    const agent = await enrol02(server);
    const seen = new Date(clock.nowMs() + MINUTE_MS).toISOString().slice(0, 19) + "Z";
    for (let n = 0; n < 4; n++) {
      const { status, json } = await register02(server, { hostname: "web-2" });
      const { remediation, ...rest } = json;
      assertEquals([status, typeof remediation], [409, "string"]);
      assertEquals(rest, {
        error: "machine ID already registered to another agent",
        existing_agent_id: agent.id,
        existing_hostname: "web-1",
        existing_last_seen: seen,
      });
    }
    assertEquals((await register02(server)).status, 429, "every attempt counts for the whole NAT");
    server.deleteAgent();
    server.advance(MINUTE_MS);
    assertEquals((await register02(server)).status, 200);
  });
});

Deno.test("trap 7: who goes on at what stays refused is noted", async () => {
  const limits = { register: 0, checkin: 0 };
  await with02({ limits }, async (server) => {
    const agent = await enrol02(server);
    for (let n = 0; n < 10; n++) await register02(server);
    assertEquals(violations(server), []);
    await register02(server);
    agent.headers = { "X-Machine-ID": "another-machine-id" };
    for (let n = 0; n < 40; n++) await agent.checkIn();
    assertEquals(violations(server), ["hammers at 409"]);
    await agent.checkIn();
    assertEquals(violations(server), ["hammers at 409", "hammers at 403"]);
    for (let n = 0; n < 60; n++) {
      await agent.checkIn();
      server.advance(MINUTE_MS);
    }
    assertEquals(violations(server).length, 2, "once a minute is borne");
  });
});

Deno.test("trap 8: 401 has three meanings", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const errorOf = async () => {
      const { status, json } = await agent.checkIn();
      return [status, json.error];
    };
    const good = agent.token;
    server.advance(24 * 60 * MINUTE_MS);
    assertEquals(await errorOf(), [401, "invalid token"], "expired");
    await agent.renew();
    assertEquals(await errorOf(), [200, undefined]);
    const path = `/api/v1/agents/${agent.id}`;
    const headers = { Authorization: `Bearer ${agent.token}`, ...agent.headers };
    const removal = await call(server.url, { method: "DELETE", path, headers });
    assertEquals([removal.status, removal.json], [401, { error: "invalid token type" }]);
    assertEquals(server.state().agents.length, 1, "trap 35: only an administrator removes it");
    server.deleteAgent();
    assertEquals(await errorOf(), [401, "agent not found"]);
    const renewal = await agent.renew();
    assertEquals([renewal.status, renewal.json], [401, {
      error: "invalid or expired refresh token",
    }]);
    agent.token = `${good}x`;
    assertEquals(await errorOf(), [401, "invalid token"]);
    const raw = (authorization?: string) =>
      call(server.url, {
        method: "GET",
        path: `${path}/commands`,
        headers: { ...authorization !== undefined && { Authorization: authorization } },
      });
    assertEquals((await raw()).json, { error: "missing authorization header" });
    assertEquals((await raw("Basic x")).json, { error: "invalid authorization format" });
  });
});

Deno.test("trap 35: verify-hash wants an administrator", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const headers = { Authorization: `Bearer ${agent.token}` };
    const path = "/api/v1/updates/verify-hash";
    const answer = await call(server.url, { method: "GET", path, headers });
    assertEquals([answer.status, answer.json], [401, { error: "invalid token type" }]);
    assertEquals((await get(server, path)).json, { error: "missing authorization header" });
  });
});

Deno.test("trap 27: the pool shedder comes after the checks, before the limit, and is no outage", async () => {
  await with02({ settings: { poolSaturated: true } }, async (server) => {
    const agent = await enrol02(server);
    for (let n = 0; n < 70; n++) {
      const answer = await agent.checkIn();
      assertEquals([answer.status, answer.headers.get("retry-after"), answer.json], [503, "2", {
        error: "database pool saturated, retry shortly",
      }]);
    }
    assertEquals((await agent.renew()).status, 200, "renewal is none of its routes");
    assertEquals((await get(server, "/health")).status, 200);
    agent.headers = {};
    assertEquals((await agent.checkIn()).status, 403);
    server.operator().set({ poolSaturated: false });
    agent.headers = { "X-Machine-ID": MACHINE };
    const { headers } = await agent.checkIn();
    assertEquals(headers.get("x-ratelimit-remaining"), "59", "what was shed did not count");
  });
});

Deno.test("trap 33: darwin and a long machine id are 500, a short one is 500 for ever", async () => {
  await with02({}, async (server) => {
    const failed = { error: "failed to register agent" };
    const darwin = await register02(server, { os_type: "darwin" });
    assertEquals([darwin.status, darwin.json], [500, failed]);
    const long = await register02(server, { machine_id: "a".repeat(65) });
    assertEquals([long.status, long.json], [500, failed]);
    const limits = [["agent_version", 21], ["public_key_fingerprint", 17], ["os_distro", 51]];
    for (const [name, length] of limits) {
      server.advance(MINUTE_MS);
      const answer = await register02(server, { [name!]: "1".repeat(Number(length)) });
      assertEquals(answer.status, 500, String(name));
    }
    server.advance(MINUTE_MS);
    assertEquals(server.state().agents, []);
    assertEquals((await register02(server, { machine_id: "a".repeat(64) })).status, 200);
    const agent = await enrol02(server, { machine_id: "a".repeat(15), device_type: "toaster" });
    const answer = await agent.checkIn();
    assertEquals([answer.status, answer.text], [500, ""]);
    assertEquals(server.state().age02!.bindings[1]!.deviceType, "server");
    const sixteen = await enrol02(server, { machine_id: "a".repeat(16) });
    assertEquals((await sixteen.checkIn()).status, 200);
  });
});

Deno.test("trap 18: metadata of a registration is of strings alone", async () => {
  await with02({}, async (server) => {
    for (const value of [4, null, true]) {
      assertEquals((await register02(server, { metadata: { cpu_cores: value } })).status, 400);
    }
    const { status, json } = await register02(server);
    assertEquals(status, 200);
    assertEquals(json.config, { check_in_interval: 300, server_url: "http://refserver.test" });
    assertEquals(json.refresh_token.length, 64);
  });
});

Deno.test("trap 34: X-Update-Nonce is never to be sent", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server, { public_key_fingerprint: "0123456789abcdef" });
    agent.headers["X-Update-Nonce"] = "e30=";
    assertEquals((await agent.checkIn()).status, 200, "nobody looks while no update is on");
    server.queueCommand({ type: "update_agent", params: { version: "0.3" } });
    const answer = await agent.checkIn();
    assertEquals([answer.status, answer.text], [500, ""]);
    assertEquals(new Set(violations(server)), new Set(["sends X-Update-Nonce"]));
    delete agent.headers["X-Update-Nonce"];
    assertEquals((await agent.checkIn({ version: "0.3" })).status, 200);
    assertEquals(server.state().age02!.bindings[0]!.updatingTo, null);
  });
});

Deno.test("a registration's token may come in the body, and scanners become subsystems", async () => {
  await with02({}, async (server) => {
    const path = "/api/v1/agents/register";
    const register = (body: object) => call(server.url, { method: "POST", path, body });
    assertEquals((await register(host02)).json, { error: "registration token required" });
    const wrong = await register({ ...host02, registration_token: "no" });
    assertEquals(wrong.json, { error: "invalid or expired registration token" });
    const body = { ...host02, registration_token: TOKEN, available_scanners: ["apt", "docker"] };
    assertEquals((await register(body)).status, 200);
    const rows = server.state().age02!.subsystems.map((row) =>
      [row.subsystem, row.enabled, row.autoRun, row.intervalMinutes] as const
    );
    assertEquals(rows, [
      ["updates", true, false, 15],
      ["docker", false, false, 15],
      ["storage", true, false, 15],
      ["system", true, false, 30],
      ["apt", true, true, 60],
    ]);
  });
});
