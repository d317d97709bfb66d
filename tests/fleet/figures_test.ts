import { assertEquals } from "@std/assert";
import { peakRate, quantiles } from "../../tools/fleet/figures.ts";
import { seconds, times, whole } from "../../tools/fleet/figure_tables.ts";
import { markdownTable, textTable } from "../../tools/fleet/table.ts";
import { targetsOf } from "../../tools/fleet/targets.ts";
import { OUTAGES } from "../../tools/fleet/scenario.ts";

Deno.test("peakRate() finds the highest mean in any window", () => {
  const counts = Uint32Array.of(1, 0, 5, 5, 0, 9);
  assertEquals(peakRate(counts, 1), 9);
  assertEquals(peakRate(counts, 2), 5);
  assertEquals(peakRate(counts, 4), 19 / 4);
  assertEquals(peakRate(Uint32Array.of(), 10), 0);
});

Deno.test("quantiles() counts those that never came back as the last", () => {
  const values = Float64Array.from({ length: 100 }, (_, index) => 100 - index);
  assertEquals(quantiles(values), { medianMs: 50, p99Ms: 99, maxMs: 100 });
  assertEquals(quantiles(Float64Array.of(1, Infinity, 2)).maxMs, Infinity);
  assertEquals(quantiles(Float64Array.of()), { medianMs: 0, p99Ms: 0, maxMs: 0 });
});

Deno.test("figures are written short", () => {
  assertEquals([1.355, 99.94, 300].map(times), ["1.35x", "99.9x", "300x"]);
  assertEquals([0, 12_340, 99_949, 304_400, Infinity].map(seconds), [
    "0.0 s",
    "12.3 s",
    "99.9 s",
    "304 s",
    "never",
  ]);
  assertEquals([0, 999.4, 1_000, 26_030_597].map(whole), ["0", "999", "1,000", "26,030,597"]);
});

Deno.test("tables lean words left and figures right", () => {
  const table = { head: ["policy", "n"], rows: [["pennon", "12"], ["x", "1,234"]] };
  assertEquals(textTable(table), "policy      n\n------  -----\npennon     12\nx       1,234");
  assertEquals(
    markdownTable(table),
    "| policy |     n |\n| ------ | ----: |\n| pennon |    12 |\n| x      | 1,234 |",
  );
});

Deno.test("targetsOf() tells what is met from what is missed, on both sides of each bound", () => {
  const outage = OUTAGES[1]!;
  const figures = {
    policy: "pennon",
    ordinary: 100,
    peaks: { checkIns1s: 0, checkIns10s: 150, requests1s: 0, requests10s: 0 },
    touched: 1,
    deadPerAgent: { mean: 1, max: 20 },
    back: { medianMs: 0, p99Ms: 600_000, maxMs: 0 },
    fleetBack: { medianMs: 0, p99Ms: 0, maxMs: 0 },
    overloadedBefore: 0,
    refused: 0,
    timedOut: 0,
  };
  const scenario = { outage, cut: "staggered", isRapid: false } as const;
  assertEquals(targetsOf(scenario, figures).map(({ isMet }) => isMet), [true, true, true]);
  const worse = {
    ...figures,
    peaks: { ...figures.peaks, checkIns10s: 150.1 },
    deadPerAgent: { mean: 1, max: 21 },
    back: { ...figures.back, p99Ms: 600_001 },
  };
  assertEquals(targetsOf(scenario, worse).map(({ isMet }) => isMet), [false, false, false]);
  assertEquals(targetsOf({ ...scenario, isRapid: true }, figures), []);
  const short = { ...scenario, outage: OUTAGES[0]! };
  const half = (medianMs: number) => ({ ...figures, back: { ...figures.back, medianMs } });
  assertEquals(targetsOf(short, half(15_000)).map(({ isMet }) => isMet), [true]);
  assertEquals(targetsOf(short, half(15_001)).map(({ isMet }) => isMet), [false]);
});
