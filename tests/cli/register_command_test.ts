import { whileTimePasses } from "../fakes/clock.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { response } from "../fakes/response.ts";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { loadIdentity } from "../../src/identity.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE, URL } from "./run_cli.ts";

Deno.test("register saves the identity for this user only, and prints no token", async () => {
  const { system, result } = await enrolled();
  assertEquals([result.code, result.out], [0, `Registered with ${URL} as a1\n`]);
  assert(!`${result.out}${result.err}`.includes("access-1"));
  const identity = await loadIdentity(system, STATE);
  assertEquals([identity?.agentId, identity?.serverUrl, identity?.intervalMs], ["a1", URL, 60_000]);
  assertEquals(system.files.modes.get(`${STATE}/identity.json`), 0o600);
});

Deno.test("register on a host that is registered with the same server is done at once, without a token", async () => {
  const { system, server } = await enrolled();
  const before = server.requests.length;
  for (
    const words of [
      ["--server", URL, "--token", "spent"],
      ["--server", `${URL.toUpperCase().replace("HTTP", "http")}:80/`],
      ["--server", URL, "--token", "-"],
      [],
    ]
  ) {
    const { code, out, err } = await runCli(system, "register", ...words);
    assertEquals([code, out], [0, `Already registered with ${URL} as a1\n`]);
    assert(!err.includes("Next:"), err);
  }
  const { out } = await runCli(system, "register", "--json");
  assertEquals(JSON.parse(out), {
    schema: "pennon.register/1",
    agent_id: "a1",
    server_url: URL,
    adopted_from: null,
    already_registered: true,
  });
  assertEquals(server.requests.length, before);
});

Deno.test("register with another server is refused, with the command that works", async () => {
  const { system, server } = await enrolled();
  const before = server.requests.length;
  const words = ["register", "--server", "https://other.test", "--state-dir", STATE];
  const { code, err } = await runCli(system, ...words);
  assertEquals(code, 1);
  assertStringIncludes(err, `this host is registered with "${URL}" as a1`);
  assertStringIncludes(
    err,
    `pennon register --state-dir ${STATE} --replace --server https://other.test --token -`,
  );
  const adopting = await runCli(system, "register", "--adopt");
  assertEquals(adopting.code, 1);
  assertStringIncludes(adopting.err, "pennon register --replace --adopt FILE");
  assertEquals(server.requests.length, before);
});

Deno.test("register asks the server for nothing if the disk would not save an identity", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  system.files.fail("try to save an identity", "full");
  const { code } = await runCli(system, "register", "--server", URL, "--token", "t");
  assertEquals([code, server.requests.length], [1, 0]);
  assertEquals(system.files.texts.get(`${STATE}/identity.try`), undefined);
});

Deno.test("register prints the reason of a refusal, and saves nothing", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const rows: [status: number, body: string, says: string][] = [
    [401, '{"error":"bad token"}', "the server does not take this token"],
    [429, '{"error":"slow"}', "Next: try again in a minute"],
    [400, '{"error":"bad hostname"}', "bad hostname"],
    [200, "<html>login</html>", "Next: see that the address is a RedFlag server's"],
    [200, '{"agent_id":"../x","token":"t","refresh_token":"r"}', "Cannot register"],
  ];
  for (const [status, body, says] of rows) {
    server.mood = { kind: "answers", status, body };
    const { code, err } = await runCli(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 1, body);
    assertStringIncludes(err, says);
    assertEquals(await loadIdentity(system, STATE), undefined);
  }
});

Deno.test("register sends no request if it could not save the identity", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  system.files.fail("make the state directory", "denied");
  const words = ["register", "--server", URL, "--token", "t"];
  const { code, err } = await runCli(system, ...words);
  assertEquals(code, 1);
  assertStringIncludes(err, "Next: run this as the agent's user, or as root");
  assertEquals(server.requests, []);
});

Deno.test("register deletes the agent on the server if the disk refuses its identity", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  system.files.fail("save the identity", "full");
  const answer = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const { code, err } = await runCli(system, "register", "--server", URL, "--token", "t");
  assertEquals(code, 1);
  assertStringIncludes(err, "Cannot save the identity");
  assertEquals(server.requests.map(({ method }) => method), ["POST", "DELETE"]);
  assertStringIncludes(
    err,
    "the server has deleted the agent a1 again. Next: make room on the disk",
  );
});

