import { assert, assertEquals } from "@std/assert";
import { cut, encodeBody, excerpt, LIMITS, timestampOf } from "../../src/server/limits.ts";
import { assertStorable } from "../fakes/storable.ts";
import { anyString, anyText } from "../fakes/texts.ts";

import fc from "fast-check";

Deno.test("LIMITS are the widths of the server's live columns, and the agent's own for the others", () => {
  assertEquals(LIMITS, {
    hostname: 255,
    osVersion: 100,
    osArchitecture: 20,
    agentVersion: 20,
    deviceModel: 255,
    osDistro: 50,
    packageName: 500,
    version: 1_000,
    repositorySource: 1_000,
    kbId: 255,
    logAction: 50,
    mountPoint: 255,
    device: 255,
    fileSystem: 50,
    eventType: 50,
  });
});

Deno.test("LIMITS allow only names that fit an index of PostgreSQL, whatever their characters are", () => {
  // 2,704 bytes, less the agent's id (16) and the package type (50) that are beside it.
  const longest = cut("\u{1f600}".repeat(1_000), LIMITS.packageName);
  assert(new TextEncoder().encode(longest).length <= 2_704 - 16 - 50 - 24);
});

Deno.test("cut() counts characters as PostgreSQL does", () => {
  assertEquals(cut("", 3), "");
  assertEquals(cut("abc", 3), "abc");
  assertEquals(cut("abcd", 3), "abc");
  assertEquals(cut("😀😀😀😀", 3), "😀😀😀");
  assertEquals(cut("a\u0000b\u001b[31mc\u009b", 10), "ab[31mc");
  assertEquals(cut("a\tb\nc", 10), "a\tb\nc");
});

Deno.test("cut() removes everything that PostgreSQL refuses", () => {
  fc.assert(fc.property(anyString(), fc.nat(20), (text, limit) => {
    const short = cut(text, limit);
    assert([...short].length <= limit);
    assert(short.isWellFormed());
    assert(!short.includes("\u0000"));
  }));
});

Deno.test("cut() reads no further than it has to", () => {
  const long = "x".repeat(200_000_000);
  assertEquals(cut(long, 3), "xxx");
  assertEquals(cut("\u0000".repeat(1_000_000) + "abcd", 3), "abc");
});

Deno.test("excerpt() is the beginning, in ASCII that is safe in a terminal and in a log", () => {
  assertEquals(excerpt('"abc"'), '"abc"');
  assertEquals(excerpt("a\u001b[2J\u202e\u2028é"), "a\\u001b[2J\\u202e\\u2028\\u00e9");
  assertEquals([excerpt("x".repeat(80)), excerpt("x".repeat(81))], [
    "x".repeat(80),
    `${"x".repeat(80)}...`,
  ]);
  fc.assert(
    fc.property(fc.string({ unit: fc.nat(0x2ff).map((n) => String.fromCharCode(n)) }), (text) => {
      assert(/^[\x20-\x7e]{0,83}$/.test(excerpt(text)));
    }),
  );
});

Deno.test("encodeBody() removes what PostgreSQL refuses, anywhere in a body, and nothing else", () => {
  const body = { a: "x\u0000y", b: ["\ud800z", { c: "tab\tline\nend" }], d: 1, e: null, f: true };
  assertEquals(JSON.parse(encodeBody(body)), {
    a: "xy",
    b: ["z", { c: "tab\tline\nend" }],
    d: 1,
    e: null,
    f: true,
  });
  assertEquals(encodeBody({ whole: "päckchen 😀" }), '{"whole":"päckchen 😀"}');
});

Deno.test("encodeBody() writes nothing that the server cannot store", () => {
  fc.assert(fc.property(fc.array(anyText(60)), anyText(60), (list, text) => {
    const encoded = encodeBody({ list, nested: [{ text }] });
    assertStorable(encoded);
    assert(JSON.parse(encoded).list.length === list.length);
  }));
});

Deno.test("timestampOf() writes RFC 3339 of any instant, in a year of four digits", () => {
  assertEquals(timestampOf(1_780_000_000_000), "2026-05-28T20:26:40.000Z");
  assertEquals(timestampOf(8.64e15), "9999-12-31T23:59:59.000Z");
  assertEquals(timestampOf(-8.64e15), "0001-01-01T00:00:00.000Z");
});
