import { assert, assertEquals } from "@std/assert";
import { type Host, onHost } from "../e2e/harness.ts";
import { lacks } from "../real/lacks.ts";
import { Program } from "../../tools/program.ts";
import { freePort } from "./free_port.ts";
import { ODD_SCANS } from "./known_state.ts";

const ignore = await lacks("prometheus", "prometheus-node-exporter");

/** Prometheus and a node_exporter that reads one directory; `query` asks Prometheus. */
async function startPrometheus(host: Host, directory: string) {
  const [exporterPort, port] = [freePort(), freePort()];
  const config = `${host.folder}/prometheus.yml`;
  await Deno.writeTextFile(
    config,
    `global: { scrape_interval: 1s }
scrape_configs: [{ job_name: node, static_configs: [{ targets: ["127.0.0.1:${exporterPort}"] }] }]
`,
  );
  const programs = [
    new Program({
      argv: [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        `--collector.textfile.directory=${directory}`,
        `--web.listen-address=127.0.0.1:${exporterPort}`,
      ],
    }),
    new Program({
      argv: [
        "prometheus",
        `--config.file=${config}`,
        `--storage.tsdb.path=${host.folder}/tsdb`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
    }),
  ];
  const query = async (expression: string) => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
    const { data } = await (await fetch(url)).json();
    return (data.result as { metric: Record<string, string>; value: [number, string] }[])
      .map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  };
  /** Waits until the only result of a query is as wanted. */
  const until = async (expression: string, isWanted: (value: number) => boolean) => {
    let last: unknown = null;
    for (const endMs = performance.now() + 40_000; performance.now() < endMs;) {
      const results = await query(expression).catch(() => []);
      last = results;
      if (results.length === 1 && isWanted(results[0]!.value)) return results[0]!.value;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`Cannot go on: ${expression} is ${JSON.stringify(last)}`);
  };
  return { query, until, stop: () => Promise.all(programs.map((each) => each.stop("SIGKILL"))) };
}

Deno.test(
  "Prometheus scrapes the running agent's file through node_exporter",
  { ignore },
  () =>
    onHost(async (host) => {
      const directory = `${host.folder}/node_exporter`;
      const path = `${directory}/pennon.prom`;
      await Deno.mkdir(directory, { mode: 0o755 });
      await Deno.writeTextFile(
        `${host.folder}/config.toml`,
        `[metrics]\ntextfile = "${path}"\n`,
        { append: true },
      );
      await host.register();
      await Deno.writeTextFile(`${host.stateDirectory}/last-scans.json`, ODD_SCANS);
      const { query, until, stop } = await startPrometheus(host, directory);
      try {
        const agent = host.run();
        await until("pennon_server_reachable", (value) => value === 1);
        const { mode } = await Deno.stat(path);
        assertEquals((mode ?? 0) & 0o777, 0o644);
        assertEquals(Array.from(Deno.readDirSync(directory), ({ name }) => name), ["pennon.prom"]);

        const values = async (expression: string) =>
          (await query(expression)).map(({ value }) => value);
        assertEquals(await values("pennon_updates_pending"), [3]);
        assertEquals(await values('pennon_security_updates_pending{scanner="apt"}'), [2]);
        assertEquals(
          await values('pennon_updates{state="upgradable",severity="important",security="true"}'),
          [2],
        );
        assertEquals(await values('pennon_updates{state="held"}'), [1]);
        assertEquals(await values("pennon_reboot_required"), [1]);
        assertEquals(await values('pennon_breaker_state{breaker="connection",state="closed"}'), [
          1,
        ]);
        assertEquals(await values("node_textfile_scrape_error"), [0]);
        const sources = await query("pennon_source_ok");
        assertEquals(
          sources.map(({ metric, value }) => [metric["source"], value]).sort(),
          [['a "quoted" \\ name', 1], [
            "https://deb.example/debian stable/main \u00e4\u{1f4e6}",
            0,
          ]],
        );
        const [age = 0] = await values('pennon_source_lists_age_seconds{source=~"a.*"}');
        assert(age >= 3 * 3_600 && age < 3 * 3_600 + 120, `${age}`);
        const [written = 0] = await values("time() - pennon_metrics_written_timestamp_seconds");
        assert(written >= 0 && written < 60, `${written}`);
        const { buffer } = JSON.parse((await host.pennon(["status", "--json"])).out);
        await until("pennon_buffer_delivered_events_total", (value) => value === buffer.delivered);

        // An outage shows, and a dead agent's file keeps its last words: its age tells.
        await host.server.close();
        await until("pennon_server_reachable", (value) => value === 0);
        await until("pennon_outage_failed_calls", (value) => value > 0);
        await agent.stop("SIGKILL");
        const [before] = await values("pennon_metrics_written_timestamp_seconds");
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        assertEquals(await values("pennon_metrics_written_timestamp_seconds"), [before]);
        const [stale = 0] = await values("time() - pennon_metrics_written_timestamp_seconds");
        assert(stale >= 3, `${stale}`);
      } finally {
        await stop();
      }
    }),
);
