/** `pennon metrics`: the metrics of this host as text for Prometheus. */

import { readMetrics } from "../agent/telemetry.ts";
import { prometheusText } from "../telemetry/prometheus.ts";
import type { CliCommand } from "./command.ts";
import { openSettings } from "./command_setup.ts";

/** Takes no lock, asks no package manager, and writes nothing. */
export const metricsCommand: CliCommand = {
  usage: "",
  details: [
    "Prints updates, lists, connection and buffer in Prometheus' text format, from",
    "the agent's files; the agent need not be running, nor the host registered.",
    "A running agent keeps a file of them with metrics.textfile, and sends them to",
    "an OpenTelemetry collector with telemetry.otlp_endpoint.",
  ],
  options: [],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const text = prometheusText(await readMetrics(system, settings));
    system.terminal.print(text.replace(/\n$/, "")); // The terminal ends the line.
    return 0;
  },
};
