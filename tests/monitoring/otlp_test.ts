import { assert, assertEquals } from "@std/assert";
import { Program } from "../../tools/program.ts";
import { METRICS } from "../../src/agent/metrics.ts";
import { onHost } from "../e2e/harness.ts";
import { lacks } from "../real/lacks.ts";
import { freePort } from "./free_port.ts";
import { ODD_SCANS } from "./known_state.ts";

/** How one is built: otelcol_builder.yaml. */
const COLLECTOR = Deno.env.get("PENNON_OTELCOL") ?? "otelcol";

const ignore = await lacks(COLLECTOR);

interface Point {
  readonly name: string;
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The data points that the collector's debug exporter has printed. */
function pointsIn(lines: readonly string[]): Point[] {
  const points: Point[] = [];
  let name = "";
  let type = "";
  let attributes: Record<string, string> = {};
  for (const line of lines) {
    const [, key, text = ""] = /^ +-> ([^:]+): (.*)$/.exec(line) ?? [];
    const [, value] = /^Value: (\S+)$/.exec(line) ?? [];
    if (/^NumberDataPoints #/.test(line)) attributes = {};
    else if (key === "Name") name = text;
    else if (key === "DataType") type = text;
    else if (key !== undefined) attributes[key] = /^Str\((.*)\)$/.exec(text)?.[1] ?? text;
    else if (value !== undefined) points.push({ name, type, attributes, value: Number(value) });
  }
  return points;
}

Deno.test(
  "a real OpenTelemetry collector receives the agent's metrics and events",
  { ignore },
  () =>
    onHost(async (host) => {
      const port = freePort();
      await Deno.writeTextFile(
        `${host.folder}/collector.yaml`,
        `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { debug: { verbosity: detailed } }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    metrics: { receivers: [otlp], exporters: [debug] }
    logs: { receivers: [otlp], exporters: [debug] }
`,
      );
      await Deno.writeTextFile(
        `${host.folder}/config.toml`,
        `[telemetry]\notlp_endpoint = "http://127.0.0.1:${port}"\ninterval = "10s"\n`,
        { append: true },
      );
      await host.register();
      await Deno.writeTextFile(`${host.stateDirectory}/last-scans.json`, ODD_SCANS);
      const collector = new Program({
        argv: [COLLECTOR, "--config", `${host.folder}/collector.yaml`],
      });
      try {
        await collector.waitFor("start", (line) => line.includes("Everything is ready"));
        const agent = host.run();
        const isMetric = (name: string) => (line: string) => line.endsWith(`-> Name: ${name}`);
        await collector.waitFor("metrics", isMetric("pennon_reboot_required"));
        await collector.waitFor("the next export", (line) => line.includes("ResourceMetrics #0"));
        const points = pointsIn(collector.lines);
        const valueOf = (name: string, attributes: Record<string, string> = {}) =>
          points.find((point) =>
            point.name === name &&
            Object.entries(attributes).every(([key, value]) => point.attributes[key] === value)
          )?.value;
        assertEquals(valueOf("pennon_updates_pending", { scanner: "apt" }), 3);
        assertEquals(valueOf("pennon_updates", { severity: "important", security: "true" }), 2);
        assertEquals(valueOf("pennon_source_ok", { source: 'a "quoted" \\ name' }), 1);
        assertEquals(valueOf("pennon_server_reachable"), 1);
        assertEquals(valueOf("pennon_registered"), 1);
        const counter = points.find(({ name }) => name === "pennon_buffer_delivered_events_total");
        assertEquals([counter?.type, (counter?.value ?? 0) > 0], ["Sum", true]);
        for (const { name } of points) assert(Object.hasOwn(METRICS, name), name);
        const { agent_id: id } = JSON.parse((await host.pennon(["status", "--json"])).out);
        for (const text of ["service.name: Str(pennon)", `service.instance.id: Str(${id})`]) {
          assert(collector.lines.some((line) => line.endsWith(text)), text);
        }

        // An event of the agent: after three failures the breaker opens.
        await host.server.close();
        await collector.waitFor("an event", (line) => line.includes("connection breaker opened"));
        for (const text of ["SeverityText: WARNING", "event.name: Str(circuit_breaker.opened)"]) {
          assert(collector.lines.some((line) => line.endsWith(text)), text);
        }
        // A collector that hangs holds up the end by a second at most.
        Deno.kill(collector.processId, "SIGSTOP");
        const startMs = performance.now();
        await agent.stop();
        assert(performance.now() - startMs < 6_000, `${performance.now() - startMs}`);
        Deno.kill(collector.processId, "SIGCONT");
      } finally {
        await collector.stop("SIGKILL");
      }
    }),
);
