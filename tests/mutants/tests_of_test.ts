import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { ImportGraph } from "../../tools/mutants/import_graph.ts";
import { mutationsOf } from "../../tools/mutants/operators.ts";
import { sourcesIn } from "../../tools/mutants/sandbox.ts";
import { isRealTest, ROWS, type Stage, stagesFor } from "../../tools/mutants/tests_of.ts";

const ROOT_URL = new URL("../../", import.meta.url);
const ROOT = fileURLToPath(ROOT_URL).replace(/[\\/]$/, "");

const TESTS = (await sourcesIn(ROOT, "tests")).filter((path) => path.endsWith("_test.ts"));

/** Unit tests may read no more than `src` and `tests`; no way from a test to a source leads elsewhere. */
const graph = new ImportGraph(async (path) => {
  if (!/^(src|tests)\//.test(path)) return null;
  return await Deno.readTextFile(new URL(path, ROOT_URL)).catch(() => null);
});

async function stages(source: string): Promise<Stage[]> {
  return await stagesFor(source, TESTS, graph);
}

Deno.test("stagesFor() begins with the mirror, then its directory, then what is named for it", async () => {
  const [mirror, directory, others, ...named] = await stages("src/loop/schedule.ts");
  assertEquals(mirror, { files: ["tests/loop/schedule_test.ts"], isReal: false });
  assert(directory);
  assert(directory.files.includes("tests/loop/loop_test.ts"));
  assert(directory.files.every((file) => file.startsWith("tests/loop/")));
  assert(others?.files.every((file) => !file.startsWith("tests/loop/")));
  assert(named.some(({ files }) => files.includes("tests/sim/week_test.ts")));
});

Deno.test("stagesFor() leaves out tests that never load the source", async () => {
  const files = (await stages("src/loop/schedule.ts")).flatMap((stage) => stage.files);
  assert(!files.includes("tests/delivery/send_rate_test.ts"));
  assertEquals(new Set(files).size, files.length, "each file once");
});

Deno.test("stagesFor() has tests on real parts by themselves, marked as such", async () => {
  const found = await stages("src/system/real/terminal.ts");
  assertEquals(found.filter(({ isReal }) => !isReal).flatMap(({ files }) => files), []);
  assertEquals(found[0]?.files, ["tests/real/terminal_test.ts"]);
  for (const { files, isReal } of await stages("src/buffer/store.ts")) {
    assert(files.every((file) => isRealTest(file) === isReal));
  }
});

Deno.test("what the table of tests names is there", async () => {
  const all = [...TESTS, ...await sourcesIn(ROOT, "src")];
  for (const { sources, tests, why } of ROWS) {
    for (const start of [...sources, ...tests]) {
      assert(all.some((path) => path.startsWith(start)), `${start} (${why})`);
    }
  }
});

Deno.test("every source that can be mutated has a test that loads it", async () => {
  const untested: string[] = [];
  for (const source of await sourcesIn(ROOT, "src")) {
    if ((await stages(source)).length > 0) continue;
    // Parsing a source takes longer than finding its tests.
    const text = await Deno.readTextFile(new URL(source, ROOT_URL));
    if (mutationsOf(text).length > 0) untested.push(source);
  }
  assertEquals(untested, []);
});
