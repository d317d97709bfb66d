import { assert, assertEquals } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { FakeClock } from "../fakes/clock.ts";
import { call } from "./raw_request.ts";
import {
  enrol02,
  MACHINE,
  MINUTE_MS,
  renew02,
  SEED,
  violations,
  with02,
} from "./refserver02_agent.ts";
import { DAY_MS, enrol, renew, TOKEN } from "./refserver_agent.ts";

const REUSE = { error: "refresh token reuse detected" };
const DEAD = { error: "invalid or expired refresh token" };

Deno.test("trap 2: a renewal wants X-Machine-ID too, and a 403 spends nothing", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const { headers } = agent;
    agent.headers = {};
    const missing = await agent.renew();
    assertEquals([missing.status, missing.json], [403, { error: "missing machine ID header" }]);
    agent.headers = { "X-Machine-ID": "another-machine-id" };
    const other = await agent.renew();
    assertEquals([other.status, other.json], [403, {
      error: "machine ID mismatch - refresh token presented from a different machine",
      security_note:
        "renewal is bound to the registered machine; this prevents stolen-token replay",
    }]);
    server.operator().rebind(null);
    const unbound = await agent.renew();
    assertEquals([unbound.status, unbound.json], [403, {
      error: "agent not bound to machine - re-registration required",
    }]);
    server.operator().rebind(MACHINE);
    agent.headers = headers;
    assertEquals(server.state().age02!.refreshTokens.length, 1);
    assertEquals((await agent.renew()).status, 200);
    assertEquals(violations(server), ["no X-Machine-ID"]);
  });
});

Deno.test("trap 3: each renewal makes a new refresh token of 90 days, and spends the old one", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const first = agent.refreshToken;
    for (let n = 0; n < 5; n++) {
      server.advance(80 * DAY_MS);
      const before = agent.refreshToken;
      assertEquals((await agent.renew()).status, 200);
      assert(agent.refreshToken !== before && /^[0-9a-f]{64}$/.test(agent.refreshToken));
    }
    assertEquals(violations(server), []);
    server.advance(90 * DAY_MS + 1);
    const dead = await agent.renew();
    assertEquals([dead.status, dead.json], [401, DEAD]);
    assertEquals((await renew02(server, agent, { refresh_token: first })).json, DEAD);
  });
});

Deno.test("trap 3: a token from a backup revokes the whole family", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const backup = agent.refreshToken;
    await agent.renew();
    await agent.renew();
    const reuse = await renew02(server, agent, { refresh_token: backup });
    assertEquals([reuse.status, reuse.json], [401, REUSE]);
    const live = await agent.renew();
    assertEquals([live.status, live.json], [401, DEAD], "the good one died with it");
    assertEquals(violations(server), [
      "shows a refresh token whose successor was used: family revoked",
    ]);
    const { refreshTokens } = server.state().age02!;
    assertEquals(new Set(refreshTokens.map(({ familyId }) => familyId)).size, 1);
    assert(refreshTokens.every(({ isRevoked }) => isRevoked));
    assertEquals((await agent.checkIn()).status, 200, "its access token lives on for a day");
  });
});

Deno.test("trap 3: the grace of a crash before the save is repeated, until the first token's end", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const { refreshToken } = agent;
    const given = [];
    for (let n = 0; n < 4; n++) {
      const answer = await renew02(server, agent, { refresh_token: refreshToken });
      assertEquals(answer.status, 200);
      given.push(answer.json.refresh_token);
    }
    assertEquals(violations(server), []);
    const early = await renew02(server, agent, { refresh_token: given[0] });
    assertEquals([early.status, early.json], [401, DEAD], "an answer that was lost is revoked");
    server.advance(90 * DAY_MS - MINUTE_MS);
    assertEquals((await renew02(server, agent, { refresh_token: refreshToken })).status, 200);
    server.advance(MINUTE_MS + 1);
    assertEquals((await renew02(server, agent, { refresh_token: refreshToken })).json, DEAD);
  });
});

Deno.test("trap 4: of two who renew with one token, one dies", async () => {
  await with02({}, async (server) => {
    const service = await enrol02(server);
    const cli = { ...service };
    const answers = await Promise.all([service.renew(), cli.renew()]);
    assertEquals(answers.map(({ status }) => status), [200, 200], "both are content");
    const next = [(await service.renew()).status, (await cli.renew()).status];
    assertEquals(next.sort(), [200, 401]);
    assertEquals(violations(server), []);
  });
});

Deno.test("trap 4: whoever goes on with the older token ends both", async () => {
  await with02({}, async (server) => {
    const service = await enrol02(server);
    const cli = { ...service };
    await service.renew();
    await service.renew();
    assertEquals((await cli.renew()).json, REUSE);
    assertEquals((await service.renew()).json, DEAD);
  });
});

Deno.test("renewal: who is no UUID, or sends no token, is 400; without a database it is 500", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const bad = [{ agent_id: "x", refresh_token: "y" }, { refresh_token: "" }, {}];
    for (const body of bad) assertEquals((await renew02(server, agent, body)).status, 400);
    await server.setFault({ mode: "database_down" });
    const down = await agent.renew();
    assertEquals([down.status, down.json], [500, { error: "token renewal failed" }]);
    const refused = await agent.checkIn();
    assertEquals([refused.status, refused.json], [401, { error: "agent not found" }]);
    await server.setFault({ mode: "none" });
    assertEquals((await agent.renew()).status, 200);
    assertEquals((await agent.checkIn()).status, 200);
  });
});

Deno.test("a 0.1 server's agent lives through the upgrade once an administrator has bound it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const options = {
      data: `${folder}/server.db`,
      registrationTokens: [TOKEN],
      clock: new FakeClock(),
      signingSeed: SEED,
    };
    const old = await startRefserver(options);
    const agent = await enrol(old);
    await agent.send("POST", "updates", {
      updates: [{
        package_type: "apt",
        package_name: "curl",
        available_version: "8",
        severity: "low",
      }],
    });
    old.queueCommand({ type: "scan_updates" });
    const { port } = old;
    await old.close();
    const server = await startRefserver({ ...options, age: "0.2", port });
    const checkIn = (token: string, machine?: string) =>
      call(server.url, {
        method: "GET",
        path: `/api/v1/agents/${agent.id}/commands`,
        headers: { Authorization: `Bearer ${token}`, ...machine && { "X-Machine-ID": machine } },
      });
    assertEquals((await checkIn(agent.token)).json, { error: "invalid token type" });
    assertEquals((await renew(server, agent)).json, { error: "missing machine ID header" });
    const own = { id: agent.id, headers: { "X-Machine-ID": MACHINE } };
    const body = { refresh_token: agent.refreshToken };
    assertEquals((await renew02(server, own, body)).json, {
      error: "agent not bound to machine - re-registration required",
    });
    server.operator().rebind(MACHINE);
    const { status, json } = await renew02(server, own, body);
    assertEquals(status, 200);
    const { commands } = (await checkIn(json.token, MACHINE)).json;
    assertEquals(commands.map((command: { type: string }) => command.type), ["scan_updates"]);
    assertEquals("signature" in commands[0], false, "it was made before there were signatures");
    assertEquals(server.state().packages.map(({ packageName }) => packageName), ["curl"]);
    await server.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