Deno.test("register names the agent that a server keeps although the disk refused its identity", async () => {
  const system = new FakeSystem();
  system.files.fail("save the identity", "full");
  const answer = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  system.sendHttp = (request) =>
    Promise.resolve(
      request.method === "POST"
        ? response(200, JSON.stringify(answer))
        : response(401, '{"error":"only an administrator"}'),
    );
  const { code, err } = await runCli(system, "register", "--server", URL, "--token", "t");
  assertEquals(code, 1);
  assertStringIncludes(
    err,
    "the server still has the agent a1, which no host runs. Next: delete it",
  );
});

Deno.test("register and unregister refuse to change a running agent", async () => {
  const { system, server } = await enrolled();
  await acquireInstanceLock(system, STATE, "run");
  const before = server.requests.length;
  for (
    const words of [["register", "--replace", "--server", URL, "--token", "t"], ["unregister"]]
  ) {
    const { code, err } = await whileTimePasses(system.clock, () => runCli(system, ...words));
    assertEquals(code, 1);
    assertStringIncludes(err, `Cannot ${words[0]}: process 4242 already runs an agent`);
  }
  assertEquals(server.requests.length, before);
});

Deno.test("a token goes only to the server that issued it", async () => {
  const { system, server } = await enrolled();
  system.environment.set("PENNON_SERVER_URL", "http://other.test");
  const before = server.requests.length;
  const { code, err } = await runCli(system, "run", "--once");
  assertEquals(code, 1);
  assertStringIncludes(err, 'registered with "http://server.test"');
  assertStringIncludes(err, "pennon register --replace --server http://other.test --token -");
  assertEquals(server.requests.length, before);
  const gone = await runCli(system, "unregister");
  assertEquals([gone.code, gone.out], [0, `Unregistered a1 from ${URL}\n`]);
});

Deno.test("register --json names the agent and its server, with no advice", async () => {
  const fresh = new FakeSystem();
  const server = new FakeServer(fresh.clock);
  fresh.sendHttp = server.sendHttp;
  const answer = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const result = await runCli(fresh, "register", "--server", URL, "--token", "t", "--json");
  assertEquals([result.code, result.err.includes("Next:")], [0, false]);
  assertEquals(JSON.parse(result.out), {
    schema: "pennon.register/1",
    agent_id: "a1",
    server_url: URL,
    adopted_from: null,
    already_registered: false,
  });
});

Deno.test("register reads the token from stdin, from a flag, or from the configuration", async () => {
  const token = async (input: string, environment: Record<string, string>, ...words: string[]) => {
    const system = new FakeSystem();
    const server = new FakeServer(system.clock);
    system.sendHttp = server.sendHttp;
    system.terminal.input = input;
    system.environment = new Map(Object.entries(environment));
    server.mood = { kind: "answers", status: 400, body: "{}" };
    await runCli(system, "register", "--server", URL, ...words);
    return JSON.stringify(server.requests[0]?.body);
  };
  assertStringIncludes(await token(" from-stdin\n", {}, "--token", "-"), '"from-stdin"');
  assertStringIncludes(await token("", { PENNON_TOKEN: "from-env" }), '"from-env"');
  assertStringIncludes(
    await token("", { PENNON_TOKEN: "from-env" }, "--token", "from-flag"),
    '"from-flag"',
  );
});

Deno.test("register names the missing server or token", async () => {
  const missing = async (...words: string[]) =>
    await runCli(new FakeSystem(), "register", ...words);
  const server = await missing("--token", "t");
  assertEquals(server.code, 2);
  assertStringIncludes(server.err, 'no server given; add "--server URL"');
  const token = await missing("--server", URL);
  assertEquals(token.code, 2);
  assertStringIncludes(token.err, 'no token given; add "--token TOKEN"');
  const adopted = await missing("--adopt", "/nowhere.json");
  assertEquals(adopted.code, 1);
  assertStringIncludes(adopted.err, 'Cannot adopt: no file "/nowhere.json"');
});

