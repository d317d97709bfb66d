import { assertEquals } from "@std/assert";
import {
  advanceSlowStart,
  isStalled,
  NO_SLOW_START,
  portionSize,
  type SlowStart,
} from "../../src/delivery/slow_start.ts";

Deno.test("slow start goes 1, 2, 4 … 64, then lets everything through", () => {
  const portions: number[] = [];
  let slowStart: SlowStart = { ...NO_SLOW_START, step: 0 };
  for (let step = 0; step < 9; step++) {
    portions.push(portionSize(slowStart));
    slowStart = advanceSlowStart(slowStart);
  }
  assertEquals(portions, [1, 2, 4, 8, 16, 32, 64, Infinity, Infinity]);
});

Deno.test("isStalled() from the third report in a row without success, and not from the second", () => {
  const after = (failedReports: number) => isStalled({ ...NO_SLOW_START, failedReports });
  assertEquals([after(0), after(2), after(3), after(4)], [false, false, true, true]);
});
