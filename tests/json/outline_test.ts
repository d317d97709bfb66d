import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { JsonOutline, JsonOutlineError } from "../../src/json/outline.ts";

Deno.test("a text may be bytes, and a part of it no UTF-8", () => {
  const bytes = new TextEncoder().encode('\ufeff["\u00e4","?"]');
  bytes[bytes.length - 3] = 0xff;
  const texts: (string | null)[] = [];
  const outline = new JsonOutline(bytes);
  outline.items(10, () => texts.push(outline.text(outline.skip())));
  assertEquals(texts, ['"\u00e4"', null]);
});

Deno.test("skip() goes past each kind of value, whatever is in it", () => {
  const values: [string, string][] = [
    ['"a\\"]}"', "a string"],
    ["[[1,[2]],{}]", "an array"],
    ['{"a":[{"b":"}"}]}', "an object"],
    ["null", "null"],
    ["true", "a boolean"],
    ["false", "a boolean"],
    ["-1.5e3", "a number"],
    ["[".repeat(100_000) + "]".repeat(100_000), "an array"],
  ];
  for (const [text, kind] of values) {
    const outline = new JsonOutline(` ${text} \n`);
    const span = outline.skip();
    assertEquals([span.kind, outline.slice(span)], [kind, text]);
    outline.end();
  }
});

Deno.test("members() and items() lead to every value, read or left", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.array(fc.jsonValue())), (value) => {
    const outline = new JsonOutline(JSON.stringify(value, null, 1));
    const found: [string, string[]][] = [];
    const surplus = outline.members(Infinity, (key) => {
      if (key.length % 2 === 0) return; // It is skipped.
      const items: string[] = [];
      assertEquals(outline.items(Infinity, () => items.push(outline.slice(outline.skip()))), null);
      found.push([key, items]);
    });
    outline.end();
    assertEquals(surplus, null);
    const expected = Object.entries(JSON.parse(JSON.stringify(value)) as typeof value)
      .filter(([key]) => key.length % 2 !== 0);
    assertEquals(
      found.map(([key, items]) => [key, items.map((item) => JSON.parse(item))]),
      expected,
    );
  }));
});

Deno.test("items() skips and counts what exceeds its limit", () => {
  const outline = new JsonOutline('[1,"a,b",[2,3],{"c":4},5]');
  const read: string[] = [];
  const surplus = outline.items(2, () => read.push(outline.slice(outline.skip())));
  assert(surplus !== null);
  assertEquals([read, surplus.count], [["1", '"a,b"'], 3]);
  assertEquals(outline.slice(surplus), '[2,3],{"c":4},5');
  assertEquals(outline.slice(surplus, 5), "[2,3]");
  outline.end();
  for (const text of ["[]", "[1]", "[1,2]"]) {
    assertEquals(new JsonOutline(text).items(2, () => {}), null);
  }
  assertEquals(new JsonOutline('{"a":1,"b":2,"c":3}').members(1, () => {})?.count, 2);
});

Deno.test("members() skips what was only looked at, whatever white space is before it", () => {
  const outline = new JsonOutline('{"a": 1, "b":\n "c", "d" :{}}');
  const kinds: string[] = [];
  outline.members(3, () => kinds.push(outline.peek()));
  outline.end();
  assertEquals(kinds, ["a number", "a string", "an object"]);
});

Deno.test("members() reads keys with escapes, and leaves long ones out", () => {
  const keys: string[] = [];
  const text = `{"\\u0069d":1,"a\\"b":2,"\\x":3,"${"k".repeat(99)}":4,"é":5}`;
  new JsonOutline(text).members(10, (key) => keys.push(key));
  assertEquals(keys, ["id", 'a"b', "", "", "é"]);
});

Deno.test("wordOf() is the text, unless it is none or too long", () => {
  const rows: [string, string | null][] = [
    ['"abc"', "abc"],
    ['"\\u0041\\n"', "A\n"],
    ['"12345678"', "12345678"],
    ['"123456789"', null],
    ['"\\q"', null],
    ["12", null],
    ["null", null],
  ];
  for (const [text, word] of rows) {
    const outline = new JsonOutline(text);
    assertEquals(outline.wordOf(outline.skip(), 10), word, text);
  }
});

Deno.test("what has not the outline of JSON is refused, wherever it is cut", () => {
  const whole = '{"a":[1,{"b":"c"}],"d":{"e":null}}';
  const walk = (text: string) => {
    const outline = new JsonOutline(text);
    outline.members(10, () => {});
    outline.end();
  };
  walk(whole);
  assertThrows(() => new JsonOutline("[1,[2]").skip(), JsonOutlineError);
  assertThrows(() => new JsonOutline("[1,[2]").items(1, () => {}), JsonOutlineError);
  for (let end = 0; end < whole.length; end++) {
    assertThrows(
      () => walk(whole.slice(0, end)),
      JsonOutlineError,
      "it is not valid JSON",
      String(end),
    );
  }
  for (
    const text of ["[]x", "{1:2}", '{"a" 1}', '{"a":1 "b":2}', '{"a":,}', '{"a":1}}', "1", '"a"']
  ) {
    assertThrows(() => walk(text), JsonOutlineError, "it is not valid JSON", text);
  }
});
