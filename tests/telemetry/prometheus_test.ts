import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Metric } from "../../src/telemetry/metric.ts";
import { prometheusText } from "../../src/telemetry/prometheus.ts";
import { parseExposition } from "../fakes/exposition.ts";
import { anyString } from "../fakes/texts.ts";

function metric(extra: Partial<Metric> = {}): Metric {
  return { name: "pennon_a", type: "gauge", unit: "1", help: "A", samples: [], ...extra };
}

Deno.test("prometheusText() writes HELP, TYPE and one line per sample", () => {
  const samples = [{ labels: {}, value: 1.5 }, { labels: { a: "b", c: "d" }, value: -0 }];
  assertEquals(
    prometheusText([metric({ samples }), metric({ name: "pennon_b_total", type: "counter" })]),
    "# HELP pennon_a A\n# TYPE pennon_a gauge\npennon_a 1.5\n" + 'pennon_a{a="b",c="d"} 0\n',
  );
  assertEquals(prometheusText([]), "");
});

Deno.test("prometheusText() escapes help and label values", () => {
  const samples = [{ labels: { a: 'q"u\\o\nt' }, value: 1 }];
  assertEquals(
    prometheusText([metric({ help: 'a "b" \\ c\nd', samples })]),
    '# HELP pennon_a a "b" \\\\ c\\nd\n# TYPE pennon_a gauge\npennon_a{a="q\\"u\\\\o\\nt"} 1\n',
  );
});

Deno.test("prometheusText() writes every number as Go reads it", () => {
  const values = [Infinity, -Infinity, NaN, 1e21, 1e-7, Number.MAX_VALUE, 1_764_500_000.123];
  const samples = values.map((value, index) => ({ labels: { index: `${index}` }, value }));
  const lines = prometheusText([metric({ samples })]).split("\n").slice(2, -1);
  assertEquals(lines.map((line) => line.split(" ")[1]), [
    "+Inf",
    "-Inf",
    "NaN",
    "1e+21",
    "1e-7",
    "1.7976931348623157e+308",
    "1764500000.123",
  ]);
});

Deno.test("property: what prometheusText() writes reads back as the same metrics, whatever the labels", () => {
  const names = fc.stringMatching(/^[a-z_][a-z0-9_]{0,10}$/);
  const labels = fc.dictionary(names, anyString({ maxLength: 20 }), { maxKeys: 4 });
  const value = fc.double();
  const samples = fc.array(fc.record({ labels, value }), { minLength: 1, maxLength: 5 });
  const metrics = fc.uniqueArray(
    fc.record({ name: names, help: anyString({ maxLength: 20 }), samples }),
    { selector: ({ name }) => name, maxLength: 4 },
  );
  fc.assert(fc.property(metrics, (given) => {
    const all = given.map((each) => metric(each));
    const expected = all.map(({ name, help, type, samples }) => ({
      name,
      help,
      type,
      samples: samples.map(({ labels, value }) => ({
        labels: Object.entries(labels),
        value: value === 0 ? 0 : value, // The sign of 0 is not written.
      })),
    }));
    assertEquals(parseExposition(prometheusText(all)), expected);
  }));
});
