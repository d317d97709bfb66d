import { assert, assertEquals } from "@std/assert";
import { pennonCommand } from "../../src/advice.ts";
import { readSources, ROOT } from "../sources.ts";
import { ADVICE } from "./advice_table.ts";
import { adviceIn } from "./advice_texts.ts";

const SOURCES = new Map(
  (await readSources("src/")).map(({ path, text }) => [path, text] as const),
);

Deno.test("every text of advice in the source has one row that says who takes it", () => {
  const without: string[] = [];
  const used = new Set<unknown>();
  for (const [path, source] of SOURCES) {
    for (const text of adviceIn(source, path)) {
      const rows = (ADVICE[path] ?? []).filter(([part]) => text.includes(part));
      // Of two parts that a text has, the longer one is meant.
      const [row] = rows.toSorted(([one], [other]) => other.length - one.length);
      if (row === undefined) without.push(`${path}: ${text}`);
      used.add(row);
    }
  }
  assertEquals(without, []);
  const unused = Object.entries(ADVICE).flatMap(([path, rows]) =>
    rows.filter((row) => !used.has(row)).map(([part]) => `${path}: ${part}`)
  );
  assertEquals(unused, []);
});

Deno.test("every row names a situation or a test that there is, and every situation has a row", async () => {
  const text = await Deno.readTextFile(new URL("tests/e2e/advice_test.ts", ROOT));
  const situations = new Set([...text.matchAll(/^situation\("([^"]+)"/gm)].map(([, name]) => name));
  const named = new Set<string>();
  for (const [, taken] of Object.values(ADVICE).flat()) {
    if (typeof taken === "string") continue;
    if ("situation" in taken) {
      assert(situations.has(taken.situation), `no situation "${taken.situation}"`);
      named.add(taken.situation);
    } else if ("test" in taken) {
      const [file, name] = taken.test;
      const source = await Deno.readTextFile(new URL(file, ROOT));
      assert(source.includes(name), `${file} has no "${name}"`);
    }
  }
  assertEquals([...situations].filter((name) => !named.has(name ?? "")), []);
});

/** Sources that describe commands rather than advise them. */
const DESCRIBES = /^src\/(?:advice|config\/settings)\.ts$/;

Deno.test("no source but advice.ts writes a command line of Pennon by hand", () => {
  const byHand =
    /(?<![\w/.-])pennon (?:run|register|unregister|status|scan|events|breaker|config|doctor|diagnostics|metrics|service|help)\b/;
  // A comment, the content of a trial file, and the name of who wrote a file: no advice.
  const isFree = (line: string) =>
    /^\s*(?:\/?\*|\/\/)/.test(line) || /^const TRIAL\b/.test(line) ||
    /# Written by "pennon service install"/.test(line);
  for (const [path, source] of SOURCES) {
    if (DESCRIBES.test(path)) continue;
    const found = source.split("\n").filter((line) => byHand.test(line) && !isFree(line));
    assertEquals(found, [], path);
  }
  assert(byHand.test(pennonCommand("run")));
});

Deno.test('adviceIn() finds advice behind "Next: ", in named constants, in findings and in certain functions', () => {
  const rows: [source: string, found: string[]][] = [
    ["throw new Error(`Cannot: ${fact}. Next: ${next}`);", ["Cannot: {}. Next: {}"]],
    ['const ADVICE = "do this, " + `then ${that}`;', ["do this, then {}"]],
    ['const WORDS = { token: () => ({ what: "a b", remedy: "do that" }) };', ["do that"]],
    ['function adviceOn(a) { switch (a) { case "x y": return "try it again"; } }', [
      "try it again",
    ]],
    ['fail(check, "it is so", "do that then");', ["do that then"]],
    ['told(check, "it is so", "do that then");', []],
    ['const words = "nothing to do";', []],
  ];
  for (const [source, found] of rows) assertEquals(adviceIn(source, "src/a.ts"), found);
});
