/**
 * The metrics of this host, and what carries them and the agent's errors outside while it runs: a file, a
 * collector, the Event Log of Windows.
 */

import type { Config } from "../config/settings.ts";
import type { Log } from "../log.ts";
import { quoteWords, type Secrets } from "../redact.ts";
import { LAST_SCANS_NAME, lastReboot } from "../scanners/last_scans.ts";
import type { System } from "../system/system.ts";
import type { Metric } from "../telemetry/metric.ts";
import { VERSION } from "../version.ts";
import { proxyFor, readConfiguredFile } from "./create_client.ts";
import { EventLog } from "./event_log.ts";
import { assessHealth } from "./health.ts";
import { collectMetrics } from "./metrics.ts";
import { MetricsFile } from "./metrics_file.ts";
import { type CollectorRequest, OtlpExport } from "./otlp_export.ts";
import { STATE_FILE } from "./saved_state.ts";
import { readStatus } from "./status.ts";

interface TelemetryDeps {
  readonly system: System;
  readonly config: Config;
  readonly stateDirectory: string;
  readonly agentId: string;
  readonly log: Log;
  /** Hidden in events; the collector's headers are added. */
  readonly secrets: Secrets;
}

/** Everything that the running agent does for its telemetry. */
export interface Telemetry {
  /** The log that the agent uses, so that its events reach the collector. */
  readonly log: Log;
  /** Until `signal` is aborted, and a second longer. Never throws. */
  run(signal: AbortSignal): Promise<void>;
}

/** Reads the metrics from the files of the agent, which need not run. Throws `FileError`. */
export async function readMetrics(
  system: System,
  options: Pick<TelemetryDeps, "config" | "stateDirectory">,
): Promise<Metric[]> {
  const { os, architecture, machine } = system;
  const status = await readStatus(system, options);
  const uptimeS = machine.uptimeS();
  const startedMs = uptimeS === null ? null : status.nowMs - uptimeS * 1_000;
  return collectMetrics({
    status,
    health: assessHealth(status),
    version: VERSION,
    os,
    architecture,
    reboot: lastReboot(status.scans, startedMs),
  });
}

/**
 * Prepares what the configuration asks for; with none of them, nothing runs. Throws as
 * `createClient` does where `telemetry.ca_file` cannot be used.
 */
export async function openTelemetry(deps: TelemetryDeps): Promise<Telemetry> {
  const { system, config, stateDirectory, secrets } = deps;
  const collect = () => readMetrics(system, deps);
  const { textfile } = config.metrics;
  const { endpoint, intervalMs } = config.telemetry;
  const exporter = endpoint === null ? null : new OtlpExport({
    system,
    log: deps.log,
    secrets,
    resource: {
      version: VERSION,
      agentId: deps.agentId,
      hostName: system.machine.hostName(),
      os: system.os,
    },
    endpoint,
    request: await collectorRequest(deps, endpoint),
    intervalMs,
    collect,
  });
  const exported = exporter?.log ?? deps.log;
  const eventLog = system.os === "windows" && config.log.eventLog
    ? new EventLog({
      system,
      log: exported,
      secrets,
      health: async () => assessHealth(await readStatus(system, deps)),
    })
    : null;
  const log = eventLog?.log ?? exported;
  const file = textfile === null ? null : new MetricsFile({
    system,
    log,
    path: textfile,
    sources: [STATE_FILE.pathIn(stateDirectory), `${stateDirectory}/${LAST_SCANS_NAME}`],
    collect,
  });
  const parts = [file, exporter, eventLog].filter((part) => part !== null);
  return {
    log,
    async run(signal) {
      // The agent goes on without its telemetry.
      const running = parts.map((part) =>
        part.run(signal).catch((error) => {
          log.error("telemetry ended", { why: quoteWords(String(error), LONGEST_TEXT) });
        })
      );
      await Promise.all(running);
    },
  };
}

const LONGEST_TEXT = 500;

async function collectorRequest(
  { system, config, log, secrets }: TelemetryDeps,
  endpoint: string,
): Promise<CollectorRequest> {
  const { headers, caFile } = config.telemetry;
  const pairs = headers.map((header) => {
    const at = header.indexOf("=");
    return [header.slice(0, at).toLowerCase(), header.slice(at + 1)] as const;
  });
  // The scheme of "Bearer TOKEN" is no secret, and the token is one by itself.
  for (const [, value] of pairs) secrets.add(value.slice(value.lastIndexOf(" ") + 1));
  const proxyUrl = proxyFor(endpoint, config.proxy);
  const warn = (why: string) => log.warning("file is not safe", { why });
  const ca = caFile === null ? null : await readConfiguredFile(system, {
    name: "telemetry.ca_file",
    path: caFile,
    use: "configuration",
  }, warn);
  return {
    headers: Object.fromEntries(pairs),
    ...(proxyUrl !== null && { proxyUrl }),
    ...(ca !== null && { tls: { ca } }),
  };
}
