import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { POLICIES } from "../../tools/fleet/policies.ts";
import { plotSvg } from "../../tools/fleet/plot.ts";
import { columnsOf } from "../../tools/fleet/plot_panel.ts";
import { rateRange, rateTicks, timeLabel, timeTicks, yOf } from "../../tools/fleet/plot_scale.ts";
import { reportMarkdown } from "../../tools/fleet/report.ts";
import { OUTAGES } from "../../tools/fleet/scenario.ts";
import { runScenario } from "../../tools/fleet/scenario_run.ts";

Deno.test("rateRange() spans whole powers of ten, at most four", () => {
  assertEquals(rateRange([30, 400]), { from: 10, to: 1_000 });
  assertEquals(rateRange([0, 3, 90_000]), { from: 10, to: 100_000 });
  assertEquals(rateRange([100_000]), { from: 10_000, to: 1_000_000 });
  assertEquals(rateRange([]), { from: 1, to: 100 });
  assertEquals(rateTicks({ from: 10, to: 1_000 }), [10, 100, 1_000]);
});

Deno.test("yOf() puts rates on a logarithm, and what is under the range on its edge", () => {
  const frame = { left: 0, top: 10, width: 1, height: 200 };
  const range = { from: 10, to: 1_000 };
  assertEquals([1_000, 100, 10, 1, 0].map((rate) => yOf(rate, range, frame)), [
    10,
    110,
    210,
    210,
    210,
  ]);
});

Deno.test("timeTicks() are round and few, and timeLabel() says them", () => {
  assertEquals(timeTicks({ from: -30, to: 45 }), [-30, -20, -10, 0, 10, 20, 30, 40]);
  assertEquals(timeTicks({ from: -600, to: 7_000 }).map(timeLabel).slice(0, 3), [
    "-10 min",
    "0",
    "10 min",
  ]);
  assertEquals([-30, 90, 3_600, 5_400].map(timeLabel), ["-30 s", "1:30 min", "1 h", "1 h 30"]);
});

Deno.test("columnsOf() takes the highest window of each column", () => {
  const counts = Uint32Array.of(0, 2, 4, 8, 1, 1, 1, 1, 9);
  const line = { name: "", color: "", width: 1, dash: "", fromS: -4, counts };
  const time = { from: -4, to: 4 };
  assertEquals(columnsOf(line, { time, windowS: 2, columnS: 4 }), [6, 1]);
  assertEquals(columnsOf(line, { time: { from: -6, to: 0 }, windowS: 2, columnS: 2 }), [0, 1, 6]);
});

Deno.test("a scenario's plot and page hold every policy", () => {
  const [outage] = OUTAGES;
  assert(outage);
  const scenario = { outage, cut: "together", isRapid: false } as const;
  const options = { agents: 200, seed: 1 };
  const run = runScenario(scenario, { ...options, capacity: 4, policies: POLICIES });
  const svg = plotSvg(run);
  const page = reportMarkdown([run], [], options);
  for (const { name } of POLICIES) {
    assertStringIncludes(svg, `>${name}</text>`);
    assertStringIncludes(page, `| ${name}`);
  }
  assertStringIncludes(svg, 'fill="#fff"');
  assert(!/NaN|undefined|Infinity/.test(svg + page));
  assertStringIncludes(page, "(fleet-20s-together.svg)");
  assertStringIncludes(page, "--agents 200 --seed 1 --write");
});
