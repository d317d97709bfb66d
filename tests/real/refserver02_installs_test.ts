import { assertEquals } from "@std/assert";
import type { Refserver } from "../../tools/refserver/server.ts";
import {
  type Agent02,
  enrol02,
  MINUTE_MS,
  reportOf,
  update02,
  violations,
  with02,
} from "./refserver02_agent.ts";

const SHA = "1".repeat(64);
const top = { name: "openssl", version: "3.0.2", sha256: SHA, source: "debian" };

/** Reports a package and lets a person ask for its installation; answers its id. */
async function askFor(server: Refserver, agent: Agent02, type = "apt"): Promise<string> {
  await agent.send("POST", "updates", reportOf([{ ...update02, package_type: type }]));
  const { id } = server.state().packages[0]!;
  server.takeStep({ action: "approve", id });
  server.takeStep({ action: "install", id });
  return id;
}

const statusOf = (server: Refserver) => server.state().packages[0]!.status;

const dependencies = (agent: Agent02, update_id: string, more: object = {}) =>
  agent.send("POST", "dependencies", {
    package_name: "openssl",
    package_type: "apt",
    update_id,
    dependencies: [],
    ...more,
  });

Deno.test("trap 21: without a hashed closure the dry run of apt and dnf is 409 for ever", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = await askFor(server, agent);
    const rows: [object, string][] = [
      [{}, "hashed closure required for capability-gated package apt/openssl"],
      [{ closure: [{ ...top, name: "libc6" }] }, "closure missing top-level artifact for openssl"],
      [
        { closure: [{ ...top, sha256: "" }] },
        "closure top-level artifact for openssl has no sha256",
      ],
      [
        { closure: [{ ...top, version: "3.0.1" }] },
        "closure top-level version mismatch: report=3.0.1 expected=3.0.2",
      ],
      [
        { closure: [top], target_version: "3.0.1" },
        "dry-run target mismatch: report=3.0.1 expected=3.0.2",
      ],
    ];
    for (const [more, error] of rows) {
      const answer = await dependencies(agent, id, more);
      assertEquals([answer.status, answer.json], [409, { error }]);
    }
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const foreign = await dependencies(other, id, { closure: [top] });
    assertEquals(foreign.json, { error: "closure report agent mismatch" });
    assertEquals((await dependencies(agent, crypto.randomUUID())).status, 409);
    assertEquals((await dependencies(agent, id, { dependencies: null })).status, 400);
    assertEquals(statusOf(server), "checking_dependencies");
  });
});

Deno.test("trap 22: a token is delivered once, and lost with its answer", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = await askFor(server, agent);
    const answer = await dependencies(agent, id, { closure: [top] });
    assertEquals([answer.status, answer.json], [200, {
      message: "no dependencies found - capability token authorized for agent execution",
    }]);
    assertEquals(statusOf(server), "installing");
    const { commands } = (await agent.checkIn()).json;
    assertEquals(commands.map(({ type }: { type: string }) => type), [
      "enable_heartbeat",
      "dry_run_update",
    ]);
    const { tokens: [token], ...rest } = (await agent.send("GET", "capability-tokens")).json;
    assertEquals(rest, {});
    assertEquals([token.package_type, token.operation, token.closure], ["apt", "upgrade", [top]]);
    assertEquals(token.expires_at - token.issued_at, 3_600);
    assertEquals((await agent.send("GET", "capability-tokens")).json, { tokens: [] });
    const receipt = (body: unknown, by = agent) =>
      by.send("POST", `capability-tokens/${token.token_id}/receipt`, body);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const body = { decision: "executed", reason: "", exit_code: 0 };
    assertEquals((await receipt(body, other)).json, { error: "token not bound to this agent" });
    assertEquals((await receipt({ ...body, exit_code: "0" })).status, 400);
    assertEquals((await receipt(body)).json, { message: "receipt recorded" });
    const again = await receipt(body);
    assertEquals([again.status, again.json], [409, {
      error: "duplicate receipt — token already consumed",
    }]);
    assertEquals(statusOf(server), "installed");
    const unknown = `capability-tokens/${crypto.randomUUID()}/receipt`;
    assertEquals((await agent.send("POST", unknown, body)).json, { error: "token not found" });
    assertEquals((await agent.send("POST", "capability-tokens/x/receipt", body)).status, 400);
  });
});

