import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import { agentIdSchema, tokenFault, tokenSchema } from "../src/credentials.ts";

Deno.test("tokenFault() describes the fault, and never quotes the token", () => {
  const rows: [string, string | null][] = [
    ["x", null],
    ["eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln-_", null],
    ["~!{}", null],
    ["", "is empty"],
    ["secret\nX-Evil: 1", "contains a line break"],
    ["secret\r", "contains a line break"],
    [" secret", "contains white space"],
    ["sec\u00a0ret", "contains white space"],
    ["secret\u007f", "contains a character that is not printable ASCII"],
    ["secrét", "contains a character that is not printable ASCII"],
    ["x".repeat(8_192), null],
    ["x".repeat(8_193), "is longer than 8192 characters"],
  ];
  for (const [token, fault] of rows) assertEquals(tokenFault(token), fault, JSON.stringify(token));
});

/** All of ASCII, and some of what is not. */
const texts = fc.string({
  unit: fc.integer({ min: 0, max: 0x2ff }).map((code) => String.fromCharCode(code)),
  maxLength: 70,
});

Deno.test("tokenSchema accepts only what a header can contain unchanged", () => {
  fc.assert(fc.property(texts, (text) => {
    assertEquals(tokenFault(text) === null, v.is(tokenSchema, text));
    if (tokenFault(text) !== null) return;
    assertEquals(
      new Headers({ authorization: `Bearer ${text}` }).get("authorization"),
      `Bearer ${text}`,
    );
  }));
});

Deno.test("IDENTIFIER accepts only one whole segment of a URL's path", () => {
  const edges = ["-", "_", "--", "-rf", "__proto__", "x".repeat(64), "CON", "0"];
  const ids = fc.oneof(
    fc.constantFrom(...edges),
    fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    texts,
  );
  fc.assert(fc.property(ids, (id) => {
    if (!v.is(agentIdSchema, id)) return;
    assertEquals(encodeURIComponent(id), id);
    const { pathname } = new URL(`http://server.test/api/v1/agents/${id}/commands`);
    assertEquals(pathname, `/api/v1/agents/${id}/commands`);
  }));
  for (const id of edges) assert(v.is(agentIdSchema, id), id);
  for (const id of ["", ".", "..", "../x", "a/b", "a\\b", "a%2e", "a b", "a\n", "x".repeat(65)]) {
    assert(!v.is(agentIdSchema, id), id);
  }
});
