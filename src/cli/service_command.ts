/** `pennon service`: the agent as a service of this host, installed, removed, shown. */

import { completeAdvice, PLACES } from "../advice.ts";
import { locations } from "../config/locations.ts";
import type { Service } from "../service/manager.ts";
import { hostService } from "../service/service.ts";
import { SERVICE_STATE_DIRECTORY } from "../service/systemd.ts";
import { safeJson } from "../strip_controls.ts";
import { SYSLOG_PRIORITY, type System } from "../system/system.ts";
import { joinNames } from "../wording.ts";
import { findAdviceFacts } from "./advice_facts.ts";
import {
  type Arguments,
  type CliCommand,
  type ExitCode,
  JSON_OPTION,
  UsageError,
} from "./command.ts";

const DEFAULT_LINES = 100;
const MOST_LINES = 10_000;

/** Its own state directory counts, whoever asks: that of the service. */
export const serviceCommand: CliCommand = {
  usage: "install | uninstall | status | logs [--print] [--json] [--lines N]",
  details: [
    "install makes the agent start at boot: a systemd unit on Linux, a scheduled",
    "task on Windows, a launch daemon on macOS. It starts the agent if this host is",
    "registered, and may be repeated. uninstall stops and removes the service; the",
    "state, the configuration and the program stay. With --print, install shows",
    "what it would write and changes nothing. status exits 1 if the agent does not",
    "run. All but status and logs need root, or an administrator.",
  ],
  options: [
    {
      name: "print",
      actions: ["install"],
      summary: "Print the unit, task or daemon; change nothing",
    },
    {
      name: "lines",
      value: "N",
      actions: ["logs"],
      summary: `Lines of the log, ${DEFAULT_LINES} by default`,
    },
    { ...JSON_OPTION, actions: ["install", "uninstall", "status"] },
  ],
  maxArguments: 1,
  needsAction: true,
  actions: [
    { name: "install", summary: "Start the agent at boot, and now" },
    { name: "uninstall", summary: "Stop and remove the service" },
    { name: "status", summary: "Show whether the service runs" },
    { name: "logs", summary: "Print the end of the log" },
  ],
  async run(system, given) {
    const [action] = given.positional;
    warnOfPlaces(system, given);
    const service = hostService(system, stateDirectoryOf(system));
    const isJson = given.flags.has("json");
    switch (action) {
      case "install":
        if (given.flags.has("print")) system.terminal.print(service.definition().trimEnd());
        else await printDone(system, "install", await service.install(), isJson);
        return 0;
      case "uninstall":
        await printDone(system, "uninstall", await service.uninstall(), isJson);
        return 0;
      case "status":
        return await printStatus(system, service, isJson);
      default:
        system.terminal.print(await service.logs(linesOf(given.values["lines"])));
        return 0;
    }
  },
};

/** On Linux a user's own agent has another one: the service never has. */
function stateDirectoryOf(system: System): string {
  return system.os === "linux" ? SERVICE_STATE_DIRECTORY : locations(system).stateDirectory;
}

/** The service has places of its own, and a user who names others would wait for their effect. */
function warnOfPlaces({ terminal }: System, { values }: Arguments): void {
  const given = PLACES.filter((name) => values[name] !== undefined).map((name) => `"--${name}"`);
  if (given.length === 0) return;
  terminal.printError(
    `pennon: without effect here: ${joinNames(given)}; the service has its own configuration and ` +
      "state",
    SYSLOG_PRIORITY.warning,
  );
}

async function printDone(
  system: System,
  action: "install" | "uninstall",
  done: readonly string[],
  isJson: boolean,
): Promise<void> {
  // Without the places that were given: the advice is on the service, which has its own.
  const facts = await findAdviceFacts(system, {});
  const lines = done.map((line) => completeAdvice(line, facts));
  const answer = { schema: `pennon.service-${action}/1`, done: lines };
  system.terminal.print(isJson ? safeJson(answer) : lines.join("\n"));
}

async function printStatus(
  { terminal }: System,
  service: Service,
  isJson: boolean,
): Promise<ExitCode> {
  const { isInstalled, isRunning, details } = await service.status();
  if (isJson) {
    const schema = "pennon.service-status/1";
    terminal.print(safeJson({ schema, installed: isInstalled, running: isRunning, details }));
  } else {
    const state = !isInstalled ? "not installed" : isRunning ? "running" : "not running";
    const rows = Object.entries({ Service: state, ...details });
    const width = Math.max(...rows.map(([name]) => name.length));
    terminal.print(rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n"));
  }
  return isRunning ? 0 : 1;
}

function linesOf(written: string | undefined): number {
  if (written === undefined) return DEFAULT_LINES;
  const lines = /^\d{1,5}$/.test(written) ? Number(written) : 0;
  if (lines >= 1 && lines <= MOST_LINES) return lines;
  throw new UsageError(
    `Cannot read "--lines ${written}": it takes a whole number from 1 to ${MOST_LINES}`,
  );
}
