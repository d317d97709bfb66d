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
  for (const [token, expected] of rows) assertEquals(readTokenLife(token), expected, token);
});
