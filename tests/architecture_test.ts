import { assertEquals } from "@std/assert";
import { complaints } from "./architecture.ts";
import { readSources, type Source } from "./sources.ts";

Deno.test("the sources keep the rules of the house", async () => {
  const sources = [...await readSources("src/"), ...await readSources("tests/")];
  assertEquals(complaints(sources), []);
});

Deno.test("every unit test stands where its source stands", async () => {
  const sources = new Set((await readSources("src/")).map(({ path }) => path));
  const tests = (await readSources("tests/"))
    .map(({ path }) => path)
    .filter((path) => path.endsWith("_test.ts"))
    .filter((path) =>
      !/^tests\/(real|e2e|windows|monitoring|packages|fakes|sim|fleet|fuzz|man|mutants|rules|storm)\//
        .test(
          path,
        ) &&
      !/^tests\/(architecture|modules)_test\.ts$/.test(path)
    );
  const orphans = tests.filter((path) =>
    !sources.has(path.replace(/^tests\//, "src/").replace(/_test\.ts$/, ".ts"))
  );
  assertEquals(orphans, []);
});

const HEADER = "/** A file that is well behaved. */\n";

Deno.test("a broken rule is caught", () => {
  const rows: [path: string, text: string, complaint: string][] = [
    ["src/loop/a.ts", "export {};\n", "it does not open with a sentence that says what it is"],
    ["src/loop/a.ts", "/** No stop */\n", "its header does not end with a full stop"],
    ["src/loop/utils.ts", HEADER, "its name says nothing of what is in it"],
    ["src/helpers/a.ts", HEADER, "its name says nothing of what is in it"],
    ["src/loop/camelCase.ts", HEADER, "its name is not snake_case"],
    ["src/loop/a.ts", HEADER + "\n".repeat(450), "it has 451 lines, more than 450"],
    [
      "src/buffer/a.ts",
      `${HEADER}import { b } from "../loop/b.ts";\n`,
      "buffer imports loop, which is not of a lower rank",
    ],
    [
      "src/server/a.ts",
      `${HEADER}import type { b } from "../scanners/b.ts";\n`,
      "server imports scanners, which is not of a lower rank",
    ],
    [
      "src/loop/a.ts",
      `${HEADER}export { b } from "../nowhere/b.ts";\n`,
      "loop imports nowhere, which is not of a lower rank",
    ],
    [
      "src/cli/a.ts",
      `${HEADER}import { r } from "../system/real.ts";\n`,
      "it imports ../system/real.ts",
    ],
    [
      "src/agent/a.ts",
      `${HEADER}const a = { mode: 0o644 };\n`,
      "it makes what others may read: mode: 0o644",
    ],
    [
      "src/system/real/a.ts",
      `${HEADER}const a = { mode: 0o755 };\n`,
      "it makes what others may read: mode: 0o755",
    ],
    [
      "src/agent/a.ts",
      `${HEADER}parts.log.info(error.message, { why });\n`,
      "its log message is no constant: log.info(error.message",
    ],
    ["src/loop/a.ts", `${HEADER}Deno.exit(1);\n`, "it touches the outside world: Deno."],
    ["src/loop/a.ts", `${HEADER}const a = Date.now();\n`, "it touches the outside world: Date.now"],
    ["src/loop/a.ts", `${HEADER}await fetch(url);\n`, "it touches the outside world: fetch("],
    ["src/loop/a.ts", `${HEADER}setTimeout(f, 1);\n`, "it touches the outside world: setTimeout("],
    [
      "src/system/real/a.ts",
      `${HEADER}JSON.parse(text);\n`,
      "it reads JSON past src/json.ts: JSON.parse",
    ],
  ];
  for (const [path, text, complaint] of rows) {
    assertEquals(complaints([{ path, text }]), [`${path}: ${complaint}`]);
  }
});

Deno.test("a kept rule is not complained of", () => {
  const sources: Source[] = [
    { path: "src/loop/a.ts", text: `${HEADER}import { b } from "../buffer/b.ts";\n` },
    {
      path: "src/loop/b.ts",
      text: `${HEADER}// Deno.exit would be wrong here\nclient.fetch(1);\n`,
    },
    { path: "src/agent/a.ts", text: `${HEADER}a({ mode: 0o600 }, { mode: 0o700 });\n` },
    { path: "src/json.ts", text: `${HEADER}JSON.parse(text);\n` },
    { path: "src/system/real/clock.ts", text: `${HEADER}Date.now();\n` },
    { path: "tests/loop/a_test.ts", text: 'import { a } from "../../src/loop/a.ts";\n' },
  ];
  assertEquals(complaints(sources), []);
});
