import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { call } from "./raw_request.ts";
import { host, PATIENCE_MS, registration, TOKEN, withServer } from "./refserver_agent.ts";

const isWindows = Deno.build.os === "windows";

Deno.test("the control port says everything and takes orders", async () => {
  await withServer({}, async (server) => {
    await call(server.url, registration);
    const post = async (path: string, body: unknown) => {
      const answer = await fetch(`${server.controlUrl}/debug/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: await answer.json() };
    };
    const { id } = (await post("commands", { type: "scan_updates" })).body;
    assertEquals(server.state().commands[0]!.id, id);
    const fault = { mode: "hang", path: "logs" };
    assertEquals(await post("fault", fault), { status: 200, body: { fault } });
    assertEquals((await post("fault", { mode: "nonsense" })).status, 400);
    assertEquals((await post("commands", { typ: "x" })).status, 400);
    assertEquals((await post("nothing", {})).status, 404);
    assertEquals((await post("revoke-tokens", { which: "access" })).status, 200);
    const state = await (await fetch(`${server.controlUrl}/debug/state`)).json();
    assertEquals(state, JSON.parse(JSON.stringify(server.state())));
    assertEquals([state.schema, state.requests.length], ["refserver.state/1", 1]);
    assertEquals((await post("reset-requests", {})).status, 200);
    assertEquals(server.state().requests, []);
    assertEquals((await call(server.url, { method: "GET", path: "/debug/state" })).status, 404);
  });
});

Deno.test("the log has a line a request, and no token in it", async () => {
  const lines: string[] = [];
  await withServer({ print: (line) => lines.push(line) }, async (server) => {
    const { token, refresh_token, agent_id } = (await call(server.url, registration)).json;
    await call(server.url, {
      method: "POST",
      path: "/api/v1/agents/renew",
      body: { agent_id, refresh_token },
    });
    await call(server.url, { ...registration, body: { ...host, os_type: "darwin" } });
    const path = `/api/v1/agents/${agent_id}/logs`;
    const headers = { Authorization: `Bearer ${token}` };
    for (const result of ["success", 7]) {
      const body = { action: "\u001b[31m", result };
      await call(server.url, { method: "POST", path, headers, body });
    }
    const text = lines.join("\n");
    assertMatch(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} POST \/api\/v1\/agents\/register 200 new agent/);
    assertMatch(text, /PROTOCOL VIOLATION POST \/api\/v1\/agents\/register: .*os_type/);
    assertMatch(text, /logs 200 \?\[31m: success/);
    assert(!text.includes("\u001b"));
    for (const secret of [TOKEN, token, refresh_token]) {
      assert(!text.includes(secret) && !JSON.stringify(server.state()).includes(secret));
    }
  });
});

Deno.test("a restart on the same file and port goes on where it ended", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const options = { data: `${folder}/server.db`, registrationTokens: [TOKEN] };
    const first = await startRefserver(options);
    const { agent_id: id, token, refresh_token } = (await call(first.url, registration)).json;
    const commandId = first.queueCommand({ type: "scan_updates" });
    await first.close();
    const second = await startRefserver({ ...options, port: first.port });
    assertEquals(second.url, first.url);
    const checkIn = { method: "GET", path: `/api/v1/agents/${id}/commands` };
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await call(second.url, { ...checkIn, headers });
    assertEquals(answer.json.commands[0].id, commandId);
    const body = { agent_id: id, refresh_token };
    const renewal = { method: "POST", path: "/api/v1/agents/renew", body };
    assertEquals((await call(second.url, renewal)).status, 200);
    await second.close();
    const stored = await Deno.readFile(options.data);
    assert(!new TextDecoder().decode(stored).includes(refresh_token));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("main.ts says where it listens, logs, and ends cleanly", async () => {
  const main = new URL("../../tools/refserver/main.ts", import.meta.url).href;
  const start = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", "--cached-only", "-A", main, ...args],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  const child = start("--registration-token", TOKEN, "--token-life-s", "60", "--limit-agent", "0");
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
  const { value = "" } = await deadline(lines.next(), PATIENCE_MS);
  const { ready, port, controlPort } = JSON.parse(value);
  assertEquals(ready, true);
  assertEquals((await call(`http://127.0.0.1:${port}`, registration)).status, 200);
  const state = await (await fetch(`http://127.0.0.1:${controlPort}/debug/state`)).json();
  assertEquals(state.agents.length, 1);
  assertMatch((await lines.next()).value ?? "", /POST \/api\/v1\/agents\/register 200/);
  child.kill("SIGTERM");
  const { code } = await deadline(child.status, PATIENCE_MS);
  if (isWindows) console.log("skipped in part: nobody can ask a program on Windows to end");
  else assertEquals(code, 0);
  await lines.return?.();
  await child.stderr.cancel();
  const misused = await start("--port", "x", "--nonsense").output();
  assertEquals(misused.code, 2);
  assertMatch(new TextDecoder().decode(misused.stderr), /not a whole number[^]*nonsense/);
});
