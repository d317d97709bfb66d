import { assert, assertEquals } from "@std/assert";
import { connectionPolicy } from "../../src/breaker/connection.ts";
import { breaker as settings } from "../fakes/connection.ts";

Deno.test("connectionPolicy() stays open between half the ceiling and all of it", () => {
  const cases: [ceilingMs: number, random: number, openMs: number][] = [
    [5_000, 0, 30_000], // Never under the minimum …
    [5_000, 0.999_999, 60_000],
    [160_000, 0, 80_000],
    [160_000, 0.999_999, 160_000],
    [900_000, 0, 150_000], // … nor over the maximum.
    [900_000, 0.999_999, 300_000],
  ];
  for (const [ceilingMs, random, openMs] of cases) {
    const policy = connectionPolicy(settings, () => ceilingMs);
    const drawnMs = policy.openMs({ failures: 5, trips: 1 }, () => random);
    assert(Math.abs(drawnMs - openMs) < 1, `${ceilingMs} at ${random}: ${drawnMs}`);
  }
});

Deno.test("connectionPolicy() asks the backoff where it stands", () => {
  const asked: number[] = [];
  const policy = connectionPolicy(settings, (failures) => {
    asked.push(failures);
    return 0;
  });
  policy.openMs({ failures: 7, trips: 2 }, () => 0);
  assertEquals(asked, [7]);
});
