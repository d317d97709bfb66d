import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { call } from "../real/raw_request.ts";
import { type Host, onHost, restartRefserver, TOKEN, within } from "./harness.ts";
import { pause, told } from "./outage.ts";

const AGE_02 = { age: "0.2" } as const;

/** What the server has of its only agent's machine. */
function machineOf({ server }: Host): string {
  return server.state().age02?.bindings[0]?.machineId ?? "";
}

/** What an agent did that the real server would punish. */
function punished({ server }: Host): string[] {
  return server.state().violations.map(({ what }) => what)
    .filter((what) => /family|hammers|X-Machine-ID|minimum/.test(what));
}

/** What `status` says about the operator's action. */
async function operatorAction(host: Host): Promise<Record<string, string>> {
  const { out } = await host.pennon(["status", "--json"]);
  return JSON.parse(out).connection?.operator_action ?? {};
}

function renewals({ server }: Host): number {
  return server.state().requests.filter(({ path }) => path.endsWith("/renew")).length;
}

/** Whether the server has accepted a check-in. */
function isAccepted(server: Refserver): boolean {
  return server.state().requests.some(({ path, status }) =>
    path.endsWith("/commands") && status === 200
  );
}

/** Waits for a line of the agent's log, for as long as a test is patient. */
async function said(agent: Program, text: string): Promise<void> {
  await within(agent.waitFor(text, (line) => line.includes(text)), text);
}

async function reset(host: Host): Promise<void> {
  assertEquals((await host.pennon(["breaker", "reset", "connection"])).code, 0);
}

Deno.test("an agent at a server of 0.2 renews again and again, and spends each refresh token once", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    for (let renewed = 1; renewed <= 3; renewed += 1) {
      await host.until("check-in", () => host.checkIns() >= renewed);
      host.server.revokeTokens("access");
      await host.until("renewal", () => told(agent, "access token renewed").length >= renewed);
    }
    const { refreshTokens = [] } = host.server.state().age02 ?? {};
    assertEquals(refreshTokens.map(({ isRevoked }) => isRevoked), [false, false, false, false]);
    assertEquals(new Set(refreshTokens.map(({ familyId }) => familyId)).size, 1);
    // After kill -9 the next process goes on with what is on disk.
    await agent.stop("SIGKILL");
    host.server.revokeTokens("access");
    const next = host.run();
    await host.until("renewal", () => told(next, "access token renewed").length === 1);
    const before = host.checkIns();
    await host.until("check-in", () => host.checkIns() > before);
    await next.stop("SIGTERM");
    assertEquals(punished(host), []);
  }, AGE_02));

Deno.test("an agent that is bound to another machine says so, waits, and goes on when it is bound again", () =>
  onHost(async (host) => {
    await host.register();
    const machineId = machineOf(host);
    assertMatch(machineId, /^[0-9a-f]{64}$/);
    host.server.operator().rebind("f".repeat(64));
    const agent = host.run();
    const words = "the server has another machine id on record for this agent";
    await said(agent, words);
    const [line] = told(agent, "operator action required");
    assertEquals(line?.["cause"], "machine_mismatch");
    const { agents } = host.server.state();
    assertStringIncludes(
      String(line?.["next_step"]),
      `POST /api/v1/admin/agents/${agents[0]?.id}/rebind-machine-id with ` +
        `{"new_machine_id":"${machineId}"}`,
    );
    const refused = host.checkIns();
    await pause(11_000);
    assertEquals(host.checkIns(), refused, "the interval is 10 s, and nothing was sent");
    assertEquals((await operatorAction(host))["cause"], "machine_mismatch");
    host.server.operator().rebind(machineId);
    await reset(host);
    await host.until("check-in", () => isAccepted(host.server));
    await agent.stop("SIGTERM");
    assertEquals([await operatorAction(host), punished(host)], [{}, []]);
  }, AGE_02));

