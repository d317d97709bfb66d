import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import {
  admit,
  type Breaker,
  NEW_BREAKER,
  settle,
  type Verdict,
} from "../../src/breaker/breaker.ts";
import {
  backoffMs,
  type BackoffPolicy,
  ceilingMs,
  connectionPolicy,
  longestScannerOpenMs,
  reportPolicy,
  scannerPolicy,
} from "../../src/breaker/policies.ts";
import { backoff, breaker as settings, scannerBreaker } from "../fakes/breaker_numbers.ts";

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
    const policy = connectionPolicy(settings, { baseMs: ceilingMs, capMs: ceilingMs, floorMs: 0 });
    const drawnMs = policy.openMs({ failures: 5, trips: 1 }, () => random);
    assert(Math.abs(drawnMs - openMs) < 1, `${ceilingMs} at ${random}: ${drawnMs}`);
  }
});

Deno.test("connectionPolicy() continues where the backoff stands, by its failures", () => {
  const policy = connectionPolicy(settings, { baseMs: 2_000, capMs: 1_000_000, floorMs: 0 });
  assertEquals(policy.openMs({ failures: 7, trips: 2 }, () => 1), 128_000);
});

Deno.test("scannerPolicy() stays open 15 min, doubling to 6 h, give or take a fifth", () => {
  const policy = scannerPolicy(scannerBreaker);
  const rows: [trips: number, openMs: number][] = [
    [1, 900_000],
    [2, 1_800_000],
    [5, 14_400_000],
    [6, 21_600_000],
    [2_000, 21_600_000], // 2 ** 1999 is beyond every number.
  ];
  for (const [trips, openMs] of rows) {
    assertEquals(policy.openMs({ failures: 3, trips }, () => 0.5), openMs);
    assertEquals(policy.openMs({ failures: 3, trips }, () => 0), openMs * 0.8);
    assert(Math.abs(policy.openMs({ failures: 3, trips }, () => 1) - openMs * 1.2) < 1);
  }
  assertEquals(longestScannerOpenMs(scannerBreaker), 21_600_000 * 1.2);
});

Deno.test("scannerPolicy() looks at the row alone, and gives a probe a scan's own time", () => {
  const { consecutiveFailures, windowSize, probeTimeoutMs } = scannerPolicy(scannerBreaker);
  assertEquals([consecutiveFailures, windowSize, probeTimeoutMs], [3, 0, 35 * 60_000]);
});

/** The report breaker after one more report. */
function report(
  breaker: Breaker,
  verdict: Verdict,
  { nowMs, random }: { nowMs: number; random: () => number },
): Breaker {
  const step = { nowMs, policy: reportPolicy(backoff), random };
  const admission = admit(breaker, step);
  assert(admission.admitted);
  const { permit } = admission;
  return settle(admission.breaker, { permit, verdict, reason: "HTTP 500" }, step);
}

/** The pauses after so many failures, each at the instant at which the pause before is over. */
function pauses(failures: number, random: () => number): number[] {
  let breaker: Breaker = NEW_BREAKER;
  const found: number[] = [];
  let nowMs = 0;
  for (let failure = 0; failure < failures; failure++) {
    breaker = report(breaker, "failure", { nowMs, random });
    if (breaker.state !== "open") continue;
    found.push(breaker.untilMs - nowMs);
    nowMs = breaker.untilMs;
  }
  return found;
}

Deno.test("reportPolicy() opens after every third failed report, for 5 s doubling to 5 min", () => {
  assertEquals(pauses(2, () => 1), []);
  assertEquals(pauses(3, () => 1), [5_000]);
  assertEquals(pauses(26, () => 1), [5, 10, 20, 40, 80, 160, 300, 300].map((s) => s * 1_000));
});

Deno.test("reportPolicy() draws its pauses by full jitter, at the cap too", () => {
  assertEquals(pauses(24, () => 0), Array.from({ length: 8 }, () => 500));
  assertEquals(pauses(24, () => 0.5).at(-1), 150_250);
});

Deno.test("reportPolicy() counts no refusal, and closes at the first success of a half-open breaker", () => {
  const at = { nowMs: 0, random: () => 0 };
  const after = (verdicts: Verdict[], breaker: Breaker = NEW_BREAKER) =>
    verdicts.reduce((state, verdict) => report(state, verdict, at), breaker);
  // A refusal is an answer: it brings no pause nearer.
  assertEquals(after(["neutral", "neutral", "failure", "neutral"]).state, "closed");
  assertEquals(after(["failure", "neutral", "failure", "neutral", "failure"]).state, "open");
  assertEquals(after(["failure", "failure", "success", "failure", "failure"]).state, "closed");
  const open = after(["failure", "failure", "failure"]);
  assert(open.state === "open");
  const later = { nowMs: open.untilMs, random: () => 0 };
  const two = report(report(open, "failure", later), "failure", later);
  assertEquals([two.state, two.state === "half_open" && two.failedProbes], ["half_open", 2]);
  assertEquals(report(two, "neutral", later).state, "half_open");
  assertEquals(report(two, "failure", later).state, "open");
  assertEquals(report(two, "success", later), { ...NEW_BREAKER, generation: two.generation + 1 });
});

const policy: BackoffPolicy = { baseMs: 5_000, capMs: 300_000, floorMs: 500 };

Deno.test("ceilingMs() doubles from the base and stops at the cap", () => {
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000_000].map((n) => ceilingMs(n, policy));
  assertEquals(
    ceilings,
    [0, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000],
  );
});

Deno.test("backoffMs() draws evenly between the floor and the ceiling", () => {
  assertEquals(backoffMs(1, policy, () => 0), 500);
  assertEquals(backoffMs(1, policy, () => 0.5), 2_750);
  assertEquals(backoffMs(0, policy, () => 0.5), 0);
});

Deno.test("backoffMs() keeps its jitter at the cap", () => {
  assertEquals(backoffMs(50, policy, () => 0), 500);
  assertEquals(backoffMs(50, policy, () => 0.999), 500 + 0.999 * 299_500);
});

Deno.test("backoffMs() leaves half of a low ceiling to chance, whatever the floor", () => {
  const low = { ...policy, floorMs: 60_000, capMs: 10_000 };
  const ceiling = ceilingMs(50, low);
  assertEquals(ceiling, 10_000);
  assertEquals([0, 0.5].map((draw) => backoffMs(50, low, () => draw)), [5_000, 7_500]);
});

Deno.test("backoffMs() never leaves its bounds", () => {
  fc.assert(fc.property(
    fc.nat(10_000),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    (failures, draw) => {
      const waitMs = backoffMs(failures, policy, () => draw);
      assert(waitMs >= (failures === 0 ? 0 : policy.floorMs));
      assert(waitMs <= ceilingMs(failures, policy));
    },
  ));
});