Deno.test("trap 22: a token is gone after an hour", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await dependencies(agent, await askFor(server, agent), { closure: [top] });
    const { commands } = (await agent.checkIn()).json;
    const command_id = commands.at(-1).id;
    await agent.send("POST", "logs", { command_id, action: "dry_run_update", result: "success" });
    server.advance(60 * MINUTE_MS);
    assertEquals((await agent.send("GET", "capability-tokens")).json, { tokens: [] });
    assertEquals(statusOf(server), "installing", "and its package hangs");
  });
});

Deno.test("whatever is not executed with exit code 0 makes the package failed", async () => {
  for (const [decision, exit_code] of [["denied", 0], ["failed", 19], ["executed", 1]] as const) {
    await with02({}, async (server) => {
      const agent = await enrol02(server);
      await dependencies(agent, await askFor(server, agent), { closure: [top] });
      const { tokens: [token] } = (await agent.send("GET", "capability-tokens")).json;
      const what = `capability-tokens/${token.token_id}/receipt`;
      await agent.send("POST", what, { decision, reason: "no", exit_code });
      assertEquals(statusOf(server), "failed");
    });
  }
});

Deno.test("dependencies wait for a person, who gets a token for gated types and a command for others", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = await askFor(server, agent);
    const more = { closure: [top, { ...top, name: "libssl3" }], dependencies: ["libssl3"] };
    const answer = await dependencies(agent, id, more);
    assertEquals(answer.json, { message: "dependencies reported and status updated" });
    assertEquals(statusOf(server), "pending_dependencies");
    assertEquals((await agent.send("GET", "capability-tokens")).json, { tokens: [] });
    server.takeStep({ action: "confirm", id });
    const { tokens: [token] } = (await agent.send("GET", "capability-tokens")).json;
    assertEquals(token.closure.length, 2);
    assertEquals(violations(server), []);
  });
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = await askFor(server, agent, "winget");
    const more = { package_type: "winget", dependencies: ["VCRedist"] };
    assertEquals((await dependencies(agent, id, more)).status, 200);
    const confirm = server.takeStep({ action: "confirm", id });
    const { commands } = (await agent.checkIn()).json;
    const command = commands.find((item: { id: string }) => item.id === confirm);
    assertEquals(command.params, {
      update_id: id,
      package_name: "openssl",
      package_type: "winget",
      dependencies: ["VCRedist"],
    });
  });
});

Deno.test("trap 28: dependencies in a command may be null", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await agent.send("POST", "updates", reportOf([{ ...update02, package_type: "winget" }]));
    const { id } = server.state().packages[0]!;
    server.takeStep({ action: "approve", id });
    const confirm = server.takeStep({ action: "confirm", id });
    const { commands } = (await agent.checkIn()).json;
    const command = commands.find((item: { id: string }) => item.id === confirm);
    assertEquals(command.params.dependencies, null);
    const log = { command_id: confirm, action: "confirm_dependencies", result: "success" };
    await agent.send("POST", "logs", log);
    assertEquals(statusOf(server), "installed");
  });
});

Deno.test("an ungated package without dependencies goes ahead by a command", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = await askFor(server, agent, "winget");
    const { json } = await dependencies(agent, id, { package_type: "winget" });
    const { commands } = (await agent.checkIn()).json;
    assertEquals(json, {
      message: "no dependencies found - installation command created automatically",
      command_id: commands.at(-1).id,
    });
    assertEquals(commands.at(-1).params.dependencies, []);
    const log = { command_id: json.command_id, action: "confirm_dependencies", result: "failed" };
    await agent.send("POST", "logs", log);
    assertEquals(statusOf(server), "failed");
  });
});

Deno.test("without a signing key there is no gate", async () => {
  await with02({ settings: { signing: false } }, async (server) => {
    const agent = await enrol02(server);
    const answer = await agent.send("GET", "capability-tokens");
    assertEquals([answer.status, answer.json], [503, { error: "capability gate not enabled" }]);
  });
});
