import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { findJson } from "../../../src/scanners/dnf/dnf5_json.ts";
import { readFixture } from "../fixture.ts";

Deno.test("findJson() finds the JSON behind progress, and nothing where there is none", () => {
  const rows: [string, unknown][] = [
    ["", undefined],
    ["junk", undefined],
    ["[", undefined],
    ["[]", []],
    ["{}\n", {}],
    ["\ufeff[1]\r\n", [1]],
    ['["a\ufeffb"]\n', ["a\ufeffb"]],
    [`${readFixture("dnf5", "progress.txt")}[\n]\n`, []],
    ["[SKIPPED] x\n{ no\n[1]\nbye\n", [1]],
    // What is left of a longer text is not it.
    ['[\n  {\n    "a":1\n  },\n  {', undefined],
  ];
  for (const [text, value] of rows) assertEquals(findJson(text), value, text);
});

Deno.test("findJson() tries fifty beginnings", () => {
  assertEquals(findJson(`${"[x\n".repeat(49)}[1]\n`), [1]);
  assertEquals(findJson(`${"[x\n".repeat(50)}[1]\n`), undefined);
});

Deno.test("findJson() gives up on what never ends, soon", () => {
  assertEquals(findJson("[\n".repeat(200_000) + "]"), undefined);
  assertEquals(findJson("[".repeat(10_000_000)), undefined);
});

Deno.test("findJson() finds any list behind any lines of text", () => {
  const line = fc.string({ unit: "grapheme" }).filter((line) => !/^[[{]|[\r\n]/.test(line));
  const list = fc.array(fc.jsonValue());
  fc.assert(fc.property(fc.array(line), list, (lines, value) => {
    const text = `${lines.map((line) => `${line}\n`).join("")}${JSON.stringify(value, null, 2)}\n`;
    assertEquals(findJson(text), JSON.parse(JSON.stringify(value)));
  }));
});
