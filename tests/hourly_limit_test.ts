import { assertEquals } from "@std/assert";
import { HourlyLimit } from "../src/hourly_limit.ts";

Deno.test("HourlyLimit allows so many at once, and as many in each hour", () => {
  let nowMs = 5_000;
  const limit = new HourlyLimit({ monotonicMs: () => nowMs }, 60);
  const takeAll = () => {
    let taken = 0;
    while (limit.take()) taken += 1;
    return taken;
  };
  assertEquals([takeAll(), takeAll()], [60, 0]);
  nowMs += 59_999;
  assertEquals(takeAll(), 0);
  nowMs += 1;
  assertEquals(takeAll(), 1);
  nowMs += 10 * 3_600_000;
  assertEquals(takeAll(), 60);
});
