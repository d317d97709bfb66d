import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { holdState } from "../../src/agent/hold_state.ts";
import { cli } from "../../src/cli/cli.ts";
import { loadIdentity } from "../../src/identity.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "/home/test/.local/state/pennon";
const URL = "http://server.test";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function say(system: FakeSystem, ...words: string[]): Promise<Said> {
  system.terminal.out = "";
  system.terminal.err = "";
  const code = await cli(words, system);
  return { code, out: system.terminal.out, err: system.terminal.err };
}

/** A host that is enrolled with a server in memory. */
async function enrolled() {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const answer = {
    agent_id: "a1",
    token: "access-1",
    refresh_token: "refresh-1",
    config: { check_in_interval: 60 },
  };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const said = await say(system, "register", "--server", `${URL}/`, "--token", "t");
  server.mood = { kind: "well" };
  return { system, server, said };
}

Deno.test("cli() without a word, or asked for it, says what there is", async () => {
  const system = new FakeSystem();
  for (const words of [[], ["help"], ["--help"], ["-h"], ["help", "help"]]) {
    const { code, out, err } = await say(system, ...words);
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, "Usage: pennon COMMAND [options]");
  }
  assertStringIncludes((await say(system, "scan", "--help")).out, "Usage: pennon scan");
  assertStringIncludes((await say(system, "--version")).out, "pennon ");
});

Deno.test("cli() misused answers 2, says how on stderr alone, and touches nothing", async () => {
  const rows: [words: string[], says: string][] = [
    [["bogus"], 'Cannot run "bogus": no such command'],
    [["constructor"], "no such command"],
    [["help", "bogus"], "no such command"],
    [["run", "--bogus"], "no such option"],
    [["run", "extra"], "Cannot"],
    [["register", "--server"], "Cannot"],
    [["scan", "--only", "apt,bogus"], '"bogus": it is none of apt, dnf, winupdate, winget'],
    [["scan", "--json", "--csv"], "JSON and CSV at once"],
    [["events", "eat"], 'it takes "list", "show ID"'],
    [["events"], 'Cannot run "events "'],
    [["events", "list", "0197f0"], "list takes no ID"],
    [["events", "show"], "Cannot show event: it takes an ID"],
    [["events", "show", "0197f"], '"0197f" is too short'],
    [["events", "show", "--dead", "0197f0"], '"--dead": it belongs to "events list"'],
    [["events", "requeue"], "it takes an ID or --all"],
    [["events", "requeue", "0197f0", "--all"], "not both"],
    [["events", "purge", "--all"], '"--all": it belongs to "events requeue"'],
    [["events", "purge", "0197f0", "0197f1"], "one argument too many"],
    [["config", "eat"], "Cannot"],
    [["status", "--config", "/nowhere"], 'no file "/nowhere"'],
    [["scan", "--log-level", "loud"], "one of debug, info, warning, error"],
  ];
  for (const [words, says] of rows) {
    const system = new FakeSystem();
    const { code, out, err } = await say(system, ...words);
    assertEquals([code, out], [2, ""], words.join(" "));
    assertStringIncludes(err, says);
    assertEquals(system.files.texts.size, 0);
  }
});

Deno.test("what a bad word holds cannot steer the terminal", async () => {
  const { err } = await say(new FakeSystem(), "\u001b[2Jbogus");
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(err), err);
});

Deno.test("register keeps the identity for this user alone, and tells no token", async () => {
  const { system, said } = await enrolled();
  assertEquals([said.code, said.out], [0, `Registered with ${URL} as a1\n`]);
  assert(!`${said.out}${said.err}`.includes("access-1"));
  const identity = await loadIdentity(system, STATE);
  assertEquals([identity?.agentId, identity?.serverUrl, identity?.intervalMs], ["a1", URL, 60_000]);
  assertEquals(system.files.modes.get(`${STATE}/identity.json`), 0o600);
  const again = await say(system, "register", "--server", URL, "--token", "t");
  assertEquals(again.code, 1);
  assertStringIncludes(again.err, "--replace");
});

Deno.test("register that is refused says why and keeps nothing", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const rows: [status: number, body: string, says: string][] = [
    [401, '{"error":"bad token"}', "the server does not take this token"],
    [429, '{"error":"slow"}', "try again in a minute"],
    [400, '{"error":"bad hostname"}', "bad hostname"],
    [200, "<html>login</html>", "Cannot register"],
    [200, '{"agent_id":"../x","token":"t","refresh_token":"r"}', "Cannot register"],
  ];
  for (const [status, body, says] of rows) {
    server.mood = { kind: "answers", status, body };
    const { code, err } = await say(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 1, body);
    assertStringIncludes(err, says);
    assertEquals(await loadIdentity(system, STATE), undefined);
  }
});

