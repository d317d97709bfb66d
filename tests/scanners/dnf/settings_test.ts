import { assertEquals } from "@std/assert";
import {
  cheapestFirst,
  findExclude,
  hasExcludes,
  hasIncludes,
  parseDnfSettings,
  priorityOf,
} from "../../../src/scanners/dnf/settings.ts";
import { checkJunk } from "./parser_laws.ts";

function told(...texts: string[]): string[] {
  return [...parseDnfSettings(texts)].flatMap(([section, settings]) =>
    [...settings].map(([key, value]) => `${section}.${key}=${value}`)
  );
}

Deno.test("parseDnfSettings() reads sections, settings and lines that go on", () => {
  const rows: [string, string[]][] = [
    ["", []],
    ["junk", []],
    ["a=1\n", []],
    ["[main]\n=1\nno value\n", []],
    ["[main]\na=1\n[b]\na = 2 = 3 \n", ["main.a=1", "b.a=2 = 3"]],
    ["[main]\r\na=1\r\nb=\r\n", ["main.a=1", "main.b="]],
    ["[main]\na=[b]\nc=1\n", ["main.a=[b]", "main.c=1"]],
    ["[main]\na=1\n  2\n\t3\nb=4\n", ["main.a=1\n2\n3", "main.b=4"]],
    ["[main]\na=\n  2=3\n", ["main.a=\n2=3"]],
    ["[main]\n# a=1\n; b=1\nc=1\n", ["main.c=1"]],
    // dnf refuses these; what is there is read all the same.
    ["[main]\n a=1\n", ["main.a=1"]],
    ["[main]\na=1\n\n  b=2\n", ["main.a=1", "main.b=2"]],
    // Of the same one, the last counts.
    ["[main]\na=1\n[b]\na=1\n[main]\na=2\n", ["main.a=2", "b.a=1"]],
  ];
  for (const [text, expected] of rows) assertEquals(told(text), expected, text);
  assertEquals(told("[a]\nb=1\n", "c=1\n[a]\nd=1\n"), ["a.b=1", "a.d=1"]);
});

Deno.test("parseDnfSettings() is done soon with a file of nothing but lines, or of junk", () => {
  for (const line of ["\n", " \n", "a=1\n", " a\n"]) told(`[main]\na=1\n${line.repeat(500_000)}`);
  checkJunk("[main]\nexcludepkgs=\n  a b\n[b]\nenabled=0\n", (text) => told(text));
});

Deno.test("priorityOf() knows only repositories whose file was read", () => {
  const settings = parseDnfSettings([
    "[main]\nx=1\n[a]\nname=a\n[b]\npriority = 10\n[c]\npriority=x\n",
    "[e]\npriority=-5\n[f]\npriority=x10\n[g]\npriority=10x\n",
  ]);
  assertEquals([..."abcdefg"].map((id) => priorityOf(id, settings)), [
    99,
    10,
    undefined,
    undefined,
    -5,
    undefined,
    undefined,
  ]);
  // Dnf's own settings say what a repository does not.
  const main = parseDnfSettings(["[main]\npriority=7\n[a]\n[b]\npriority=10\n"]);
  assertEquals([..."abc"].map((id) => priorityOf(id, main)), [7, 10, undefined]);
});

Deno.test("hasExcludes() and hasIncludes() look at dnf itself and at its repositories", () => {
  const rows: [string, boolean, boolean][] = [
    ["", false, false],
    ["[main]\nexclude=\n", false, false],
    ["[main]\nexclude=a\n", true, false],
    ["[r]\nexcludepkgs=\n  a\n", true, false],
    ["[r]\nincludepkgs=a\n", false, true],
    ["[r]\nexcludes=a\n", false, false],
  ];
  for (const [text, excludes, includes] of rows) {
    const settings = parseDnfSettings([text]);
    assertEquals([hasExcludes(settings), hasIncludes(settings)], [excludes, includes], text);
  }
});

Deno.test("findExclude() names the pattern, of dnf itself or of that repository", () => {
  const settings = parseDnfSettings(["[main]\nexclude=x, b*\n[r]\nexcludepkgs=\n  a.noarch\n"]);
  const find = (names: string[], repository = "r") => findExclude(names, repository, settings);
  assertEquals(find(["bash"]), "exclude=b*");
  assertEquals(find(["a", "a.noarch"]), "excludepkgs=a.noarch");
  assertEquals(find(["a", "a.noarch"], "other"), null);
  assertEquals(find(["c"]), null);
  const many = parseDnfSettings([`[main]\nexclude=${"x*y ".repeat(200_000)}\n`]);
  assertEquals(findExclude(["x".repeat(250)], "r", many), null);
});

Deno.test("cheapestFirst() goes by what a repository costs, and else leaves the order", () => {
  const settings = parseDnfSettings([
    "[dear]\ncost=2000\n[cheap]\ncost=10\n[odd]\ncost=x\n[a]\n[x1]\ncost=x1\n[1x]\ncost=1x\n",
  ]);
  for (const odd of ["x1", "1x"]) {
    const rows = ["dear", odd, "cheap"].map((repository) => ({ repository }));
    assertEquals(
      cheapestFirst(rows, settings).map(({ repository }) => repository),
      ["cheap", odd, "dear"],
    );
  }
  const rows = ["dear", "b", "odd", "a", "cheap"].map((repository) => ({ repository }));
  assertEquals(
    cheapestFirst(rows, settings).map(({ repository }) => repository),
    ["cheap", "b", "odd", "a", "dear"],
  );
});

Deno.test("findExclude() looks at 1,000 patterns, of up to 300 characters", () => {
  const find = (excludes: string) => {
    const settings = parseDnfSettings([`[main]\nexclude=${excludes}\n`]);
    return findExclude(["bash"], "r", settings) !== null;
  };
  assertEquals([999, 1_000].map((count) => find(`${"x ".repeat(count)}bash`)), [true, false]);
  assertEquals([300, 301].map((length) => find("*".repeat(length))), [true, false]);
});
