/** Which versions of Deno the project names: the shipped one and the newest, and no other. */

import { assert, assertEquals } from "@std/assert";
import { SHIPPED_DENO } from "../../tools/build/shipped_deno.ts";

const ROOT = new URL("../../", import.meta.url);

/** Where people and scripts read versions; fixtures name what they were captured with. */
const PLACES = [".ci/", "docs/", "src/", "tests/", "tools/", "types/", "README.md", "CHANGELOG.md"];
const NOT_READ = new Set(["fixtures"]);
const TEXT = /\.(ts|md|sh)$|^run$/;

/** Behind "Deno ", "deno@" or "@deno/some-system@". */
const NAMED = /\bdeno(?:[ @]|\/[\w-]+@)v?(\d+\.\d+\.\d+)/gi;

/** The version of Deno in each place of a text. */
function versionsIn(text: string): string[] {
  return [...text.matchAll(NAMED)].map(([, version = ""]) => version);
}

async function texts(path: string): Promise<Map<string, string>> {
  if (!path.endsWith("/")) return new Map([[path, await Deno.readTextFile(new URL(path, ROOT))]]);
  const found = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, ROOT))) {
    if (NOT_READ.has(name) || !(isDirectory || TEXT.test(name))) continue;
    const below = await texts(`${path}${name}${isDirectory ? "/" : ""}`);
    for (const [file, text] of below) found.set(file, text);
  }
  return found;
}

/** What `.ci/run` assigns to a variable. */
async function ciVersion(name: string): Promise<string> {
  const script = await Deno.readTextFile(new URL(".ci/run", ROOT));
  return new RegExp(`^${name}=(\\S+)$`, "m").exec(script)?.[1] ?? "";
}

Deno.test("the tests run on the version of Deno that is shipped", async () => {
  assertEquals(await ciVersion("shipped"), SHIPPED_DENO);
  const script = await Deno.readTextFile(new URL(".ci/run", ROOT));
  const commands = [
    "check",
    "task test",
    "test --no-check --no-prompt -A tests/real",
    "task fuzz",
    "task sim",
  ];
  for (const command of commands) {
    assert(
      new RegExp(`^npx -y "deno@\\$shipped" ${command}\\b(?!:)`, "m").test(script),
      `".ci/run" does not run "${command}" on it`,
    );
  }
});

Deno.test("every place names the Deno that is shipped or the newest, and no other", async () => {
  const known = new Set([SHIPPED_DENO, await ciVersion("newest")]);
  assertEquals(known.size, 2);
  const strangers: string[] = [];
  const naming = new Set<string>();
  for (const place of PLACES) {
    for (const [file, text] of await texts(place)) {
      for (const version of versionsIn(text)) {
        if (!known.has(version)) strangers.push(`${file}: Deno ${version}`);
        if (version === SHIPPED_DENO) naming.add(file);
      }
    }
  }
  assertEquals(strangers, []);
  for (const file of ["README.md", "CHANGELOG.md", "docs/decisions/0003-executable.md"]) {
    assert(naming.has(file), `"${file}" does not name Deno ${SHIPPED_DENO}`);
  }
});

Deno.test("versionsIn() finds a version in each way of naming it", () => {
  const [a, b, c, d] = ["1.2.3", "1.2.4", "1.2.5", "1.2.6"];
  assertEquals(
    versionsIn(`Deno ${a}'s, \`npx -y deno@${b}\`, @deno/linux-x64-glibc@${c}, @logtape/file@${d}`),
    [a, b, c],
  );
});