Deno.test("register reads a token from stdin completely, or refuses it", async () => {
  const rows: [input: string, says: string | null][] = [
    ["", "stdin holds no token"],
    [" \n", "stdin holds no token"],
    ["\0".repeat(8_193), "is longer than 8192 characters"],
    ["t".repeat(8_193), "is longer than 8192 characters"],
    ["\0\0", "contains a character that is not printable ASCII"],
    ["two words", "contains white space"],
    ["t\u00e9", "contains a character that is not printable ASCII"],
    [`${"t".repeat(8_192)}`, null],
    ["token\r\n", null],
  ];
  for (const [input, says] of rows) {
    const system = new FakeSystem();
    const server = new FakeServer(system.clock);
    system.sendHttp = server.sendHttp;
    system.terminal.input = input;
    const { code, err } = await runCli(system, "register", "--server", URL, "--token", "-");
    if (says !== null) assertStringIncludes(err, says);
    assertEquals([code === 2, server.requests.length], [says !== null, says === null ? 1 : 0]);
  }
});

Deno.test("register refuses a token that no header can carry, and sends no request", async () => {
  const rows: [given: string, says: string][] = [
    ["abc\ndef", "contains a line break"],
    ["abc\r\nX-Evil: 1", "contains a line break"],
    ["abc def", "contains white space"],
    ["äbc", "contains a character that is not printable ASCII"],
    ["x".repeat(8_193), "is longer than 8192 characters"],
    ["x".repeat(100_000), "is longer than 8192 characters"],
  ];
  for (const [given, says] of rows) {
    for (const from of ["flag", "stdin", "environment"]) {
      const system = new FakeSystem();
      const server = new FakeServer(system.clock);
      system.sendHttp = server.sendHttp;
      const words = ["register", "--server", URL];
      if (from === "flag") words.push("--token", given);
      else if (from === "stdin") words.push("--token", "-");
      system.terminal.input = `${given}\n`;
      if (from === "environment") system.environment.set("PENNON_TOKEN", given);
      const { code, err } = await runCli(system, ...words);
      assertEquals([code, server.requests], [2, []], `${from}: ${says}`);
      // The configuration takes no control character and no such length; its message is its own.
      const isConfig = err.includes("Cannot use server.registration_token");
      if (!(from === "environment" && isConfig)) {
        assertStringIncludes(err, `Cannot register: the registration token ${says}`);
      }
      assert(!err.includes(given.slice(0, 3)), err);
    }
  }
});

Deno.test("register saves nothing of an answer with unusable tokens, and reports it", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const good = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  const rows: [answer: Record<string, unknown>, says: string][] = [
    [{ ...good, token: "abc\nX-Evil: 1" }, "token contains a line break"],
    [{ ...good, refresh_token: "abc def" }, "refresh_token contains white space"],
    [{ ...good, token: "äbc" }, "token contains a character that is not printable ASCII"],
    [{ ...good, agent_id: "../a1" }, "agent_id cannot be used"],
  ];
  for (const [answer, says] of rows) {
    server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
    const { code, err } = await runCli(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 1);
    assertStringIncludes(err, `but not the answer promised: ${says}`);
    assertEquals(await loadIdentity(system, STATE), undefined);
  }
});

Deno.test("register accepts an interval within bounds, and ignores any other", async () => {
  const rows: [interval: unknown, intervalMs: number | null][] = [
    [60, 60_000],
    [0.001, 10_000],
    [1e308, 86_400_000],
    [-1, null],
    [0, null],
    ["60", null],
    [null, null],
    [{}, null],
  ];
  for (const [check_in_interval, intervalMs] of rows) {
    const system = new FakeSystem();
    const server = new FakeServer(system.clock);
    system.sendHttp = server.sendHttp;
    const tokens = { token: "access-1", refresh_token: "refresh-1" };
    const body = JSON.stringify({ agent_id: "a1", ...tokens, config: { check_in_interval } });
    server.mood = { kind: "answers", status: 200, body };
    const { code } = await runCli(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 0);
    assertEquals((await loadIdentity(system, STATE))?.intervalMs, intervalMs);
  }
});