Deno.test("register asks no server for an agent whose identity it could not keep", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  system.files.fail("make the state folder", "denied");
  const words = ["register", "--server", URL, "--token", "t"];
  assertEquals((await say(system, ...words)).code, 1);
  assertEquals(server.requests, []);
});

Deno.test("register takes back an agent whose identity the disk would not take", async () => {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  system.files.fail("save the identity", "full");
  const answer = { agent_id: "a1", token: "access-1", refresh_token: "refresh-1" };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const { code, err } = await say(system, "register", "--server", URL, "--token", "t");
  assertEquals(code, 1);
  assertStringIncludes(err, "Cannot save the identity");
  assertEquals(server.requests.map(({ method }) => method), ["POST", "DELETE"]);
});

Deno.test("register and unregister leave an agent that runs alone", async () => {
  const { system, server } = await enrolled();
  await holdState(system, STATE, "run");
  const before = server.requests.length;
  for (
    const words of [["register", "--replace", "--server", URL, "--token", "t"], ["unregister"]]
  ) {
    const { code, err } = await say(system, ...words);
    assertEquals(code, 1);
    assertStringIncludes(err, `Cannot ${words[0]}: process 4242 already runs an agent`);
  }
  assertEquals(server.requests.length, before);
});

Deno.test("a token goes to no other server than the one that gave it", async () => {
  const { system, server } = await enrolled();
  system.environment.set("PENNON_SERVER_URL", "http://other.test");
  const before = server.requests.length;
  for (const words of [["run", "--once"], ["unregister"]]) {
    const { code, err } = await say(system, ...words);
    assertEquals(code, 1);
    assertStringIncludes(err, 'registered with "http://server.test"');
  }
  assertEquals(server.requests.length, before);
});

Deno.test("run --once checks in, delivers, and answers 1 where no server was reached", async () => {
  const { system, server } = await enrolled();
  server.queue("c1", "enable_heartbeat", { duration_minutes: 5 });
  assertEquals((await say(system, "run", "--once")).code, 0);
  assertEquals(server.reports.map(({ report }) => report), ["logs", "system-info"]);
  server.mood = { kind: "gone" };
  assertEquals((await say(system, "run", "--once")).code, 1);
});

Deno.test("run without a registration answers 3", async () => {
  const { code, err } = await say(new FakeSystem(), "run");
  assertEquals(code, 3);
  assertStringIncludes(err, "pennon register --server URL");
});

