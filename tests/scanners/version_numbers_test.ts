import { assertEquals } from "@std/assert";
import { compareVersionNumbers } from "../../src/scanners/version_numbers.ts";

Deno.test("compareVersionNumbers() compares the first number that differs, and a missing one as 0", () => {
  const rising = [[], [0, 1], [1, 9], [1, 9, 0, 1], [1, 10], [2, 0], [10]];
  for (const [at, one] of rising.entries()) {
    for (const [index, other] of rising.entries()) {
      assertEquals(Math.sign(compareVersionNumbers(one, other)), Math.sign(at - index));
    }
  }
  assertEquals(
    [compareVersionNumbers([1, 2], [1, 2, 0]), compareVersionNumbers([1, 2, 0], [1, 2])],
    [0, 0],
  );
});
