import { assertEquals, assertThrows } from "@std/assert";
import { readOptions, VARIANTS } from "./options.ts";

Deno.test("readOptions() has a number of kills for CI, any seed, and every variant", () => {
  assertEquals(readOptions([], 7), { kills: 15, seed: 7, variants: VARIANTS });
  assertEquals(readOptions(["--kills", "500", "--seed", "3", "--variant", "down"], 7), {
    kills: 500,
    seed: 3,
    variants: ["down"],
  });
});

Deno.test("readOptions() refuses what it does not know", () => {
  for (const words of [["--kill", "5"], ["--kills", "-1"], ["--variant", "sideways"], ["x"]]) {
    assertThrows(() => readOptions(words, 7), Error, "Cannot read");
  }
});