Deno.test("status tells what the agent left on disk, as text and as JSON", async () => {
  const { system, server } = await enrolled();
  assertStringIncludes((await say(system, "status")).out, "no check-in yet");
  await say(system, "run", "--once");
  server.mood = { kind: "gone" };
  await say(system, "run", "--once");
  const { code, out } = await say(system, "status", "--json");
  assertEquals(code, 0);
  const status = JSON.parse(out);
  assertEquals([status.schema, status.registered, status.running], [
    "pennon.status/1",
    true,
    false,
  ]);
  assertEquals([status.connection.breaker, status.connection.failures], ["closed", 1]);
  const none = { received: 0, started: 0, finished: 0, reported: 0, remembered: 0, unfinished: 0 };
  assertEquals(status.commands, { ...none, max_remembered: 10_000 });
  const text = (await say(system, "status")).out;
  assertStringIncludes(text, "Outage");
  assert(!text.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("events list tells what waits", async () => {
  const { system, server } = await enrolled();
  assertEquals((await say(system, "events", "list")).out, "No events\n");
  server.poison = { text: "command_id", status: 400 };
  server.queue("c1", "disable_heartbeat");
  await say(system, "run", "--once");
  const { events, total } = JSON.parse((await say(system, "events", "list", "--json")).out);
  assertEquals([total, events[0].kind, events[0].command_id, events[0].attempts], [
    1,
    "log",
    "c1",
    1,
  ]);
  assertStringIncludes((await say(system, "events", "list")).out, "HTTP 400");
  assertEquals((await say(system, "events", "list", "--dead")).out, "No events\n");
});

Deno.test("unregister forgets the tokens; a server that is gone is told of, not passed over", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  assertEquals((await say(system, "unregister")).code, 1);
  assert(await loadIdentity(system, STATE) !== undefined);
  server.mood = { kind: "answers", status: 404, body: '{"error":"no agent"}' };
  const { code, out } = await say(system, "unregister", "--json");
  assertEquals(code, 0);
  assertEquals(JSON.parse(out), {
    schema: "pennon.unregister/1",
    agent_id: "a1",
    server_url: URL,
    deleted_on_server: true,
  });
  assertEquals(await loadIdentity(system, STATE), undefined);
  assertEquals((await say(system, "status")).code, 3);
});

Deno.test("unregister --force forgets the tokens, and says what is left to do", async () => {
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const { code, out, err } = await say(system, "unregister", "--force");
  assertEquals([code, out], [0, `Unregistered a1 from ${URL}\n`]);
  assertStringIncludes(err, "delete the agent in its dashboard");
  assertEquals(await loadIdentity(system, STATE), undefined);
});

Deno.test("config show tells each value and where it came from, and hides the secret", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "https://file.test"\n');
  system.environment.set("PENNON_TOKEN", "very-secret");
  const { out } = await say(system, "config", "show", "--log-level", "debug");
  assert(!out.includes("very-secret"));
  assert(
    /^server\.url +https:\/\/file\.test +file: \/etc\/pennon\/config\.toml, line 2$/m.test(out),
  );
  assert(/^server\.registration_token +\(set\) +environment: PENNON_TOKEN$/m.test(out));
  assert(/^log\.level +debug +flag: /m.test(out), out);
});

Deno.test("scan of which a package manager failed answers 1, and prints its reason", async () => {
  const system = new FakeSystem();
  for (const name of ["apt-get", "dpkg-query"]) system.files.texts.set(`/usr/bin/${name}`, "");
  const { code, out, err } = await say(system, "scan", "--only", "apt", "--json");
  assertEquals(code, 1);
  const [apt] = JSON.parse(out).scanners;
  assertEquals([apt.available, apt.result, apt.updates], [true, "failed", []]);
  assertStringIncludes(err, `pennon: apt: ${apt.error.message}`);
});

Deno.test("scan on a host without a package manager says so; one asked for by name is missed", async () => {
  const system = new FakeSystem();
  const none = await say(system, "scan", "--json");
  const { schema, scanners } = JSON.parse(none.out);
  assertEquals([none.code, schema, scanners.length], [0, "pennon.scan/1", 4]);
  assert(scanners.every(({ available }: { available: boolean }) => !available));
  assertStringIncludes(none.err, "no package manager that Pennon knows is on this host");
  const missed = await say(system, "scan", "--only", "apt");
  assertEquals(missed.code, 1);
  assertStringIncludes(missed.err, "Cannot scan with apt: it is not on this host");
});

Deno.test("breaker list shows each breaker, and breaker reset closes one on disk", async () => {
  const { system, server } = await enrolled();
  assertEquals((await say(system, "breaker", "list")).out, "No breaker has been used yet\n");
  server.mood = { kind: "gone" };
  for (let attempt = 0; attempt < 6; attempt++) {
    await say(system, "run", "--once");
    await system.clock.advance(300_000);
  }
  const { out } = await say(system, "breaker", "list", "--json");
  assertEquals(JSON.parse(out).breakers[0].name, "connection");
  assertEquals(JSON.parse(out).breakers[0].state, "open");
  assertStringIncludes((await say(system, "breaker", "list")).out, "refused");
  const reset = await say(system, "breaker", "reset", "connection");
  assertEquals([reset.code, reset.out], [
    0,
    'Breaker "connection" is closed (on disk; no agent runs)\n',
  ]);
  const after = JSON.parse((await say(system, "breaker", "list", "--json")).out);
  assertEquals(after.breakers[0].state, "closed");
});

Deno.test("breaker reset is refused for a breaker that there is not", async () => {
  for (const words of [["reset"], ["reset", "toaster"], ["open", "apt"], ["list", "apt"]]) {
    assertEquals((await say(new FakeSystem(), "breaker", ...words)).code, 2, words.join(" "));
  }
});

Deno.test("breaker reset with a running agent asks it, and gives up where it does not answer", async () => {
  const { system } = await enrolled();
  const hold = await holdState(system, STATE, "test");
  const asked = say(system, "breaker", "reset", "apt");
  for (let turn = 0; turn < 100; turn++) await system.clock.advance(500);
  const { code, err } = await asked;
  assertEquals(code, 1);
  assertStringIncludes(err, "did not take it up");
  assert(![...system.files.texts.keys()].some((path) => path.endsWith("breaker-reset.json")));
  await hold.release();
});

Deno.test("status --watch of a host that is not registered goes on too, and ends with 3", async () => {
  const system = new FakeSystem();
  const watching = say(system, "status", "--watch");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await watching;
  assertEquals(code, 3);
  assert(err.includes("pennon register"), err);
});

Deno.test("status --watch goes on until it is asked to stop", async () => {
  const { system } = await enrolled();
  const watching = say(system, "status", "--watch", "--json");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, out } = await watching;
  assertEquals(code, 0);
  const lines = out.trimEnd().split("\n");
  assert(lines.length >= 3, out);
  assertEquals(JSON.parse(lines.at(-1)!).schema, "pennon.status/1");
  assertEquals(system.stopListeners.size, 0);
});
