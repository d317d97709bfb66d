import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadIdentity } from "../../src/identity.ts";
import { enrolled, runCli, STATE, URL } from "./run_cli.ts";

Deno.test("unregister deletes the tokens, and fails if the server is unreachable", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const unreached = await runCli(system, "unregister");
  assertEquals(unreached.code, 1);
  assertStringIncludes(unreached.err, 'Next: try again; or give "--force"');
  assert(await loadIdentity(system, STATE) !== undefined);
  server.mood = { kind: "answers", status: 404, body: '{"error":"no agent"}' };
  const { code, out } = await runCli(system, "unregister", "--json");
  assertEquals(code, 0);
  assertEquals(JSON.parse(out), {
    schema: "pennon.unregister/1",
    agent_id: "a1",
    server_url: URL,
    deleted_on_server: true,
  });
  assertEquals(await loadIdentity(system, STATE), undefined);
  assertEquals((await runCli(system, "status")).code, 3);
});

Deno.test("unregister --force deletes the tokens, and prints what is left to do", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const { code, out, err } = await runCli(system, "unregister", "--force");
  assertEquals([code, out], [0, `Unregistered a1 from ${URL}\n`]);
  assertStringIncludes(err, "delete the agent in its dashboard");
  assertEquals(await loadIdentity(system, STATE), undefined);
});
