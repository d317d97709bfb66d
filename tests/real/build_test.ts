import { assert, assertEquals } from "@std/assert";
import { aliases } from "../../tools/build/bundle.ts";
import { npmIntegrityOf, sha256Of } from "../../tools/build/digest.ts";
import { licensesOf } from "../../tools/build/licenses.ts";
import { PACKAGED_PROGRAM } from "../../src/service/systemd.ts";
import { permissionFlags } from "../../tools/build/permissions.ts";
import { TARGETS } from "../../tools/build/targets.ts";

/** What the flags of this name list. */
function all(flags: readonly string[], name: string): string[] {
  return flags.filter((flag) => flag.startsWith(`${name}=`))
    .flatMap((flag) => flag.slice(name.length + 1).split(","));
}

/** The texts of all files below `src/`. */
async function sources(folder: URL = new URL("../../src/", import.meta.url)): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) texts.push(...await sources(new URL(`${entry.name}/`, folder)));
    if (entry.isFile) texts.push(await Deno.readTextFile(new URL(entry.name, folder)));
  }
  return texts;
}

Deno.test("digests are those of the tools that people compare with", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "abc");
  assertEquals(
    await sha256Of(path),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  assert(
    (await npmIntegrityOf(path)).startsWith("sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV"),
  );
  await Deno.remove(path);
});

Deno.test("on Linux and macOS nothing is allowed whole but the network, reading and writing", () => {
  for (const target of TARGETS.filter(({ os }) => os !== "windows")) {
    const flags = permissionFlags(target);
    assertEquals(
      flags.filter((flag) => !flag.includes("=")),
      // Writing is what the worker's own permissions narrow: supervisor_test.ts.
      ["--no-prompt", "--allow-net", "--allow-read", "--allow-write", "--unstable-worker-options"]
        .concat("--unstable-net"),
    );
    const programs = all(flags, "--allow-run");
    assert(programs.length > 0 && programs.every((program) => program.startsWith("/")));
    assert(!programs.some((program) => /\/(sh|bash|env|sudo|timeout|xargs)$/.test(program)));
  }
});

Deno.test("every variable and program that the sources name is allowed", async () => {
  const flags = TARGETS.flatMap(permissionFlags);
  const variables = new Set(all(flags, "--allow-env").map((name) => name.toUpperCase()));
  const programs = new Set(all(flags, "--allow-run"));
  const refused: string[] = [];
  let found = 0;
  for (const text of await sources()) {
    for (const [, name] of text.matchAll(/(?:read(?:Real)?Environment|env\.get)\("([^"]+)"\)/g)) {
      found += 1;
      if (!name!.startsWith("PENNON_") && !variables.has(name!.toUpperCase())) refused.push(name!);
    }
    for (const [, program] of text.matchAll(/"(\/(?:usr\/)?s?bin\/[^"/]+)"/g)) {
      found += 1;
      // A unit names the agent, which starts no second one.
      if (program !== PACKAGED_PROGRAM && !programs.has(program!)) refused.push(program!);
    }
  }
  assert(found > 2);
  assertEquals(refused, []);
});

Deno.test("aliases() lead from what is imported to where npm puts it", () => {
  const imports = {
    "@scope/a": "npm:@scope/a@1.0.0",
    "@std/b": "npm:deno-std@1.4.0/b/mod.js",
    "c": "npm:c@2.0.0",
    "d": "npm:@scope/d@1.0.0/d.js",
  };
  assertEquals(aliases(imports), { "@std/b": "deno-std/b/mod.js", "d": "@scope/d/d.js" });
});

Deno.test("licensesOf() finds each package's licence once", async () => {
  const folder = await Deno.makeTempDir();
  const files = ["node_modules/.deno/a@1/node_modules/a/a.js", "node_modules/@s/b/b.js"];
  for (const path of ["node_modules/.deno/a@1/node_modules/a", "node_modules/@s/b"]) {
    await Deno.mkdir(`${folder}/${path}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}/LICENSE.md`, `of ${path.at(-1)}`);
  }
  const all = [...files, "node_modules/@s/b/c.js", "src/d.ts"];
  assertEquals(await licensesOf(folder, all), "@s/b\n\nof b\n\na\n\nof a");
  await Deno.remove(folder, { recursive: true });
});
