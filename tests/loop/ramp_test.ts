import { assertEquals } from "@std/assert";
import { climb, NEW_RAMP, portion, type Ramp } from "../../src/loop/ramp.ts";

Deno.test("a ramp goes 1, 2, 4 … 64, then lets everything through", () => {
  const portions: number[] = [];
  let ramp: Ramp = NEW_RAMP;
  for (let step = 0; step < 9; step++) {
    portions.push(portion(ramp));
    ramp = climb(ramp);
  }
  assertEquals(portions, [1, 2, 4, 8, 16, 32, 64, Infinity, Infinity]);
});
