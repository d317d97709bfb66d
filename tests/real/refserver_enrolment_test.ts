import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../fakes/clock.ts";
import { call } from "./raw_request.ts";
import {
  DAY_MS,
  enrol,
  host,
  log,
  register,
  renew,
  send,
  TOKEN,
  withServer,
} from "./refserver_agent.ts";

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
    assertEquals((await renew(server, agent)).status, 401);
    assertEquals((await agent.send("GET", "commands")).json, { commands: [] });
    assertEquals((await agent.send("POST", "logs", log)).status, 500);
    assertEquals((await agent.send("POST", "system-info", {})).status, 404);
    assertEquals(server.state().agents, []);
    assertEquals(server.state().violations, []);
  });
});

Deno.test("without its database the server is healthy, and refuses renewals and registrations", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    await server.setFault({ mode: "database_down" });
    assertEquals((await call(server.url, { method: "GET", path: "/health" })).json, {
      status: "healthy",
    });
    const answers = [
      await agent.send("GET", "commands"),
      await agent.send("POST", "logs", log),
      await agent.send("POST", "system-info", {}),
      await renew(server, agent),
      await register(server),
    ];
    assertEquals(answers.map(({ status, json }) => [status, json.error]), [
      [500, "failed to update last seen"],
      [500, "failed to update last seen"],
      [404, "agent not found"],
      [401, "invalid or expired refresh token"],
      [401, "invalid or expired registration token"],
    ]);
    const foreign = { id: agent.id, token: "x" };
    assertEquals((await send(server, foreign, "GET", "commands")).status, 401);
    await server.setFault({ mode: "none" });
    assertEquals((await renew(server, agent)).status, 200);
    assertEquals((await agent.send("GET", "commands")).status, 200);
    assertEquals(server.state().violations, []);
  });
});
