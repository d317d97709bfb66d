import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { readRedflagConfig, writeRedflagConfig } from "../../src/agent/redflag_config.ts";
import { type Identity, IdentityError } from "../../src/identity.ts";

const identity: Identity = {
  agentId: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",
  serverUrl: "https://server.test",
  accessToken: "access",
  refreshToken: "refresh",
  intervalMs: 300_000,
};

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

Deno.test("readRedflagConfig() reads the identity of RedFlag's agent, with its id", () => {
  assertEquals(readRedflagConfig(JSON.stringify(other)), {
    ...identity,
    serverUrl: "https://redflag.test",
  });
  const sparse = { ...other, check_in_interval: "often", tls: null };
  assertEquals(readRedflagConfig(JSON.stringify(sparse)).intervalMs, null);
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
    assertEquals(readRedflagConfig(text).intervalMs, ms, String(check_in_interval));
  }
  for (const tls of [undefined, null, "odd", {}, { insecure_skip_verify: null }]) {
    assertEquals(readRedflagConfig(JSON.stringify({ ...other, tls })).agentId, other.agent_id);
  }
});

Deno.test("readRedflagConfig() names what it cannot use", () => {
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
    assertThrows(() => readRedflagConfig(text), IdentityError, words);
  }
});

Deno.test("readRedflagConfig() skips a byte order mark, and only at the beginning", () => {
  const text = JSON.stringify(other);
  assertEquals(readRedflagConfig(`\ufeff${text}`), readRedflagConfig(text));
  for (const odd of [`\ufeff\ufeff${text}`, `${text}\ufeff`, ` \ufeff${text}`]) {
    assertThrows(() => readRedflagConfig(odd), IdentityError, "it is not valid JSON");
  }
});

Deno.test("readRedflagConfig() reads every version of the file", () => {
  // Keys of 0.1.18 (no version), of versions 4 and 5 (0.1.23 to 0.2.9), and of none that exists yet.
  const versions = [
    {},
    { version: "4", agent_version: "0.1.23.4", network: { timeout: 30_000_000_000 } },
    {
      version: "5",
      agent_version: "0.2.9.3",
      machine_id: "a stale leftover",
      polling: { jitter_max_seconds: 30 },
      command_signing: { enabled: true, enforcement_mode: "strict" },
      subsystems: { apt: { enabled: true, timeout: 30_000_000_000 } },
    },
    { version: 6, of_tomorrow: [{ deep: null }] },
  ];
  for (const more of versions) {
    assertEquals(readRedflagConfig(JSON.stringify({ ...other, ...more })).agentId, other.agent_id);
  }
});

Deno.test("readRedflagConfig() tells a file without an identity from one that is damaged", () => {
  const rows: [change: object, isUnregistered: boolean][] = [
    [{ agent_id: "00000000-0000-0000-0000-000000000000", token: "", refresh_token: "" }, true],
    [{ agent_id: "", token: "", refresh_token: "" }, true],
    [{ refresh_token: "" }, true],
    [{ refresh_token: undefined }, false],
    [{ token: "a b" }, false],
  ];
  for (const [change, isUnregistered] of rows) {
    const text = JSON.stringify({ ...other, ...change });
    const says = isUnregistered ? "was never registered" : "in the other agent's configuration";
    assertThrows(() => readRedflagConfig(text), IdentityError, says);
  }
});

Deno.test("writeRedflagConfig() writes what RedFlag's agent reads, and nothing else", () => {
  assertEquals(JSON.parse(writeRedflagConfig(identity)), {
    // A Go string: as a number it would make that agent begin without any identity.
    version: "5",
    server_url: "https://server.test",
    agent_id: identity.agentId,
    token: "access",
    refresh_token: "refresh",
    check_in_interval: 300,
  });
  const intervals: [ms: number | null, seconds: number][] = [
    [null, 300],
    [10_000, 30],
    [30_000, 30],
    [60_000, 60],
    [3_600_000, 3_600],
    [86_400_000, 3_600],
  ];
  for (const [intervalMs, seconds] of intervals) {
    const { check_in_interval } = JSON.parse(writeRedflagConfig({ ...identity, intervalMs }));
    assertEquals(check_in_interval, seconds);
  }
});

Deno.test("writeRedflagConfig() hands over the predecessor of a token that may have been replaced", () => {
  const doubtful = { ...identity, previousRefreshToken: "before" };
  assertEquals(JSON.parse(writeRedflagConfig(doubtful)).refresh_token, "before");
});

Deno.test("readRedflagConfig() reads what writeRedflagConfig() wrote", () => {
  const token = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);
  const identities = fc.record({
    agentId: fc.uuid().filter((id) => /[1-9a-f]/.test(id)),
    serverUrl: fc.constantFrom("https://server.test", "http://10.0.0.1:8080/redflag"),
    accessToken: token,
    refreshToken: token,
    intervalMs: fc.integer({ min: 30, max: 3_600 }).map((seconds) => seconds * 1_000),
  });
  fc.assert(fc.property(identities, (given) => {
    const text = writeRedflagConfig(given);
    assertEquals(readRedflagConfig(text), given);
    assert(text.endsWith("}\n"));
  }));
});
