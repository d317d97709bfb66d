import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { LogFields } from "../../src/log.ts";
import type { Metric } from "../../src/telemetry/metric.ts";
import { encodeEvents, encodeMetrics, readDelivery } from "../../src/telemetry/otlp.ts";
import { anyText } from "../fakes/texts.ts";

const RESOURCE = { version: "1.2.3", agentId: "a1", hostName: "web1", os: "macos" } as const;
const NOW_MS = 1_764_500_000_123;

function metric(extra: Partial<Metric> = {}): Metric {
  return { name: "pennon_a", type: "gauge", unit: "By", help: "A", samples: [], ...extra };
}

function answer(status: number, body = "", headers: Record<string, string> = {}) {
  return readDelivery({ status, headers, body: new TextEncoder().encode(body) });
}

Deno.test("encodeMetrics() writes gauges and cumulative sums with the host's resource", () => {
  const samples = [{ labels: { scanner: "apt" }, value: 3 }];
  const counter = metric({ name: "pennon_b_total", type: "counter", unit: "1", samples });
  const text = encodeMetrics(RESOURCE, [metric({ samples }), counter, metric()], NOW_MS);
  const attributes = [{ key: "scanner", value: { stringValue: "apt" } }];
  const dataPoints = [{ attributes, timeUnixNano: "1764500000123000000", asDouble: 3 }];
  assertEquals(JSON.parse(text), {
    resourceMetrics: [{
      resource: {
        attributes: [
          { key: "service.name", value: { stringValue: "pennon" } },
          { key: "service.version", value: { stringValue: "1.2.3" } },
          { key: "service.instance.id", value: { stringValue: "a1" } },
          { key: "host.name", value: { stringValue: "web1" } },
          { key: "os.type", value: { stringValue: "darwin" } },
        ],
      },
      scopeMetrics: [{
        scope: { name: "pennon", version: "1.2.3" },
        metrics: [
          { name: "pennon_a", description: "A", unit: "By", gauge: { dataPoints } },
          {
            name: "pennon_b_total",
            description: "A",
            unit: "1",
            sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true },
          },
        ],
      }],
    }],
  });
});

Deno.test("encodeMetrics() omits an agent's id that there is not, and values without a JSON number", () => {
  const samples = [NaN, Infinity, 1].map((value) => ({ labels: {}, value }));
  const text = encodeMetrics({ ...RESOURCE, agentId: null }, [metric({ samples })], NOW_MS);
  const [{ resource, scopeMetrics }] = JSON.parse(text).resourceMetrics;
  assert(!JSON.stringify(resource).includes("service.instance.id"));
  assertEquals(scopeMetrics[0].metrics[0].gauge.dataPoints.length, 1);
});

Deno.test("encodeEvents() writes a record per event, with its fields as attributes", () => {
  const fields: LogFields = { why: "HTTP 500", failures: 5, cut: true, left: null, rate: NaN };
  const event = { atMs: NOW_MS - 1, level: "warning" as const, message: "m", name: "a.b", fields };
  const [{ scopeLogs }] = JSON.parse(encodeEvents(RESOURCE, [event], NOW_MS)).resourceLogs;
  assertEquals(scopeLogs[0].logRecords, [{
    timeUnixNano: "1764500000122000000",
    observedTimeUnixNano: "1764500000123000000",
    severityNumber: 13,
    severityText: "WARNING",
    body: { stringValue: "m" },
    attributes: [
      { key: "event.name", value: { stringValue: "a.b" } },
      { key: "why", value: { stringValue: "HTTP 500" } },
      { key: "failures", value: { doubleValue: 5 } },
      { key: "cut", value: { boolValue: true } },
      { key: "rate", value: { stringValue: "NaN" } },
    ],
  }]);
});

Deno.test("property: no text makes a request that is not valid Unicode", () => {
  const text = anyText(50);
  fc.assert(fc.property(text, text, (message, value) => {
    const fields = { [value]: message };
    const event = { atMs: -1, level: "info" as const, message, name: value, fields };
    const samples = [{ labels: { label: value }, value: 1 }];
    const resource = { ...RESOURCE, hostName: message };
    for (
      const body of [
        encodeEvents(resource, [event], NOW_MS),
        encodeMetrics(resource, [metric({ samples })], NOW_MS),
      ]
    ) {
      // `JSON.stringify` writes half a character as an escape, which collectors refuse.
      assert(!/\\ud[89a-f]/.test(body.replaceAll("\\\\", "")), body);
      JSON.parse(body);
    }
  }));
});

Deno.test("readDelivery() tells what was delivered, what to retry, and what is refused", () => {
  assertEquals(answer(200, "{}"), { kind: "delivered", rejected: 0, why: "" });
  assertEquals(answer(204), { kind: "delivered", rejected: 0, why: "" });
  assertEquals(answer(200, '{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}'), {
    kind: "delivered",
    rejected: 3,
    why: "old",
  });
  assertEquals(answer(200, '{"partialSuccess":{"rejectedLogRecords":2}}'), {
    kind: "delivered",
    rejected: 2,
    why: "",
  });
  for (const status of [429, 502, 503, 504]) {
    assertEquals(answer(status), { kind: "retry", why: `HTTP ${status}`, afterMs: null });
  }
  for (const status of [302, 400, 401, 404, 413, 500]) {
    assertEquals(answer(status), { kind: "refused", why: `HTTP ${status}` });
  }
});

Deno.test("readDelivery() takes a wait of up to an hour in seconds, and no other", () => {
  const waits: [string, number | null][] = [
    ["0", 0],
    ["90", 90_000],
    ["3600", 3_600_000],
    ["3601", 3_600_000],
    ["Mon, 30 Nov 2026 16:00:00 GMT", null],
    ["-1", null],
    ["1e9", null],
  ];
  for (const [text, afterMs] of waits) {
    assertEquals(answer(503, "", { "retry-after": text }), {
      kind: "retry",
      why: "HTTP 503",
      afterMs,
    });
  }
});

Deno.test("property: readDelivery() reads any body", () => {
  fc.assert(fc.property(fc.oneof(anyText(100), fc.json()), (body) => {
    assertEquals(answer(200, body).kind, "delivered");
  }));
});
