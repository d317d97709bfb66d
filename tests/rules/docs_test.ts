/** What the documents say of the tests is true: a test of that name is there. */

import { assert, assertEquals } from "@std/assert";

const TESTS = new URL("../", import.meta.url);
const DOCS = new URL("../../docs/", import.meta.url);

/** The texts of all test files, names of generated tests included as far as they are written out. */
async function testTexts(folder: URL = TESTS): Promise<string> {
  let texts = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) texts += await testTexts(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) texts += await Deno.readTextFile(new URL(name, folder));
  }
  return texts;
}

/** The quoted names in a table's last column; a code span without blanks is a file or a flag. */
function namesIn(markdown: string): string[] {
  const cells = markdown.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").at(-2) ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name))
    .filter((name) => name.includes(" ") && !name.startsWith("deno task"));
}

for (const document of ["rules.md", "status-p0-003.md"]) {
  Deno.test(`docs/${document} names only tests that there are`, async () => {
    const names = namesIn(await Deno.readTextFile(new URL(document, DOCS)));
    assert(names.length > 5, `only ${names.length} names`);
    const texts = await testTexts();
    const missing = names.filter((name) => !texts.includes(`"${name.replace(/^outcome: /, "")}`));
    assertEquals(missing, []);
  });
}
