import { assertEquals } from "@std/assert";
import { enumerate } from "../../src/scanners/enumerate.ts";

Deno.test("enumerate() names ten and counts the rest", () => {
  const names = Array.from({ length: 12 }, (_, n) => `p${n}`);
  assertEquals(enumerate(names.slice(0, 2)), "p0, p1");
  assertEquals(enumerate(names), "p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more");
  assertEquals(enumerate(names.slice(0, 10)), "p0, p1, p2, p3, p4, p5, p6, p7, p8, p9");
  assertEquals(enumerate(names, 1), "p0 and 11 more");
});
