import { assert, assertEquals } from "@std/assert";
import {
  readHealth,
  readRegistration,
  readRenewal,
  readTokenLife,
} from "../../src/server/protocol.ts";

Deno.test("readHealth() distinguishes a server that is up from one that is set up", () => {
  const usable = (body: string) => {
    const read = readHealth(body);
    return read.ok ? read.value.usable : undefined;
  };
  assertEquals(usable('{"status":"healthy"}'), true);
  assertEquals(usable('{"status":"waiting for configuration"}'), false);
  for (const junk of ["null", "{}", "[]", '{"status":1}', ""]) {
    assertEquals(usable(junk), undefined);
  }
});

Deno.test("readHealth() limits the server's status, and removes control characters", () => {
  const read = readHealth(JSON.stringify({ status: `\u001b[2J${"x".repeat(500_000)}` }));
  assert(read.ok);
  assertEquals([read.value.status.length, read.value.status.slice(0, 4)], [200, "[2Jx"]);
});

/** Texts that no header can carry, or no file should. */
const UNUSABLE: [token: unknown, why: string][] = [
  ["abc\nX-Evil: 1", "token contains a line break"],
  ["abc\r", "token contains a line break"],
  ["abc def", "token contains white space"],
  ["abc\tdef", "token contains white space"],
  ["abc\u0000", "token contains a character that is not printable ASCII"],
  ["äbc", "token contains a character that is not printable ASCII"],
  ["\ud800", "token contains a character that is not printable ASCII"],
  ["", "token is empty"],
  ["x".repeat(8_193), "token is longer than 8192 characters"],
  [7, "token cannot be used"],
  [null, "token cannot be used"],
  [["a"], "token cannot be used"],
  [{}, "token cannot be used"],
];

Deno.test("readRenewal() accepts no invalid token", () => {
  assertEquals(readRenewal(JSON.stringify({ token: "x".repeat(8_192) })).ok, true);
  for (const [token, why] of UNUSABLE) {
    assertEquals(readRenewal(JSON.stringify({ token })), { ok: false, why });
  }
  assertEquals(readRenewal("{}").ok, false);
});

const good = { agent_id: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11", token: "a", refresh_token: "r" };

Deno.test("readRegistration() accepts no invalid token and no invalid id", () => {
  for (const [token, why] of UNUSABLE) {
    assertEquals(readRegistration(JSON.stringify({ ...good, token })), { ok: false, why });
    const read = readRegistration(JSON.stringify({ ...good, refresh_token: token }));
    assertEquals(read, { ok: false, why: `refresh_${why}` });
  }
  const ids = ["", "../x", "a/b", "a b", "a.b", "x".repeat(65), "ä", "a\u0000", 1, null, {}, []];
  for (const agent_id of ids) {
    const read = readRegistration(JSON.stringify({ ...good, agent_id }));
    assertEquals(read, { ok: false, why: "agent_id cannot be used" });
  }
  const unused = readRegistration(JSON.stringify({ token: "a b" }));
  assert(!unused.ok);
  assertEquals(
    unused.why,
    "agent_id cannot be used, token contains white space, refresh_token cannot be used",
  );
});

Deno.test("readRegistration() ignores an invalid interval: the agent is enrolled", () => {
  const rows: [config: string, interval: number | null][] = [
    ['{"check_in_interval":300}', 300],
    ['{"check_in_interval":-1e308}', -1e308],
    ['{"check_in_interval":"300"}', null],
    ['{"check_in_interval":null}', null],
    ["{}", null],
    ["null", null],
    ["7", null],
  ];
  for (const [config, interval] of rows) {
    const body = JSON.stringify(good).replace("}", `,"config":${config}}`);
    const read = readRegistration(body);
    assert(read.ok, config);
    assertEquals(read.value.config.check_in_interval, interval, config);
  }
  const endless = JSON.stringify(good).replace("}", ',"config":{"check_in_interval":1e999}}');
  assertEquals(readRegistration(endless), {
    ok: false,
    why: "it contains a number that is out of range",
  });
});

function jwt(claims: unknown): string {
  return `${btoa('{"alg":"HS256"}')}.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.c2ln`;
}

Deno.test("readTokenLife() reads a token's start and end", () => {
  const rows: [string, unknown][] = [
    ["", null],
    ["junk", null],
    ["a.b.c", null],
    [jwt({}), null],
    [jwt({ exp: "tomorrow" }), null],
    [jwt({ iat: 1_000, exp: 2_000 }), { startMs: 1_000_000, endMs: 2_000_000 }],
    [jwt({ exp: 100_000 }), { startMs: 100_000_000 - 86_400_000, endMs: 100_000_000 }],
  ];
  const rare: [string, unknown][] = [
    // Instants that are no date: nothing could show them.
    [jwt({ exp: 8.64e12 + 1 }), null],
    [jwt({ exp: 1e300 }), null],
    [jwt({ exp: -1 }), null],
    [jwt({ iat: -1e300, exp: 100_000 }), { startMs: 13_600_000, endMs: 100_000_000 }],
    [jwt({ iat: "x", exp: 100_000 }), { startMs: 13_600_000, endMs: 100_000_000 }],
    [`${btoa("{}")}.${btoa('{"exp":1e999}')}.c2ln`, null],
    [`${btoa("{}")}.${btoa("[".repeat(5_000))}.c2ln`, null],
    [`${jwt({ exp: 1 })}.more`, null],
    // base64url: "-" and "_" where base64 has "+" and "/".
    ["e30.eyJuIjoifn5-fn5_IiwiZXhwIjoxMDAwMDB9.c2ln", { startMs: 13_600_000, endMs: 100_000_000 }],
  ];
  rows.push(...rare);
  for (const [token, expected] of rows) assertEquals(readTokenLife(token), expected, token);
});
