import fc from "fast-check";
import * as v from "valibot";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ANSWER_LIMITS,
  decodeJson,
  type JsonLimits,
  JsonOutline,
  JsonOutlineError,
  LOCAL_LIMITS,
  parseJson,
} from "../src/json.ts";

const small: JsonLimits = { maxLength: 100, maxDepth: 3, maxValues: 7 };

function whyNot(text: string, limits = small): string | null {
  const parsed = parseJson(text, limits);
  return parsed.ok ? null : parsed.why;
}

Deno.test("parseJson() refuses what exceeds a limit, and accepts what reaches it", () => {
  const deep = "it is nested deeper than 3 levels";
  const many = "it contains more than 7 values";
  const rows: [text: string, why: string | null][] = [
    ["[[[]]]", null],
    ["[[[[]]]]", deep],
    ['{"a":{"b":[]}}', null],
    ['{"a":{"b":[{}]}}', deep],
    ["[[[],[],[],[]]]", null],
    ["[1,2,3,4,5,6]", null],
    ["[1,2,3,4,5,6,7]", many],
    ['{"a":1,"b":"2","c":null}', null],
    ['{"a":1,"b":"2","c":[1]}', many],
    ["[true,false,null,{},[],-1.5e2]", null],
    ["[true,false,null,{},[],-1.5e2,0]", many],
    [`"${"x".repeat(98)}"`, null],
    [`"${"x".repeat(99)}"`, "it has more than 100 characters"],
    // Brackets and commas in a text are none.
    ['"[[[[[[,,,,,,,,{{{{\\"[[[[\\\\"', null],
    ['["\\\\",[[[]]]]', deep],
    // Each step down ends before the next.
    ["[[],[],[[]],[[]]]", null],
  ];
  for (const [text, why] of rows) assertEquals(whyNot(text), why, text);
});

Deno.test("parseJson() refuses numbers that JavaScript cannot represent", () => {
  const why = "it contains a number that is out of range";
  for (const number of ["1e999", "-1e999", "1E+309", "1.8e308", "9".repeat(310), "1".repeat(401)]) {
    assertEquals(whyNot(`[${number}]`, ANSWER_LIMITS), why, number);
    assertEquals(whyNot(`{"a":${number}}`, ANSWER_LIMITS), why, number);
  }
  for (const number of [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 0, -0, 1e-300]) {
    assertEquals(parseJson(`[${number}]`), { ok: true, value: [number || 0] });
  }
  assertEquals(parseJson("1e-999"), { ok: true, value: 0 });
  assertEquals(whyNot(`[0.${"1".repeat(300)}]`, ANSWER_LIMITS), null);
});

Deno.test("parseJson() refuses invalid JSON, and quotes none of it", () => {
  const texts = ["", " ", "{", "[", "]", "[1,]", '{"a"}', "{1:2}", "nul", "NaN", "Infinity", "01"];
  const page = `<!DOCTYPE html>${"<p>Sign in, [please]</p>".repeat(10_000)}`;
  assertEquals(whyNot(page, ANSWER_LIMITS), "it is not valid JSON");
  for (const text of [...texts, '"', '"\\', '"\\x"', "'a'", "[1] 2", "secret", '"\n"', "\ufeff1"]) {
    assertEquals(whyNot(text), "it is not valid JSON", text);
  }
});

Deno.test("parseJson() agrees with JSON.parse on every value within limits", () => {
  const json = fc.oneof(
    fc.json(),
    fc.json().map((text) => ` ${text.replaceAll(",", "\n, ")}\t`),
    fc.array(fc.constantFrom(...'[]{}",:\\ 0123456789.eE+-truefalsn\n'), { maxLength: 30 })
      .map((characters) => characters.join("")),
  );
  fc.assert(
    fc.property(json, (text) => {
      const parsed = parseJson(text);
      const expected = attempt(text);
      if (expected === undefined) assert(!parsed.ok, text);
      else if (parsed.ok) assertEquals(parsed.value, expected.value);
      else assertEquals(parsed.why, "it contains a number that is out of range", text);
    }),
    { numRuns: 2_000 },
  );
});

function attempt(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

Deno.test("parseJson() counts what JSON.parse builds, to the last value", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
    const text = JSON.stringify(value);
    const { depth, values } = measure(JSON.parse(text));
    const limits = { maxLength: text.length, maxDepth: depth, maxValues: values };
    assertEquals(parseJson(text, limits).ok, true);
    assertEquals(
      whyNot(text, { ...limits, maxLength: text.length - 1 })?.includes("characters"),
      true,
    );
    assertEquals(whyNot(text, { ...limits, maxValues: values - 1 })?.includes("values"), true);
    if (depth > 0) {
      assertEquals(whyNot(text, { ...limits, maxDepth: depth - 1 })?.includes("deeper"), true);
    }
  }));
});