Deno.test("an agent of a 0.1 server lives through its upgrade to 0.2, and loses nothing", async () => {
  const data = await Deno.makeTempFile({ prefix: "pennon-e2e-", suffix: ".sqlite" });
  const options = {
    registrationTokens: [TOKEN],
    checkInIntervalS: 10,
    limits: { agent: 0, register: 0, public: 0 },
    data,
  };
  await onHost(async (host) => {
    const old = await startRefserver(options);
    const { port } = old;
    const enrol = ["register", "--server", old.url, "--token", "-"];
    assertEquals((await host.pennon(enrol, TOKEN)).code, 0);
    const agent = host.run();
    const checkIns = () => old.state().requests.filter(({ path }) => path.endsWith("/commands"));
    await host.until("check-in", () => checkIns().length > 0);
    const id = old.queueCommand({ type: "collect_specs" });
    await host.until("log", () => old.state().logs.some((log) => log.command_id === id));
    await old.close();
    const server = await restartRefserver({ ...options, age: "0.2", port });
    try {
      const words = "the server has no machine id on record for this agent";
      await said(agent, words);
      const action = await operatorAction(host);
      assertEquals(action["cause"], "machine_not_bound");
      const machineId = /"new_machine_id":"([0-9a-f]{64})"/.exec(action["next_step"] ?? "")?.[1];
      assert(machineId !== undefined, action["next_step"]);
      server.operator().rebind(machineId);
      await reset(host);
      await host.until("check-in", () => isAccepted(server));
      const last = server.queueCommand({ type: "collect_specs" });
      await host.until("log", () => server.state().logs.some((log) => log.command_id === last));
      server.revokeTokens("access");
      await said(agent, "access token renewed");
      await agent.stop("SIGTERM");
    } finally {
      await server.close();
    }
  });
  await Deno.remove(data);
});

Deno.test("an agent below the server's minimum renews once, says what it needs, and goes on when it may", () =>
  onHost(async (host) => {
    await host.register();
    host.server.operator().set({ minAgentVersion: "99.0.0" });
    const agent = host.run();
    const words = "the server wants a newer version of this agent";
    await said(agent, words);
    assertEquals(renewals(host), 1);
    const action = await operatorAction(host);
    assertEquals(action["cause"], "version_too_old");
    assertStringIncludes(action["because"] ?? "", "its minimum is 99.0.0; this Pennon reports ");
    const before = host.checkIns();
    await reset(host);
    await host.until("another try", () => host.checkIns() > before);
    assertEquals(renewals(host), 1, "once per process");
    host.server.operator().set({ minAgentVersion: "0.1.26" });
    await reset(host);
    await host.until("check-in", () => isAccepted(host.server));
    await agent.stop("SIGTERM");
  }, AGE_02));

Deno.test("an agent whose version on record is old makes the server record its own", () =>
  onHost(async (host) => {
    await host.register();
    const machineId = machineOf(host);
    host.server.deleteAgent();
    const answer = await fetch(`${host.server.url}/api/v1/agents/register`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({
        ...{ hostname: "h", os_type: "linux", os_version: "12", os_architecture: "amd64" },
        ...{ agent_version: "0.1.26", machine_id: machineId, metadata: {} },
      }),
    });
    const { agent_id, token, refresh_token } = await answer.json();
    const file = `${host.folder}/config.json`;
    const config = { server_url: host.server.url, agent_id, token, refresh_token };
    await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
    const adopted = await host.pennon(["register", "--replace", "--adopt", file]);
    assertEquals(adopted.code, 0, adopted.err);
    // What an older agent says in its check-in counts from the next call on.
    const headers = { Authorization: `Bearer ${token}`, "X-Machine-ID": machineId };
    const path = `/api/v1/agents/${agent_id}/commands`;
    await call(host.server.url, { method: "GET", path, headers, body: { version: "0.1.20" } });
    host.server.resetRequests();
    const agent = host.run();
    const version = () => host.server.state().agents[0]?.currentVersion ?? "";
    await host.until("check-in", () => version() !== "0.1.20" && host.checkIns() >= 2);
    assertEquals(renewals(host), 1);
    await agent.stop("SIGTERM");
    assertEquals(told(agent, "access token renewed").length, 1);
    assert(!agent.lines.some((line) => line.includes("operator action required")));
  }, AGE_02));

Deno.test("a machine that is registered already is told so, with one request and no other", () =>
  onHost(async (host) => {
    await host.register();
    const [agent] = host.server.state().agents;
    host.server.resetRequests();
    const words = ["register", "--replace", "--server", host.server.url, "--token", "-"];
    const { code, err } = await host.pennon(words, TOKEN);
    assertEquals(code, 1);
    assertStringIncludes(err, "Cannot register: this machine is registered already");
    assertStringIncludes(err, agent?.id ?? "?");
    assertStringIncludes(err, "Next: delete that agent in the server's dashboard");
    assertEquals(host.server.state().requests.length, 1);
    // What the host had is still good.
    const once = await host.pennon(["run", "--once"]);
    assertEquals(once.code, 0, once.err);
  }, AGE_02));
