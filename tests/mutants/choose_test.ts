import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { seededRandom } from "../../tools/fleet/chance.ts";
import { choose, directoryOf, type Mutant } from "../../tools/mutants/choose.ts";

function mutant(file: string, start: number, to: string): Mutant {
  return { file, operator: "number", start, end: start + 1, to, line: 1, column: start, from: "0" };
}

/** Three ways to change each of `places` places. */
function mutants(file: string, places: number): Mutant[] {
  return Array.from({ length: places }, (_, start) => start)
    .flatMap((start) => ["1", "2", "3"].map((to) => mutant(file, start, to)));
}

const many = [...mutants("src/a/big.ts", 300), ...mutants("src/b/small.ts", 20)];

Deno.test("choose() makes the same choice for the same seed, and another one for another", () => {
  const chosen = (seed: number) => choose(many, 60, seededRandom(seed));
  assertEquals(chosen(7), chosen(7));
  assertNotEquals(chosen(7), chosen(8));
});

Deno.test("choose() gives a directory its share, and a small one at least a dozen", () => {
  const counts = Map.groupBy(
    choose(many, 160, seededRandom(1)),
    ({ file }) => directoryOf(file),
  );
  assertEquals(counts.get("src/a")?.length, 150);
  assertEquals(counts.get("src/b")?.length, 12);
});

Deno.test("choose() takes one change of each place before a second one of any", () => {
  const chosen = choose(mutants("src/a/b.ts", 50), 50, seededRandom(3));
  assertEquals(new Set(chosen.map(({ start }) => start)).size, 50);
  assert(new Set(chosen.map(({ to }) => to)).size > 1);
});

Deno.test("choose() takes all where there are fewer than are wanted", () => {
  assertEquals(choose(many, 10_000, seededRandom(1)).length, many.length);
});

Deno.test("directoryOf() counts a file below src for src, and deeper ones for their directory", () => {
  assertEquals(directoryOf("src/config.ts"), "src");
  assertEquals(directoryOf("src/loop/loop.ts"), "src/loop");
  assertEquals(directoryOf("src/scanners/apt/lists.ts"), "src/scanners");
});
