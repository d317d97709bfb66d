import { assertEquals } from "@std/assert";
import { readTokenLife } from "../../src/server/access_token.ts";

function jwt(claims: unknown): string {
  return `${btoa('{"alg":"HS256"}')}.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.c2ln`;
}

Deno.test("readTokenLife() reads a token's beginning and end", () => {
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