function measure(value: unknown): { depth: number; values: number } {
  if (typeof value !== "object" || value === null) return { depth: 0, values: 1 };
  const inner = Object.values(value).map(measure);
  const keys = Array.isArray(value) ? 0 : inner.length;
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    values: 1 + keys + inner.reduce((sum, { values }) => sum + values, 0),
  };
}

Deno.test("parseJson() refuses 4 MiB of every kind before anything is built", () => {
  const length = 4_194_304;
  const texts = [
    "[".repeat(length),
    '{"a":'.repeat(length / 5),
    `[${"[],".repeat(length / 3)}1]`,
    `["${"\\\\".repeat(length / 2)}"]`,
    "1".repeat(length),
    `[${'"3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",'.repeat(100_000)}1]`,
  ];
  const wide = { ...LOCAL_LIMITS, maxValues: ANSWER_LIMITS.maxValues };
  for (const text of texts) {
    assertEquals(whyNot(text, ANSWER_LIMITS), "it has more than 1048576 characters");
    assert(/deeper|values|out of range|^null$/.test(String(whyNot(text, wide))), text.slice(0, 20));
  }
});

Deno.test("parseJson() reads UTF-8, and refuses other bytes", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assertEquals(parseJson(bytes('{"a":"\u00e4\u{1f600}"}')), {
    ok: true,
    value: { a: "\u00e4\u{1f600}" },
  });
  assertEquals(parseJson(bytes("\ufeff[1]")), { ok: true, value: [1] });
  assertEquals(parseJson(new Uint8Array([0x22, 0xff, 0x22])), {
    ok: false,
    why: "it is not valid JSON",
  });
  const limits = { ...small, maxLength: 4 };
  assertEquals(parseJson(bytes('"12"'), limits).ok, true);
  for (const text of ['"123"', '"1\u00e4"']) {
    assertEquals(parseJson(bytes(text), limits), {
      ok: false,
      why: "it has more than 4 bytes",
    });
  }
});

Deno.test("parseJson() changes no prototype", () => {
  const parsed = parseJson('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}');
  assert(parsed.ok);
  assertEquals(({} as { polluted?: boolean }).polluted, undefined);
  assertEquals((parsed.value as { polluted?: boolean }).polluted, undefined);
});

Deno.test("decodeJson() names invalid fields, and quotes no value", () => {
  const schema = v.object({
    a: v.pipe(v.string(), v.check((text) => text.length < 3, "is too long")),
    b: v.object({ c: v.number() }),
  });
  assertEquals(decodeJson(schema, '{"a":"x","b":{"c":1}}').ok, true);
  const rows: [string, string][] = [
    ['{"a":"secret","b":{"c":"secret"}}', "a is too long, b.c cannot be used"],
    ['"secret"', "all of it cannot be used"],
    ["{", "it is not valid JSON"],
  ];
  for (const [text, why] of rows) assertEquals(decodeJson(schema, text), { ok: false, why });
});

Deno.test("parseJson() reads two million values of this host's own programs, and no more", () => {
  const values = (count: number) => `[${"1,".repeat(count - 2)}1]`;
  assertEquals(whyNot(values(2_000_000), LOCAL_LIMITS), null);
  assertEquals(whyNot(values(2_000_001), LOCAL_LIMITS), "it contains more than 2000000 values");
});

Deno.test("text() returns null for a part that is not UTF-8", () => {
  const bytes = new TextEncoder().encode('\ufeff["\u00e4","?"]');
  bytes[bytes.length - 3] = 0xff;
  const texts: (string | null)[] = [];
  const outline = new JsonOutline(bytes);
  outline.items(10, () => texts.push(outline.text(outline.skip())));
  assertEquals(texts, ['"\u00e4"', null]);
});

Deno.test("skip() skips each kind of value, whatever it contains", () => {
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

Deno.test("members() and items() visit every value, consumed or not", () => {
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

Deno.test("members() skips a value that was only peeked at, whatever white space precedes it", () => {
  const outline = new JsonOutline('{"a": 1, "b":\n "c", "d" :{}}');
  const kinds: string[] = [];
  outline.members(3, () => kinds.push(outline.peek()));
  outline.end();
  assertEquals(kinds, ["a number", "a string", "an object"]);
});

Deno.test("members() reads keys with escapes, and omits long ones", () => {
  const keys: string[] = [];
  const text = `{"\\u0069d":1,"a\\"b":2,"\\x":3,"${"k".repeat(99)}":4,"é":5}`;
  new JsonOutline(text).members(10, (key) => keys.push(key));
  assertEquals(keys, ["id", 'a"b', "", "", "é"]);
});

Deno.test("wordOf() returns the string, unless it is none or too long", () => {
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

Deno.test("JsonOutline refuses a text without the structure of JSON, wherever it is cut", () => {
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
