import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  adoptIdentity,
  type Identity,
  IDENTITY_FILE,
  IdentityError,
  loadIdentity,
  saveIdentity,
} from "../src/identity.ts";
import { FakeSystem } from "./fakes/system.ts";
import { anyString } from "./fakes/texts.ts";

const FILE = "/state/identity.json";
const identity: Identity = {
  agentId: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",
  serverUrl: "https://server.test",
  accessToken: "access",
  refreshToken: "refresh",
  intervalMs: 300_000,
};

Deno.test("saveIdentity() writes what loadIdentity() reads, in a private file", async () => {
  const system = new FakeSystem();
  assertEquals(await loadIdentity(system, "/state"), undefined);
  await saveIdentity(system, "/state", identity);
  assertEquals(system.files.modes.get(FILE), 0o600);
  assertEquals(await loadIdentity(system, "/state"), identity);
  await IDENTITY_FILE.remove(system.files, "/state");
  assertEquals(await loadIdentity(system, "/state"), undefined);
});

Deno.test("loadIdentity() refuses a file that is corrupt, or open to other users", async () => {
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

Deno.test("loadIdentity() accepts each field up to its limit and no further", async () => {
  const system = new FakeSystem();
  await saveIdentity(system, "/state", identity);
  const whole = JSON.parse(system.files.texts.get(FILE) ?? "");
  const load = async (change: Record<string, unknown>) => {
    system.files.texts.set(FILE, JSON.stringify({ ...whole, ...change }));
    return await loadIdentity(system, "/state");
  };
  const rows: [good: Record<string, unknown>, bad: Record<string, unknown>][] = [
    [{ agent_id: "a".repeat(64) }, { agent_id: "a".repeat(65) }],
    [{ agent_id: "a_-9" }, { agent_id: "" }],
    [{ agent_id: "A" }, { agent_id: "a b" }],
    [{ access_token: "a".repeat(8_192) }, { access_token: "a".repeat(8_193) }],
    [{ access_token: "!~" }, { access_token: "a b" }],
    [{ refresh_token: "r" }, { refresh_token: "" }],
    [{ refresh_token: "r" }, { refresh_token: "a\u007f" }],
    [{ interval_ms: 1_000 }, { interval_ms: 999 }],
    [{ interval_ms: 86_400_000 }, { interval_ms: 86_400_001 }],
    [{ interval_ms: null }, { interval_ms: "60" }],
    [{ server_url: "http://server.test" }, { server_url: "httpx://server.test" }],
    [{ server_url: "https://server.test" }, { server_url: "xhttp://server.test" }],
    // Pennon wrote this field until it was found that nothing reads it.
    [{ registered_at: "1970-01-01T00:00:00.000Z" }, { agent_id: "" }],
    [{}, { schema: "pennon.identity/3" }],
  ];
  for (const [good, bad] of rows) {
    assert(await load(good), JSON.stringify(good).slice(0, 100));
    await assertRejects(() => load(bad), IdentityError, "is corrupt");
  }
  assertEquals((await load({ server_url: "https://a.test///" }))?.serverUrl, "https://a.test");
});

Deno.test("loadIdentity() checks no mode where the system has none", async () => {
  const system = new FakeSystem();
  await saveIdentity(system, "/state", identity);
  const inspect = system.files.inspect.bind(system.files);
  system.files.inspect = async (purpose, path) => {
    const facts = await inspect(purpose, path);
    return facts && { ...facts, mode: null };
  };
  assertEquals(await loadIdentity(system, "/state"), identity);
});

Deno.test("saveIdentity() writes nothing that loadIdentity() would refuse", async () => {
  const system = new FakeSystem();
  await saveIdentity(system, "/state", identity);
  const faults: [Partial<Identity>, string][] = [
    [{ accessToken: "abc\nX-Evil: 1" }, "accessToken contains a line break"],
    [{ refreshToken: "abc def" }, "refreshToken contains white space"],
    [{ accessToken: "" }, "accessToken is empty"],
    [{ agentId: "../x" }, "agentId cannot be used"],
    [{ serverUrl: "https://a\nb" }, "serverUrl contains white space"],
    [{ serverUrl: `https://${"a".repeat(3_000)}` }, "serverUrl is too long"],
    [{ serverUrl: "ftp://a" }, "serverUrl is no web address"],
    [{ intervalMs: 0 }, "intervalMs cannot be used"],
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
  // fast-check's own URLs take a second of CPU to be made, for a table of all characters.
  const url = fc.tuple(
    fc.constantFrom("http", "https"),
    fc.domain(),
    fc.array(anyString({ maxLength: 8 }).map(encodeURIComponent), { maxLength: 4 }),
  ).map(([scheme, domain, path]) => `${scheme}://${[domain, ...path].join("/")}`);
  const identities = fc.record({
    agentId: texts,
    serverUrl: fc.oneof(url, texts.map((text) => `https://${text}`)),
    accessToken: texts,
    refreshToken: texts,
    intervalMs: fc.option(fc.double()),
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

Deno.test("adoptIdentity() reads the identity of RedFlag's agent, with its id", () => {
  assertEquals(adoptIdentity(JSON.stringify(other)), {
    ...identity,
    serverUrl: "https://redflag.test",
  });
  const sparse = { ...other, check_in_interval: "often", tls: null };
  assertEquals(adoptIdentity(JSON.stringify(sparse)).intervalMs, null);
  const intervals: [seconds: unknown, ms: number | null][] = [
    [9, null],
    [10, 10_000],
    [86_400, 86_400_000],
    [86_401, null],
    [null, null],
    [undefined, null],
  ];
  for (const [check_in_interval, ms] of intervals) {
    const text = JSON.stringify({ ...other, check_in_interval });
    assertEquals(adoptIdentity(text).intervalMs, ms, String(check_in_interval));
  }
  for (const tls of [undefined, null, "odd", {}, { insecure_skip_verify: null }]) {
    assertEquals(adoptIdentity(JSON.stringify({ ...other, tls })).agentId, other.agent_id);
  }
});

Deno.test("adoptIdentity() names what it cannot use", () => {
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
    assertThrows(() => adoptIdentity(text), IdentityError, words);
  }
});

Deno.test("loadIdentity() reads the form of earlier releases, and saveIdentity() writes the present one", async () => {
  const system = new FakeSystem();
  const fields = {
    agent_id: identity.agentId,
    server_url: identity.serverUrl,
    access_token: identity.accessToken,
    refresh_token: identity.refreshToken,
    interval_ms: identity.intervalMs,
  };
  const earlier = { schema: "pennon.identity/1", ...fields, registered_ms: 1_000 };
  system.files.texts.set(FILE, JSON.stringify(earlier, null, 2));
  system.files.modes.set(FILE, 0o600);
  assertEquals(await loadIdentity(system, "/state"), identity);
  await saveIdentity(system, "/state", identity);
  assertEquals(JSON.parse(system.files.texts.get(FILE) ?? ""), {
    schema: "pennon.identity/2",
    ...fields,
  });
});
