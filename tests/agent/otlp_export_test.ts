import { assert, assertEquals } from "@std/assert";
import { OtlpExport } from "../../src/agent/otlp_export.ts";
import { Secrets } from "../../src/redact.ts";
import { FileError } from "../../src/system/files.ts";
import { HttpError, type HttpRequest, type HttpResponse } from "../../src/system/http.ts";
import type { Metric } from "../../src/telemetry/metric.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const METRIC: Metric = {
  name: "pennon_a",
  type: "gauge",
  unit: "1",
  help: "A",
  samples: [{ labels: {}, value: 1 }],
};

const FINE = { status: 200, headers: {}, body: new TextEncoder().encode("{}") };

function setUp() {
  const system = new FakeSystem();
  system.random = () => 0.5; // No jitter.
  const startMs = system.clock.monotonicMs();
  const log = new FakeLog();
  const requests: (HttpRequest & { atMs: number })[] = [];
  const state = {
    answer: (_: HttpRequest): Promise<HttpResponse> => Promise.resolve(FINE),
    collect: () => Promise.resolve([METRIC]),
  };
  system.sendHttp = (request) => {
    requests.push({ ...request, atMs: system.clock.monotonicMs() - startMs });
    return state.answer(request);
  };
  const stop = new AbortController();
  const exporter = new OtlpExport({
    system,
    log,
    secrets: new Secrets(["very-secret-token"]),
    resource: { version: "1.0.0", agentId: "a1", hostName: "h", os: "linux" },
    endpoint: "http://127.0.0.1:4318",
    request: { headers: { authorization: "Bearer x" } },
    intervalMs: 60_000,
    collect: () => state.collect(),
  });
  const running = exporter.run(stop.signal);
  const records = () =>
    requests.filter(({ url }) => url.endsWith("/v1/logs"))
      .map(({ body }) => JSON.parse(body ?? "").resourceLogs[0].scopeLogs[0].logRecords);
  const at = (path: string) => requests.filter(({ url }) => url.endsWith(path)).map((r) => r.atMs);
  return { system, log, requests, records, at, state, stop, exporter, running };
}

const refuse = () => Promise.reject(new HttpError("Cannot connect", { reason: "refused" }));
const answerWith = (status: number, headers = {}) => () =>
  Promise.resolve({ status, headers, body: new Uint8Array() });

Deno.test("OtlpExport sends metrics at its interval, with headers and time limits", async () => {
  const { system, requests, at, stop, running } = setUp();
  await system.clock.advance(125_000);
  assertEquals(at("/v1/metrics"), [60_000, 120_000]);
  const { url, method, headers, connectTimeoutMs, timeoutMs, body } = requests[0]!;
  assertEquals([url, method], ["http://127.0.0.1:4318/v1/metrics", "POST"]);
  assertEquals(headers, { authorization: "Bearer x", "content-type": "application/json" });
  assertEquals([connectTimeoutMs, timeoutMs], [5_000, 10_000]);
  assert(body?.includes("pennon_a"));
  stop.abort();
  await running;
});

Deno.test("OtlpExport sends the agent's events, without secrets, and logs every line", async () => {
  const { system, log, records, exporter, stop, running } = setUp();
  await settle();
  exporter.log.warning("scan failed", { why: "very-secret-token", token: "x", scanner: "apt" });
  exporter.log.info("checked in");
  exporter.log.error("command not run", { security_event: "bad_signature" });
  exporter.log.debug("scan failed");
  await system.clock.advance(60_000);
  assertEquals(log.events.length, 4);
  const [sent] = records();
  assertEquals(sent.map(({ body }: { body: unknown }) => body), [
    { stringValue: "scan failed" },
    { stringValue: "command not run" },
  ]);
  const text = JSON.stringify(sent);
  assert(!text.includes("very-secret-token") && text.includes("(hidden)"), text);
  assert(text.includes("scan.failed") && text.includes("security.bad_signature"), text);
  await system.clock.advance(60_000);
  assertEquals(records().length, 1); // Sent once.
  stop.abort();
  await running;
});

