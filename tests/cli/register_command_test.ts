import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { holdState } from "../../src/agent/hold_state.ts";
import { loadIdentity } from "../../src/identity.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, say, STATE, URL } from "./said.ts";

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
    [429, '{"error":"slow"}', "Next: try again in a minute"],
    [400, '{"error":"bad hostname"}', "bad hostname"],
    [200, "<html>login</html>", "Next: see that the address is a RedFlag server's"],
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
  const { code, err } = await say(system, ...words);
  assertEquals(code, 1);
  assertStringIncludes(err, "Next: run this as the agent's user, or as root");
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

Deno.test("register refuses a token that no header can carry, and asks no server", async () => {
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
      const { code, err } = await say(system, ...words);
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

Deno.test("register keeps nothing of an answer whose tokens cannot be used, and says so", async () => {
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
    const { code, err } = await say(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 1);
    assertStringIncludes(err, `but not the answer promised: ${says}`);
    assertEquals(await loadIdentity(system, STATE), undefined);
  }
});

Deno.test("register takes an interval within bounds, and does without any other", async () => {
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
    const { code } = await say(system, "register", "--server", URL, "--token", "t");
    assertEquals(code, 0);
    assertEquals((await loadIdentity(system, STATE))?.intervalMs, intervalMs);
  }
});