Deno.test("register --adopt warns about a configuration that other users can change, and adopts it", async () => {
  const system = new FakeSystem();
  system.sendHttp = new FakeServer(system.clock).sendHttp;
  const path = "/etc/aggregator/config.json";
  const { userId } = system.machine;
  const taken = {
    server_url: URL,
    agent_id: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",
    token: "access-1",
    refresh_token: "refresh-1",
  };
  system.files.texts.set(path, JSON.stringify(taken));
  const safe = await runCli(system, "register", "--adopt", path);
  assertEquals([safe.code, safe.err.includes("is not safe")], [0, false]);
  system.files.modes.set(path, 0o666);
  const result = await runCli(system, "register", "--adopt", path, "--replace");
  assertEquals(result.code, 0);
  assertStringIncludes(
    result.err,
    `pennon: the other agent's configuration is not safe: "${path}" can be written by every user`,
  );
  assertEquals((await loadIdentity(system, STATE))?.agentId, taken.agent_id);
  assert(userId() !== 0, "to root it is an error");
});

Deno.test("register --adopt as root refuses a configuration that other users can change", async () => {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => 0 };
  const path = "/etc/aggregator/config.json";
  system.files.texts.set(path, JSON.stringify({ server_url: URL }));
  system.files.modes.set(path, 0o666);
  const { code, err } = await runCli(system, "register", "--adopt", path);
  assertEquals(code, 2);
  assertStringIncludes(err, `"${path}" can be written by every user`);
  assertEquals(await loadIdentity(system, STATE), undefined);
});

Deno.test("unregister deletes the tokens, and fails if the server is unreachable", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const unreached = await runCli(system, "unregister");
  assertEquals(unreached.code, 1);
  assertStringIncludes(
    unreached.err,
    "Next: try again\nOr: delete the agent in the server's dashboard, and its tokens here with ",
  );
  assert(await loadIdentity(system, STATE) !== undefined);
  server.mood = { kind: "answers", status: 404, body: '{"error":"agent not found"}' };
  const { code, out } = await runCli(system, "unregister", "--json");
  assertEquals(code, 0);
  assertEquals(JSON.parse(out), {
    schema: "pennon.unregister/1",
    agent_id: "a1",
    server_url: URL,
    deleted_on_server: true,
    redflag_config: null,
  });
  assertEquals(await loadIdentity(system, STATE), undefined);
  assertEquals((await runCli(system, "status")).code, 3);
});

Deno.test("unregister --force deletes the tokens, and prints what is left to do", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const { code, out, err } = await runCli(system, "unregister", "--force");
  assertEquals([code, out], [0, `Unregistered a1 from ${URL}\n`]);
  assertStringIncludes(err, "The server did not delete the agent: Cannot connect: refused. Next:");
  assertEquals(await loadIdentity(system, STATE), undefined);
});

Deno.test("register --adopt finds RedFlag's configuration, and unregister --keep-server gives it back", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const path = "/etc/redflag/agent/config.json";
  const theirs = { server_url: URL, agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  system.files.texts.set(path, JSON.stringify(theirs));
  const adopted = await runCli(system, "register", "--adopt");
  assertEquals([adopted.code, adopted.out], [0, `Adopted a1 at ${URL} from ${path}\n`]);
  assertEquals(server.requests[0]?.path, "/api/v1/agents/a1/system-info");
  assertEquals([server.count("/renew"), server.count("/commands")], [0, 0]);
  // Again, as a tool that manages configurations does: the server hears nothing of it.
  const before = server.requests.length;
  const again = await runCli(system, "register", "--adopt");
  assertEquals([again.code, again.out], [0, `Already registered with ${URL} as a1\n`]);
  assertEquals(server.requests.length, before);
  // Another agent is none of that, and a file that is gone says nothing.
  system.files.texts.set("/other.json", JSON.stringify({ ...theirs, agent_id: "a2" }));
  const other = await runCli(system, "register", "--adopt", "/other.json", "--json");
  assertEquals(other.code, 1);
  assertStringIncludes(other.err, "as a1, and the file names a2. Next: stop the agent");
  assertStringIncludes(other.err, "\n  pennon register --json --replace --adopt /other.json\n");
  assertEquals((await runCli(system, "register", "--adopt", "/gone.json")).code, 1);
  const json = await runCli(system, "register", "--adopt", "--replace", "--json");
  assertEquals(JSON.parse(json.out), {
    schema: "pennon.register/1",
    agent_id: "a1",
    server_url: URL,
    adopted_from: path,
    already_registered: false,
  });
  const { code, out } = await runCli(system, "unregister", "--keep-server");
  assertEquals([code, server.count("/a1")], [0, 0]);
  assertStringIncludes(out, `Forgot a1 here; ${URL} keeps it. Its tokens are in ${STATE}/redflag-`);
  assertStringIncludes(out, `\n  sudo install -m 600 -o redflag-agent -g redflag-agent ${STATE}/`);
  assertEquals(await loadIdentity(system, STATE), undefined);
  assertEquals((await runCli(system, "unregister", "--keep-server")).code, 3);
});

