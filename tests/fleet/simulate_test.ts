import { assert, assertEquals, assertGreater, assertLess, assertNotEquals } from "@std/assert";
import { type Figures, figuresOf } from "../../tools/fleet/figures.ts";
import { POLICIES } from "../../tools/fleet/policies.ts";
import { type Cut, defaultCapacity, OUTAGES } from "../../tools/fleet/scenario.ts";
import { simulate } from "../../tools/fleet/simulate.ts";
import { targetsOf } from "../../tools/fleet/targets.ts";

const AGENTS = 300;

interface Run {
  readonly outage: string;
  readonly cut?: Cut;
  readonly isRapid?: boolean;
  readonly seed?: number;
}

function setupOf(name: string, { outage: outageName, cut, isRapid = false, seed = 1 }: Run) {
  const policy = POLICIES.find((candidate) => candidate.name === name);
  const outage = OUTAGES.find((candidate) => candidate.name === outageName);
  assert(policy && outage);
  const scenario = { outage, cut: cut ?? "staggered", isRapid } as const;
  return { agents: AGENTS, seed, capacity: defaultCapacity(AGENTS, isRapid), policy, scenario };
}

function figures(name: string, run: Run): Figures {
  const setup = setupOf(name, run);
  return figuresOf(setup, simulate(setup));
}

Deno.test("simulate() gives the same for the same seed, and something else for another", () => {
  for (const { name } of POLICIES) {
    const first = simulate(setupOf(name, { outage: "20s", cut: "together" }));
    assertEquals(simulate(setupOf(name, { outage: "20s", cut: "together" })), first);
    const other = simulate(setupOf(name, { outage: "20s", cut: "together", seed: 2 }));
    assertNotEquals(other.checkIns, first.checkIns);
  }
});

Deno.test("simulate() is at the policy's ordinary rate before the outage", () => {
  for (const isRapid of [false, true]) {
    for (const policy of POLICIES) {
      const setup = setupOf(policy.name, { outage: "28m", isRapid });
      // Wide enough for redflag-rapid, which is no match for a server of 300 s.
      const tally = simulate({ ...setup, capacity: 1_000 });
      const toS = tally.options.deadFromMs / 1_000;
      const periodS = Math.round(policy.periodMs(isRapid) / 1_000);
      const sent = tally.checkIns.subarray(toS - periodS, toS).reduce((sum, n) => sum + n, 0);
      assertLess(Math.abs(sent / AGENTS - 1), 0.12);
      assertEquals(tally.before, { refused: 0, timedOut: 0 });
      assert(tally.healths.subarray(0, toS).every((count) => count === 0));
    }
  }
});

Deno.test("simulate() has every agent touched and in time where all notice together", () => {
  for (const { name } of POLICIES) {
    const { touched, back, deadPerAgent } = figures(name, { outage: "28m", cut: "together" });
    assertEquals(touched, AGENTS);
    assertGreater(deadPerAgent.mean, 0);
    if (name !== "redflag-rapid") assert(Number.isFinite(back.maxMs), name);
  }
});

Deno.test("simulate() agrees with what can be worked out by hand", () => {
  // 28 min of 5 s each, and of 5 s + U{0..29} s; the first request comes with the cut.
  const fixed = figures("fixed-5s", { outage: "28m", cut: "together" });
  assertEquals(fixed.deadPerAgent.max, 336);
  const rapid = figures("redflag-rapid", { outage: "28m", cut: "together" });
  assertLess(Math.abs(rapid.deadPerAgent.mean - 1_680 / 19.5), 2);
  // Half of the fleet is due within half a period of RedFlag's, whatever the outage did.
  const normal = figures("redflag-normal", { outage: "20s" });
  assertLess(Math.abs(normal.fleetBack.medianMs - 157_000), 15_000);
});

Deno.test("simulate() has pennon back within its breaker's longest wait", () => {
  for (const cut of ["staggered", "together"] as const) {
    const { back, deadPerAgent, refused } = figures("pennon", { outage: "28m", cut });
    assertLess(back.maxMs, 300_000 + 1_000);
    assert(deadPerAgent.max <= 20);
    assertEquals(refused, 0);
  }
});

Deno.test("simulate() with pennon meets the targets in small, as far as chance allows", () => {
  const long = targetsOf(
    setupOf("pennon", { outage: "28m" }).scenario,
    figures("pennon", { outage: "28m" }),
  );
  assertEquals(long.length, 3);
  assert(long.slice(1).every(({ isMet }) => isMet)); // 300 agents have a peak by chance alone.
  const short = targetsOf(
    setupOf("pennon", { outage: "20s" }).scenario,
    figures("pennon", { outage: "20s" }),
  );
  assertEquals(short.map(({ isMet }) => isMet), [true]);
});