Deno.test("OtlpExport waits longer after each failure, up to 15 minutes, and logs an outage once", async () => {
  const { system, log, at, state, stop, running } = setUp();
  state.answer = refuse;
  await system.clock.advance(4_000_000);
  const minutes = at("/v1/metrics").map((ms) => ms / 60_000);
  assertEquals(minutes, [1, 3, 7, 15, 30, 45, 60]);
  assertEquals(log.events.map(({ message }) => message), ["telemetry not delivered"]);
  assertEquals(log.told("telemetry not delivered"), [{
    collector: "http://127.0.0.1:4318",
    why: "Cannot connect",
  }]);
  state.answer = () => Promise.resolve(FINE);
  await system.clock.advance(900_000);
  assertEquals(log.told("telemetry delivered again"), [{ events_dropped: 0 }]);
  assertEquals(log.events.length, 2);
  const before = at("/v1/metrics").length;
  await system.clock.advance(60_000);
  assertEquals(at("/v1/metrics").length, before + 1);
  stop.abort();
  await running;
});

Deno.test("OtlpExport keeps the newest 500 events through an outage, and counts the others", async () => {
  const { system, log, records, state, exporter, stop, running } = setUp();
  state.answer = refuse;
  await settle();
  for (let at = 0; at < 300; at++) exporter.log.error("scan failed", { at });
  await system.clock.advance(60_000);
  for (let at = 300; at < 501; at++) exporter.log.error("scan failed", { at });
  state.answer = () => Promise.resolve(FINE);
  await system.clock.advance(120_000);
  const numbers = records().at(-1).map((record: { attributes: { key: string; value: object }[] }) =>
    record.attributes.find(({ key }) => key === "at")?.value
  );
  assertEquals(numbers.length, 500);
  assertEquals([numbers[0], numbers.at(-1)], [{ doubleValue: 1 }, { doubleValue: 500 }]);
  assertEquals(log.told("telemetry delivered again"), [{ events_dropped: 1 }]);
  stop.abort();
  await running;
});

Deno.test("OtlpExport drops the events that a collector refuses for good, and counts them", async () => {
  const { system, log, records, state, exporter, stop, running } = setUp();
  await settle();
  exporter.log.error("scan failed");
  state.answer = answerWith(400);
  await system.clock.advance(60_000);
  assertEquals(log.told("telemetry not delivered")[0]?.["why"], "HTTP 400");
  state.answer = () => Promise.resolve(FINE);
  await system.clock.advance(120_000);
  assertEquals(records().length, 1);
  assertEquals(log.told("telemetry delivered again"), [{ events_dropped: 1 }]);
  stop.abort();
  await running;
});

Deno.test("OtlpExport waits as long as the collector asks", async () => {
  const { system, at, state, stop, running } = setUp();
  state.answer = answerWith(503, { "retry-after": "600" });
  await system.clock.advance(700_000);
  assertEquals(at("/v1/metrics"), [60_000, 660_000]);
  stop.abort();
  await running;
});

Deno.test("OtlpExport exports once more when it is stopped, and gives the collector a second", async () => {
  const { system, requests, state, stop, running, log } = setUp();
  state.answer = ({ signal }) =>
    new Promise((_, reject) => {
      const aborted = new HttpError("Cannot send: aborted", { reason: "aborted" });
      signal?.addEventListener("abort", () => reject(aborted));
    });
  await system.clock.advance(30_000);
  stop.abort();
  let isOver = false;
  const ended = running.then(() => isOver = true);
  await system.clock.advance(999);
  assertEquals([requests.length, isOver], [1, false]);
  await system.clock.advance(1);
  await ended;
  assertEquals(log.events, []);
});

Deno.test("OtlpExport ends at once if the collector is out", async () => {
  const { system, requests, state, stop, running } = setUp();
  state.answer = refuse;
  await system.clock.advance(60_000);
  stop.abort();
  await running;
  assertEquals(requests.length, 1);
});

Deno.test("OtlpExport sends its events also if the state cannot be read", async () => {
  const { system, log, records, at, state, exporter, stop, running } = setUp();
  await settle();
  state.collect = () => Promise.reject(new FileError("Cannot read", { reason: "denied" }));
  exporter.log.error("scan failed");
  await system.clock.advance(60_000);
  assertEquals([records().length, at("/v1/metrics").length, log.events.length], [1, 0, 1]);
  stop.abort();
  await running;
});