Deno.test("unregister --keep-server prints JSON, a strange machine id, and refuses --force", async () => {
  const { system } = await enrolled();
  assertEquals((await runCli(system, "unregister", "--keep-server", "--force")).code, 2);
  system.files.ofHost.clear();
  const { code, out, err } = await runCli(system, "unregister", "--keep-server", "--json");
  assertEquals(code, 0);
  const { commands, ...answer } = JSON.parse(out);
  assertEquals(answer, {
    schema: "pennon.unregister/1",
    agent_id: "a1",
    server_url: URL,
    deleted_on_server: false,
    redflag_config: `${STATE}/redflag-config.json`,
  });
  assertEquals(commands.length, 3);
  assertStringIncludes(err, "let an administrator bind the agent to ");
});

Deno.test("register --token-file takes the token from a file that only its user and group can read", async () => {
  const register = async (text: string | undefined, mode = 0o600, ...more: string[]) => {
    const { system, server } = await enrolled();
    const answer = { agent_id: "a2", token: "access-2", refresh_token: "refresh-2" };
    server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
    if (text !== undefined) system.files.texts.set("/run/token", text);
    system.files.modes.set("/run/token", mode);
    const words = ["register", "--replace", "--server", URL, "--token-file", "/run/token"];
    const before = server.requests.length;
    const { code, err } = await runCli(system, ...words, ...more);
    const [sent] = server.requests.slice(before).filter(({ path }) => path.endsWith("/register"));
    return { code, err, token: sent?.token };
  };
  const fine = await register("a-token-of-a-file\n");
  assertEquals([fine.code, fine.token], [0, "a-token-of-a-file"]);
  assert(!fine.err.includes("a-token-of-a-file"), fine.err);
  const rows: [Parameters<typeof register>, code: number, part: string][] = [
    [[undefined], 1, 'Cannot read --token-file: no file "/run/token"'],
    [[" \n"], 2, 'Cannot register: "/run/token" holds no token'],
    [["t", 0o644], 2, "--token-file"],
    [["t", 0o600, "--token", "t"], 2, 'give either "--token" or "--token-file"'],
  ];
  for (const [given, code, part] of rows) {
    const refused = await register(...given);
    assertEquals([refused.code, refused.token], [code, undefined], refused.err);
    assertStringIncludes(refused.err, part);
  }
});

Deno.test("register --replace warns of what the buffer holds, before it asks the server", async () => {
  const { system, server } = await enrolled();
  const replacing = ["register", "--replace", "--server", URL, "--token", "t"];
  const warning =
    /pennon: the buffer holds (\d+) events that wait, and (\d+) dead letters: they stay, and/;
  server.mood = { kind: "answers", status: 401 };
  const empty = await runCli(system, ...replacing);
  assertEquals([empty.code, warning.test(empty.err)], [1, false], empty.err);
  const limits = { maxEvents: 1_000, maxBytes: 10_000_000, maxAttempts: 1 };
  const { buffer, close } = await openBuffer(system, STATE, limits);
  const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  buffer.append([event, event, event]);
  const [first] = buffer.next(1);
  buffer.refuse(first?.id ?? "", "HTTP 400", { isFinal: true });
  close();
  const full = await runCli(system, ...replacing);
  assertEquals(full.code, 1);
  const [said, ...counts] = warning.exec(full.err) ?? [];
  assertEquals(counts, ["2", "1"], full.err);
  assert(full.err.indexOf(said ?? "") < full.err.indexOf("pennon: Cannot register"));
  // What it says is true: they stay.
  const answer = { agent_id: "a2", token: "access-2", refresh_token: "refresh-2", config: {} };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const done = await runCli(system, ...replacing);
  assertEquals([done.code, warning.test(done.err)], [0, true], done.err);
  const after = await openBuffer(system, STATE, limits);
  assertEquals([after.buffer.counts().pending, after.buffer.counts().deadLetters], [2, 1]);
  after.close();
  assertEquals((await loadIdentity(system, STATE))?.agentId, "a2");
});
