import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { agentIds, seededRandom } from "../../tools/fleet/chance.ts";
import { POLICIES } from "../../tools/fleet/policies.ts";
import type { Behaviour } from "../../tools/fleet/policy.ts";

function start(name: string, options: { isRapid?: boolean; random?: () => number } = {}) {
  const random = options.random ?? seededRandom(7);
  const policy = POLICIES.find((candidate) => candidate.name === name);
  assert(policy);
  const ids = agentIds(3, seededRandom(1));
  return policy.start({ agents: 3, isRapid: options.isRapid ?? false, ids, random });
}

/** The waits after so many failures, each attempt at the instant it was due. */
function waits(behaviour: Behaviour, failures: number): number[] {
  let nowMs = 1_000_000;
  return Array.from({ length: failures }, () => {
    behaviour.begin(0, nowMs);
    const nextMs = behaviour.afterFailure(0, nowMs);
    const waitMs = nextMs - nowMs;
    nowMs = nextMs;
    return waitMs;
  });
}

const almostOne = () => 1 - 2 ** -32;

Deno.test("redflag sleeps the same whatever came of it, plus 0 to 29 whole seconds", () => {
  for (const [name, sleepMs] of [["redflag-rapid", 5_000], ["redflag-normal", 300_000]] as const) {
    assertEquals(start(name, { random: () => 0 }).afterSuccess(0, 100), 100 + sleepMs);
    assertEquals(start(name, { random: almostOne }).afterFailure(0, 100), 29_100 + sleepMs);
    const seen = new Set(waits(start(name), 500).map((waitMs) => (waitMs - sleepMs) / 1_000));
    assertEquals([...seen].toSorted((a, b) => a - b), Array.from({ length: 30 }, (_, i) => i));
  }
});

Deno.test("fixed-5s waits 5 s after a failure, the interval after a success", () => {
  assertEquals(waits(start("fixed-5s"), 3), [5_000, 5_000, 5_000]);
  assertEquals(start("fixed-5s").afterSuccess(0, 0), 300_000);
  assertEquals(start("fixed-5s", { isRapid: true }).afterSuccess(0, 0), 5_000);
});

Deno.test("equal-jitter waits between half and all of a doubling ceiling, and begins anew", () => {
  const lowest = start("equal-jitter", { random: () => 0 });
  assertEquals(waits(lowest, 8), [2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 150_000, 150_000]);
  lowest.afterSuccess(0, 0);
  assertEquals(lowest.afterFailure(0, 0), 2_500);
  const highest = waits(start("equal-jitter", { random: almostOne }), 8);
  assertEquals(highest.map(Math.round).at(0), 5_000);
  assertEquals(highest.map(Math.round).at(-1), 300_000);
});

Deno.test("decorrelated-jitter waits between 5 s and three times the wait before", () => {
  assertEquals(waits(start("decorrelated-jitter", { random: () => 0 }), 3), [5_000, 5_000, 5_000]);
  const highest = waits(start("decorrelated-jitter", { random: almostOne }), 6);
  assertEquals(highest.map(Math.round), [15_000, 45_000, 135_000, 300_000, 300_000, 300_000]);
});

Deno.test("pennon asks for /health once in doubt, and its probe has 5 s for each request", () => {
  const behaviour = start("pennon");
  assertEquals([behaviour.begin(0, 0), behaviour.checkInLimitMs(0)], [0, 30_000]);
  let nowMs = behaviour.afterFailure(0, 0);
  for (let failures = 1; failures < 5; failures++) {
    assertEquals([behaviour.begin(0, nowMs), behaviour.checkInLimitMs(0)], [5_000, 30_000]);
    nowMs = behaviour.afterFailure(0, nowMs);
  }
  assertEquals([behaviour.begin(0, nowMs), behaviour.checkInLimitMs(0)], [5_000, 5_000]);
  nowMs = behaviour.afterSuccess(0, nowMs);
  assertEquals([behaviour.begin(0, nowMs), behaviour.checkInLimitMs(0)], [0, 30_000]);
});

Deno.test("pennon waits within the backoff's ceiling, then within the breaker's", () => {
  const ceilings = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000];
  for (let seed = 0; seed < 50; seed++) {
    waits(start("pennon", { random: seededRandom(seed) }), 8).forEach((waitMs, index) => {
      assertLess(waitMs, ceilings[index] ?? 0);
      if (index >= 4) assertGreater(waitMs, (ceilings[index] ?? 0) / 2 - 1);
    });
  }
});

Deno.test("pennon keeps its place in the interval, and has none under rapid polling", () => {
  const places = [0, 1, 2].map((agent) => {
    const behaviour = start("pennon", { random: () => 0.5 });
    behaviour.begin(agent, 10_000);
    return Math.round(behaviour.afterSuccess(agent, 10_000)) % 300_000;
  });
  assertEquals(new Set(places).size, 3);
  const rapid = start("pennon", { isRapid: true, random: () => 0.5 });
  rapid.begin(0, 10_000);
  assertEquals(rapid.afterSuccess(0, 10_000), 15_000);
});

Deno.test("agentIds() look like UUIDs, differ, and repeat with their seed", () => {
  const ids = agentIds(200, seededRandom(3));
  assert(
    ids.every((id) =>
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)
    ),
  );
  assertEquals(new Set(ids).size, 200);
  assertEquals(agentIds(200, seededRandom(3)), ids);
});
