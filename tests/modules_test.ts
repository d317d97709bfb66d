import { assertEquals } from "@std/assert";
import { importCycles, type Module, repeatedTypes, unusedExports } from "./modules.ts";
import { readSources, ROOT } from "./sources.ts";

async function readProject(): Promise<Module[]> {
  const parts = await Promise.all(["src/", "tests/", "tools/"].map(readSources));
  const main = { path: "main.ts", text: await Deno.readTextFile(new URL("main.ts", ROOT)) };
  return [...parts.flat(), main];
}

/** What only tests use, because it makes behaviour measurable. */
const PROBES = [
  "src/buffer/schema.ts: only tests use SCHEMA_VERSION",
  "src/system/real/http/parser.ts: only tests use parserMemoryBytes",
];

Deno.test("src exports only what another module uses", async () => {
  const unused = unusedExports(await readProject());
  assertEquals(unused.filter((complaint) => !PROBES.includes(complaint)), []);
});

Deno.test("modules import each other in no circle", async () => {
  assertEquals(importCycles(await readProject()), []);
});

Deno.test("each exported type of src has a name of its own", async () => {
  assertEquals(repeatedTypes(await readProject()), []);
});

Deno.test("unusedExports() finds what nothing imports, and values that only tests use", () => {
  const source = (text: string): Module => ({ path: "src/a.ts", text });
  const user = (path: string, text: string): Module => ({ path, text });
  const value = "export function used(): void {}\nexport const spare = 1;\n";
  const test = user("tests/a_test.ts", 'import { spare, used } from "../src/a.ts";\n');
  const program = user("main.ts", 'const { used } = await import("./src/a.ts");\n');
  assertEquals(unusedExports([source(value)]), [
    "src/a.ts: nothing imports used",
    "src/a.ts: nothing imports spare",
  ]);
  assertEquals(unusedExports([source(value), test, program]), ["src/a.ts: only tests use spare"]);
  assertEquals(unusedExports([source(`${value}console.log(spare);\n`), test, program]), []);
  // A type that an exported signature names is exported for the documentation.
  const typed = "export interface Shape {}\nexport function used(shape: Shape): void {}\n";
  assertEquals(unusedExports([source(typed), program]), []);
  assertEquals(unusedExports([source("export interface Shape {}\n")]), [
    "src/a.ts: nothing imports Shape",
  ]);
});

Deno.test("importCycles() finds a circle of types too, and each once", () => {
  const modules: Module[] = [
    { path: "src/a.ts", text: 'import type { B } from "./b.ts";\n' },
    { path: "src/b.ts", text: 'import { c } from "./c.ts";\n' },
    { path: "src/c.ts", text: 'export { A } from "./a.ts";\n' },
    { path: "src/d.ts", text: 'import { c } from "./c.ts";\n' },
  ];
  assertEquals(importCycles(modules), ["src/a.ts -> src/b.ts -> src/c.ts -> src/a.ts"]);
  assertEquals(importCycles(modules.slice(1)), []);
});

Deno.test("repeatedTypes() finds types of one name in two modules, not values", () => {
  const modules: Module[] = [
    { path: "src/a.ts", text: "export interface Shape {}\nexport const x = 1;\n" },
    { path: "src/b.ts", text: "export type Shape = string;\nexport const x = 2;\n" },
    { path: "tests/b.ts", text: "export type Shape = string;\n" },
  ];
  assertEquals(repeatedTypes(modules), ["Shape: src/a.ts, src/b.ts"]);
});
