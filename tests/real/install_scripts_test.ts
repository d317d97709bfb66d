import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TASK } from "../../src/service/task.ts";
import { sha256Of } from "../../tools/build/digest.ts";
import { packWindows } from "../../tools/windows_archive.ts";
import { inFolder } from "./folder.ts";
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

Deno.test(
  { name: "the scripts for Windows are PowerShell", ignore: await lacks("python3") },
  async () => {
    const found = await complaints(SCRIPTS);
    if (found === null) return console.log("skipped: no tree-sitter-powershell here");
    assertEquals(found, "");
    const broken = await Deno.makeTempFile({ suffix: ".ps1" });
    await Deno.writeTextFile(broken, "function A { if ($x -eq ) { } \n");
    assert((await complaints([broken])) !== "");
    await Deno.remove(broken);
  },
);

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

const UNPACK = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    archive.extractall(sys.argv[2])
`;

Deno.test("the archive for Windows has the executable under the sum that install.ps1 reads", async () => {
  if (await lacks("python3")) return;
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/built.exe`, "MZ and so on");
    await packWindows(`${folder}/built.exe`, `${folder}/a.zip`);
    await packWindows(`${folder}/built.exe`, `${folder}/b.zip`);
    assertEquals(await sha256Of(`${folder}/a.zip`), await sha256Of(`${folder}/b.zip`));
    const args = ["-c", UNPACK, `${folder}/a.zip`, `${folder}/out`];
    assert((await new Deno.Command("python3", { args }).output()).success);
    const names = Array.from(Deno.readDirSync(`${folder}/out`), ({ name }) => name).sort();
    assertEquals(names, ["LICENSE", "SHA256SUMS", "install.ps1", "pennon.exe", "uninstall.ps1"]);
    const [line = "", ...more] = (await Deno.readTextFile(`${folder}/out/SHA256SUMS`)).split("\n");
    assertEquals(more, [""]);
    // The expression of install.ps1.
    assert(/^[0-9a-f]{64} [ *]pennon\.exe$/.test(line), line);
    assertEquals(line.slice(0, 64), await sha256Of(`${folder}/out/pennon.exe`));
    const script = await Deno.readTextFile(`${folder}/out/install.ps1`);
    assertStringIncludes(script, "'^[0-9a-f]{64} [ *]pennon\\.exe$'");
  });
});

Deno.test("packing without an executable fails", async () => {
  await assertRejects(() => packWindows("nowhere/pennon.exe", "nowhere/a.zip"));
});
