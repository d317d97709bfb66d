import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TASK } from "../../src/service/task.ts";
import { lacks } from "./lacks.ts";

const SCRIPTS = ["install.ps1", "uninstall.ps1"].map((name) => `packaging/windows/${name}`);

/** Prints the lines of each file that the grammar does not understand; 3 where there is no grammar. */
const PARSE = `
import sys
try:
    import tree_sitter, tree_sitter_powershell
except ImportError:
    sys.exit(3)
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
def walk(node, path):
    if node.is_error or node.is_missing: print(path, node.start_point[0] + 1, node.type)
    for child in node.children: walk(child, path)
for path in sys.argv[1:]:
    with open(path, "rb") as file: walk(parser.parse(file.read()).root_node, path)
`;

/** What the grammar complains of; `null`: it is not here (.ci/run installs it). */
async function complaints(paths: readonly string[]): Promise<string | null> {
  const { code, stdout } = await new Deno.Command("python3", {
    args: ["-c", PARSE, ...paths],
    env: { PYTHONPATH: ".cache/python" },
  }).output();
  if (code === 3) return null;
  assertEquals(code, 0);
  return new TextDecoder().decode(stdout);
}

Deno.test("the scripts for Windows are PowerShell", async () => {
  if (await lacks("python3")) return;
  const found = await complaints(SCRIPTS);
  if (found === null) return console.log("skipped: no tree-sitter-powershell here");
  assertEquals(found, "");
  const broken = await Deno.makeTempFile({ suffix: ".ps1" });
  await Deno.writeTextFile(broken, "function A { if ($x -eq ) { } \n");
  assert((await complaints([broken])) !== "");
  await Deno.remove(broken);
});

Deno.test("the scripts name accounts by SID and Windows' programs by path, and the task as the agent does", async () => {
  for (const path of SCRIPTS) {
    const text = await Deno.readTextFile(path);
    // A name such as Administrators is another one in another language.
    assert(!/['"](?:BUILTIN|NT AUTHORITY|SYSTEM|Administrators|Users)\b/.test(text), path);
    for (const [, before = ""] of text.matchAll(/(.*)'(?:schtasks|icacls)\.exe'/g)) {
      assertStringIncludes(before, "Join-Path $System32");
    }
    assertEquals(/^\$ErrorActionPreference = 'Stop'$/m.test(text), true, path);
    // The files are read as ASCII by Windows PowerShell.
    assert([...text].every((character) => character <= "~"), path);
  }
  assertStringIncludes(await Deno.readTextFile(SCRIPTS[0]!), `$Task = '${TASK}'\n`);
});
