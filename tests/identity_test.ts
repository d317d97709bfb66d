import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  adoptIdentity,
  forgetIdentity,
  type Identity,
  IdentityError,
  loadIdentity,
  saveIdentity,
} from "../src/identity.ts";
import { FakeSystem } from "./fakes/system.ts";

const FILE = "/state/identity.json";
const identity: Identity = {
  agentId: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",
  serverUrl: "https://server.test",
  accessToken: "access",
  refreshToken: "refresh",
  intervalMs: 300_000,
  registeredMs: 1_000,
};

Deno.test("saveIdentity() keeps what loadIdentity() reads, for this user's eyes only", async () => {
  const system = new FakeSystem();
  assertEquals(await loadIdentity(system, "/state"), undefined);
  await saveIdentity(system, "/state", identity);
  assertEquals(system.files.modes.get(FILE), 0o600);
  assertEquals(await loadIdentity(system, "/state"), identity);
  await forgetIdentity(system, "/state");
  assertEquals(await loadIdentity(system, "/state"), undefined);
});

Deno.test("loadIdentity() refuses a file that is damaged, or open to others", async () => {
  const system = new FakeSystem();
  await saveIdentity(system, "/state", identity);
  const whole = system.files.texts.get(FILE) ?? "";
  const rows = ["", "null", "{}", whole.slice(0, -5), whole.replace("https:", "ftp:")];
  for (const text of [...rows, whole.replace("3f0c2e8e", "../../etc")]) {
    system.files.texts.set(FILE, text);
    const error = await assertRejects(() => loadIdentity(system, "/state"), IdentityError);
    assert(!error.message.includes("refresh"), error.message);
  }
  system.files.texts.set(FILE, whole);
  for (const mode of [0o640, 0o604, 0o644]) {
    system.files.modes.set(FILE, mode);
    await assertRejects(() => loadIdentity(system, "/state"), IdentityError, "other users");
  }
});

Deno.test("saveIdentity() writes nothing that loadIdentity() would refuse", async () => {
  const system = new FakeSystem();
  await saveIdentity(system, "/state", identity);
  const faults: [Partial<Identity>, string][] = [
    [{ accessToken: "abc\nX-Evil: 1" }, "access_token contains a line break"],
    [{ refreshToken: "abc def" }, "refresh_token contains white space"],
    [{ accessToken: "" }, "access_token is empty"],
    [{ agentId: "../x" }, "agent_id cannot be used"],
    [{ serverUrl: "https://a\nb" }, "server_url contains white space"],
    [{ serverUrl: `https://${"a".repeat(3_000)}` }, "server_url is too long"],
    [{ serverUrl: "ftp://a" }, "server_url is no web address"],
    [{ intervalMs: 0 }, "interval_ms cannot be used"],
    [{ registeredMs: NaN }, "registered_ms cannot be used"],
  ];
  for (const [fault, words] of faults) {
    const save = () => saveIdentity(system, "/state", { ...identity, ...fault });
    await assertRejects(save, IdentityError, `Cannot save the identity: ${words}`);
    assertEquals(await loadIdentity(system, "/state"), identity);
  }
  // JSON has no such number, and none is an interval that is not known.
  await saveIdentity(system, "/state", { ...identity, intervalMs: Infinity });
  assertEquals(await loadIdentity(system, "/state"), { ...identity, intervalMs: null });
});

Deno.test("saveIdentity() writes what loadIdentity() reads, or nothing", async () => {
  const texts = fc.string({ unit: fc.constantFrom(..."ab-_. /:\n\u0000é"), maxLength: 6 });
  const identities = fc.record({
    agentId: texts,
    serverUrl: fc.oneof(fc.webUrl(), texts.map((text) => `https://${text}`)),
    accessToken: texts,
    refreshToken: texts,
    intervalMs: fc.option(fc.double()),
    registeredMs: fc.double(),
  });
  await fc.assert(fc.asyncProperty(identities, async (given) => {
    const system = new FakeSystem();
    try {
      await saveIdentity(system, "/state", given);
    } catch (error) {
      assert(error instanceof IdentityError);
      assertEquals(await loadIdentity(system, "/state"), undefined);
      return;
    }
    assertEquals((await loadIdentity(system, "/state"))?.accessToken, given.accessToken);
  }));
});

const other = {
  server_url: "https://redflag.test/",
  agent_id: identity.agentId,
  token: "access",
  refresh_token: "refresh",
  check_in_interval: 300,
  rapid_polling_enabled: false,
  tls: { insecure_skip_verify: false },
  tags: ["a"],
};

Deno.test("adoptIdentity() takes over from RedFlag's agent and keeps its id", () => {
  assertEquals(adoptIdentity(JSON.stringify(other), 5), {
    ...identity,
    serverUrl: "https://redflag.test",
    registeredMs: 5,
  });
  const sparse = { ...other, check_in_interval: "often", tls: null };
  assertEquals(adoptIdentity(JSON.stringify(sparse), 5).intervalMs, null);
});

Deno.test("adoptIdentity() says what it cannot use", () => {
  const rows: [string, string][] = [
    ["", "it is not valid JSON"],
    ["[]", "server_url"],
    [JSON.stringify({ ...other, agent_id: "a/b" }), "agent_id"],
    [JSON.stringify({ ...other, token: "" }), "token is empty"],
    [JSON.stringify({ ...other, token: "a\nb" }), "token contains a line break"],
    [JSON.stringify({ ...other, server_url: "https://a b" }), "server_url contains white space"],
    ["[".repeat(100_000), "it is nested deeper than 32 levels"],
    [JSON.stringify({ ...other, tls: { insecure_skip_verify: true } }), "does not verify"],
  ];
  for (const [text, words] of rows) {
    assertThrows(() => adoptIdentity(text, 0), IdentityError, words);
  }
});
