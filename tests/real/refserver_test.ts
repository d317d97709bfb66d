import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RateLimiter, WINDOW_MS } from "../../tools/refserver/rate_limit.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { FakeClock } from "../fakes/clock.ts";
import { call } from "./raw_request.ts";
import { enrol, log, register, renew, withServer } from "./refserver_agent.ts";

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
