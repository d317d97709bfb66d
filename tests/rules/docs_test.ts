/** What the documents say of the tests is true: a test of that name is there. */

import { assert, assertEquals } from "@std/assert";
import { ALL_SETTINGS } from "../../src/config/settings.ts";
import { readSources } from "../sources.ts";

const DOCS = new URL("../../docs/", import.meta.url);

/** The text of all tests. */
async function testTexts(): Promise<string> {
  return (await readSources("tests/")).map(({ text }) => text).join("");
}

/** The quoted names in a table's last column; a code span without blanks is a file or a flag. */
function namesIn(markdown: string): string[] {
  const cells = markdown.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").at(-2) ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name))
    .filter((name) => name.includes(" ") && !name.startsWith("deno task"));
}

for (const document of ["rules.md", "status-p0-003.md", "redflag-server.md"]) {
  Deno.test(`docs/${document} names only tests that there are`, async () => {
    const names = namesIn(await Deno.readTextFile(new URL(document, DOCS)));
    assert(names.length > 5, `only ${names.length} names`);
    const texts = await testTexts();
    const missing = names.filter((name) => !texts.includes(`"${name.replace(/^outcome: /, "")}`));
    assertEquals(missing, []);
  });
}

Deno.test("docs/redflag-server.md has every trap, and says how or that it is not shown", async () => {
  const text = await Deno.readTextFile(new URL("redflag-server.md", DOCS));
  const rows = [...text.matchAll(/^\| (\d+) +\|.*\|(.*?)\|$/gm)];
  assertEquals(
    rows.map(([, number]) => Number(number)),
    Array.from({ length: 37 }, (_, n) => n + 1),
  );
  for (const [row, , shownBy = ""] of rows) {
    assert(shownBy.trim() === "not shown" || namesIn(row).length > 0, row);
  }
});

Deno.test("docs/redflag-server.md lists every test of a trap, and each trap has one", async () => {
  const named = [
    ...(await testTexts()).matchAll(/Deno\.test\(\s*["'](trap (\d+): .*?)["'], (?:async )?\(/g),
  ]
    .map(([, name = "", number]) => ({ name, number: Number(number) }));
  const text = await Deno.readTextFile(new URL("redflag-server.md", DOCS));
  const listed = [...text.replaceAll(/\n +/g, " ").matchAll(/^- (\d+): (`trap .*)$/gm)];
  assertEquals(
    listed.map(([, number]) => Number(number)),
    Array.from({ length: 37 }, (_, n) => n + 1),
  );
  for (const [, number, names = ""] of listed) {
    const found = named.filter((test) => test.number === Number(number)).map(({ name }) => name);
    assertEquals([...names.matchAll(/`(.*?)`/g)].map(([, name]) => name), found.toSorted());
  }
});

Deno.test("docs/configuration.md lists every setting with its default, and no other", async () => {
  const lines = (await Deno.readTextFile(new URL("configuration.md", DOCS))).split("\n");
  const listed = lines.map((line) => /^\| `([a-z_]+\.[a-z_]+)` +\| (.*?) *\|/.exec(line)?.slice(1))
    .filter((row) => row !== undefined);
  const defaults = ALL_SETTINGS.map(({ path, kind, fallback }) => [
    path,
    fallback === null ? "none" : kind.show(fallback) || "empty",
  ]);
  assertEquals(listed, defaults);
});

Deno.test("docs/decisions/README.md lists every decision with its title", async () => {
  const directory = new URL("decisions/", DOCS);
  const index = await Deno.readTextFile(new URL("README.md", directory));
  for await (const { name } of Deno.readDir(directory)) {
    if (name === "README.md") continue;
    const text = await Deno.readTextFile(new URL(name, directory));
    const [, number = "", title = ""] = /^# (\d{4}): (.+)\n/.exec(text) ?? [];
    assert(name.startsWith(`${number}-`) && title !== "", `${name} has no numbered title`);
    const row = index.split("\n").find((line) => line.includes(`(${name})`)) ?? "";
    assert(row.includes(`[${number}]`) && row.includes(title), `no row for ${name}`);
  }
});

/** The targets of a page's links to other pages of `docs/`, without their anchors. */
function linksIn(markdown: string): string[] {
  return [...markdown.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target)
    .filter((target) => !/^(https?:|\.\.\/[^d])/.test(target));
}

Deno.test("every link between the pages of docs/ leads to a page", async () => {
  for (const directory of [DOCS, new URL("decisions/", DOCS)]) {
    for await (const { name } of Deno.readDir(directory)) {
      if (!name.endsWith(".md")) continue;
      const page = new URL(name, directory);
      for (const target of linksIn(await Deno.readTextFile(page))) {
        const linked = new URL(target, page);
        if (!linked.pathname.startsWith(DOCS.pathname)) continue;
        const isThere = await Deno.stat(linked).then(() => true, () => false);
        assert(isThere, `${name} links to ${target}`);
      }
    }
  }
});
