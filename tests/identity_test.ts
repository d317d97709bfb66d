import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
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
    ["", "all of it"],
    ["[]", "server_url"],
    [JSON.stringify({ ...other, agent_id: "a/b" }), "agent_id"],
    [JSON.stringify({ ...other, token: "" }), "token"],
    [JSON.stringify({ ...other, tls: { insecure_skip_verify: true } }), "does not verify"],
  ];
  for (const [text, words] of rows) {
    assertThrows(() => adoptIdentity(text, 0), IdentityError, words);
  }
});
