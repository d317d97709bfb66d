import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { backoffMs, ceilingMs } from "../../src/breaker/backoff.ts";
import { backoff } from "../fakes/breaker_numbers.ts";

Deno.test("ceilingMs() doubles from the base and stops at the cap", () => {
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000_000].map((n) => ceilingMs(n, backoff));
  assertEquals(
    ceilings,
    [0, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000],
  );
});

Deno.test("backoffMs() draws evenly between the floor and the ceiling", () => {
  assertEquals(backoffMs(1, backoff, () => 0), 500);
  assertEquals(backoffMs(1, backoff, () => 0.5), 2_750);
  assertEquals(backoffMs(0, backoff, () => 0.5), 0);
});

Deno.test("backoffMs() keeps its jitter at the cap", () => {
  assertEquals(backoffMs(50, backoff, () => 0), 500);
  assertEquals(backoffMs(50, backoff, () => 0.999), 500 + 0.999 * 299_500);
});

Deno.test("backoffMs() never leaves its bounds", () => {
  fc.assert(fc.property(
    fc.nat(10_000),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    (failures, draw) => {
      const waitMs = backoffMs(failures, backoff, () => draw);
      assert(waitMs >= (failures === 0 ? 0 : backoff.floorMs));
      assert(waitMs <= ceilingMs(failures, backoff));
    },
  ));
});
