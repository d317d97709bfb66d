import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { runSeed } from "./run_seed.ts";
import { agesOf, playScenario, SCENARIOS } from "./scenarios.ts";
import { Sim } from "./sim.ts";

for (const scenario of SCENARIOS) {
  for (const age of agesOf(scenario)) {
    Deno.test(`sim: ${scenario.name} (${age})`, async () => {
      for (let seed = 1; seed <= 3; seed++) await playScenario(scenario, seed, age);
    });
  }
}

Deno.test("sim: ten seeds of five days break no invariant", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { violation, tail } = await runSeed(seed, 5);
    assertEquals(violation, null, `seed ${seed}\n${tail.slice(-20).join("\n")}`);
  }
});

Deno.test("sim: a seed replays exactly, and another seed differs", async () => {
  const [first, again, other] = [await runSeed(7, 5), await runSeed(7, 5), await runSeed(8, 5)];
  assertEquals([first.sum, first.requests], [again.sum, again.requests]);
  assertNotEquals(first.sum, other.sum);
});

Deno.test("sim: an idle agent checks in once an interval for a month", async () => {
  const sim = new Sim(1);
  try {
    await sim.begin();
    await sim.run(30 * 86_400_000);
    // 288 a day, host facts at least once an hour, the token's renewals, four look-ups of two keys.
    assert(sim.requests > 30 * (288 + 24), String(sim.requests));
    assert(sim.requests < 30 * (288 + 29 + 2 + 8), String(sim.requests));
  } finally {
    sim.close();
  }
});
