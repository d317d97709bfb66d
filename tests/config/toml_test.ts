import { assertEquals, assertThrows } from "@std/assert";
import { readToml, TomlError } from "../../src/config/toml.ts";

function read(text: string): [path: string, value: unknown, line: number][] {
  return [...readToml(text)].map(([path, { value, line }]) => [path, value, line]);
}

Deno.test("readToml() finds a key in each form of TOML", () => {
  const rows: [text: string, found: [path: string, value: unknown, line: number][]][] = [
    ["", []],
    ["# a comment\n", []],
    ['a = "x"', [["a", "x", 1]]],
    ["\na.b = 1\n", [["a.b", 1, 2]]],
    ["[a]\nb = true\n[c.d]\ne = 2", [["a.b", true, 2], ["c.d.e", 2, 4]]],
    ["a = { b = 1, c = { d = 2 } }", [["a.b", 1, 1], ["a.c.d", 2, 1]]],
    ['"a"."b c" = 1', [["a.b c", 1, 1]]],
    ['["a"]\n"b" = 1', [["a.b", 1, 2]]],
    ["a = [1, 2]", [["a", [1, 2], 1]]],
  ];
  for (const [text, found] of rows) assertEquals(read(text), found, text);
});

Deno.test("readToml() names the place where a text is not TOML", () => {
  assertThrows(() => readToml("a = 1\nb = ?\n"), TomlError, "line 2, column 5: ");
  assertThrows(() => readToml("a"), TomlError, "line 1, column ");
  assertThrows(() => readToml("a = 1\na = 2\n"), TomlError, "line 2, column 1: ");
});
