import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeBody } from "../../src/server/encode_body.ts";
import { assertStorable } from "../fakes/storable.ts";
import { anyText } from "../fakes/texts.ts";

Deno.test("encodeBody() takes out what PostgreSQL refuses, wherever it stands, and nothing else", () => {
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

Deno.test("encodeBody() leaves nothing that the server cannot store, whatever is in it", () => {
  fc.assert(fc.property(fc.array(anyText(60)), anyText(60), (list, text) => {
    const encoded = encodeBody({ list, nested: [{ text }] });
    assertStorable(encoded);
    assert(JSON.parse(encoded).list.length === list.length);
  }));
});
