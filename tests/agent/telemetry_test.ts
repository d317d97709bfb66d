import { assert, assertEquals, assertRejects } from "@std/assert";
import { openTelemetry, readMetrics } from "../../src/agent/telemetry.ts";
import { loadConfig } from "../../src/config.ts";
import { Secrets } from "../../src/redact.ts";
import type { HttpRequest } from "../../src/system/http.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "/state";

async function setUp(environment: Record<string, string> = {}) {
  const system = new FakeSystem();
  for (const [name, value] of Object.entries(environment)) {
    system.environment.set(`PENNON_${name}`, value);
  }
  const requests: HttpRequest[] = [];
  system.sendHttp = (request) => {
    requests.push(request);
    return Promise.resolve({ status: 200, headers: {}, body: new TextEncoder().encode("{}") });
  };
  const { config } = await loadConfig(system);
  const log = new FakeLog();
  const secrets = new Secrets();
  const deps = { system, config, stateDirectory: STATE, agentId: "a1", log, secrets };
  return { system, config, log, secrets, requests, deps };
}

Deno.test("readMetrics() reads the need for a restart that the last scans found", async () => {
  const { system, deps } = await setUp();
  const scan = { result: "ok", updates: 0, security: 0, duration_ms: 1, error: null };
  const scanned = (agoMs: number) =>
    system.files.texts.set(
      `${STATE}/last-scans.json`,
      JSON.stringify({
        schema: "pennon.last-scans/1",
        scanners: {
          apt: {
            ...scan,
            scanned_at: new Date(system.clock.nowMs() - agoMs).toISOString(),
            reboot: { required: true, reason: "a kernel" },
          },
        },
      }),
    );
  const rebootOf = async () =>
    (await readMetrics(system, deps)).find(({ name }) => name === "pennon_reboot_required")
      ?.samples.map(({ value }) => value);
  scanned(3_600_000); // The fake host started an hour ago.
  assertEquals(await rebootOf(), [1]);
  scanned(3_600_001);
  assertEquals(await rebootOf(), []);
  system.machine.uptimeS = () => null;
  assertEquals(await rebootOf(), [1]);
});

Deno.test("openTelemetry() runs nothing unless it is configured", async () => {
  const { system, log, requests, deps } = await setUp();
  const telemetry = await openTelemetry(deps);
  assertEquals(telemetry.log, log);
  await telemetry.run(new AbortController().signal);
  assertEquals([requests.length, system.clock.sleeping], [0, 0]);
});

Deno.test("openTelemetry() keeps the file and sends to the collector, until it is stopped", async () => {
  const { system, requests, deps, secrets } = await setUp({
    METRICS_TEXTFILE: "/metrics/pennon.prom",
    TELEMETRY_OTLP_ENDPOINT: "https://collector.test/",
    TELEMETRY_OTLP_HEADERS: "Authorization=Bearer a-long-secret,x-scope=1",
    PROXY_HTTPS: "http://proxy.test:3128",
    TELEMETRY_CA_FILE: "/etc/ca.pem",
  });
  system.files.texts.set("/etc/ca.pem", "a certificate");
  const telemetry = await openTelemetry(deps);
  const stop = new AbortController();
  const running = telemetry.run(stop.signal);
  await system.clock.advance(70_000);
  stop.abort();
  await running;
  assert(system.files.texts.get("/metrics/pennon.prom")?.includes("pennon_registered 0\n"));
  const { url, headers, proxyUrl, tls } = requests[0]!;
  assertEquals(url, "https://collector.test/v1/metrics");
  assertEquals(headers, {
    authorization: "Bearer a-long-secret",
    "x-scope": "1",
    "content-type": "application/json",
  });
  assertEquals([proxyUrl, tls], ["http://proxy.test:3128", { ca: "a certificate" }]);
  assertEquals(secrets.hide("a-long-secret"), "(hidden)");
});

Deno.test("openTelemetry() refuses a certificate that is not there", async () => {
  const { deps } = await setUp({
    TELEMETRY_OTLP_ENDPOINT: "https://collector.test",
    TELEMETRY_CA_FILE: "/etc/ca.pem",
  });
  await assertRejects(() => openTelemetry(deps), Error, "Cannot read telemetry.ca_file: no file");
});

Deno.test("Telemetry.run() survives a mistake of the program, and logs it", async () => {
  const { system, log, deps } = await setUp({ METRICS_TEXTFILE: "/metrics/pennon.prom" });
  system.files.texts.set("/metrics/x", "");
  const telemetry = await openTelemetry(deps);
  system.files.writeText = () => Promise.reject(new TypeError("oops"));
  await telemetry.run(new AbortController().signal);
  assertEquals(log.told("telemetry ended"), [{ why: "TypeError: oops" }]);
});
