/** `pennon scan`: lists the updates of this host; needs no server, no registration and no root. */

import { readLastCounts } from "../scanners/last_scans.ts";
import { availableScanners, SCANNER_NAMES } from "../scanners/registry.ts";
import {
  describeSource,
  isUnsound,
  runScans,
  type RunScansOptions,
  type ScanReport,
} from "../scanners/run_scans.ts";
import type { Scanner } from "../scanners/scanner.ts";
import { stripControls } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import {
  type Arguments,
  type CliCommand,
  type ExitCode,
  JSON_OPTION,
  UsageError,
} from "./command.ts";
import { openSettings } from "./command_setup.ts";
import { scanAsCsv, scanAsJson, scanAsText } from "./scan_output.ts";
import { outputWidth } from "./terminal_text.ts";

/** Changes nothing on the host, and asks no server. */
export const scanCommand: CliCommand = {
  usage: "[--only NAMES] [--refresh] [--json | --csv]",
  details: [
    "Asks every package manager on this host and changes nothing. Needs no",
    "server, no registration and no administrator rights. Exits 0 whether or not",
    "there are updates, 1 if a scanner failed.",
  ],
  options: [
    { name: "only", value: "NAMES", summary: `Ask only these: ${SCANNER_NAMES.join(", ")}` },
    { name: "refresh", summary: "Download new package lists first" },
    JSON_OPTION,
    { name: "csv", summary: "Print the answer as CSV" },
  ],
  maxArguments: 0,
  async run(system, given) {
    if (given.flags.has("json") && given.flags.has("csv")) {
      throw new UsageError('Cannot print JSON and CSV at once: use "--json" or "--csv"');
    }
    const { config, stateDirectory } = await openSettings(system, given);
    const only = given.values["only"];
    const names = only === undefined ? config.scanners.enabled : readNames(only);
    const startedMs = system.clock.nowMs();
    const [scanners, lastCounts] = await Promise.all([
      availableScanners(system, names),
      readLastCounts(system.files, stateDirectory),
    ]);
    const reports = await scanWithProgress(system, scanners, {
      lastCounts,
      ignore: config.scanners.ignore,
      changelogs: config.scanners.changelogs,
      refresh: given.flags.has("refresh"),
      cacheDirectory: `${stateDirectory}/cache`,
    });
    system.terminal.print(await format(system, given, { reports, names, startedMs }));
    const isTable = !given.flags.has("json") && !given.flags.has("csv");
    printWarnings(system, reports, isTable);
    const missing = names.filter((name) => !reports.some((report) => report.name === name));
    return exitCode(system, reports, only === undefined ? [] : missing);
  },
};

function readNames(list: string): string[] {
  return list.split(",").map((word) => {
    const name = SCANNER_NAMES.find((known) => known === word.trim());
    if (name) return name;
    throw new UsageError(
      `Cannot scan with "${word}": it is not one of ${SCANNER_NAMES.join(", ")}`,
    );
  });
}

/** Scans with a line of progress on stderr; Ctrl-C also ends the package managers. */
async function scanWithProgress(
  system: System,
  scanners: readonly Scanner[],
  options: RunScansOptions,
): Promise<ScanReport[]> {
  const stop = new AbortController();
  const endListening = system.onStopRequest((signal) =>
    stop.abort(new Error(`stopped: ${signal}`))
  );
  const names = scanners.map(({ name }) => name).join(", ");
  if (names !== "") system.terminal.showProgress(`Asking ${names} ...`);
  try {
    return await runScans(system, scanners, { ...options, signal: stop.signal });
  } finally {
    system.terminal.showProgress("");
    endListening();
  }
}

async function format(
  system: System,
  { flags }: Arguments,
  scan: { reports: readonly ScanReport[]; names: readonly string[]; startedMs: number },
): Promise<string> {
  const host = system.machine.hostName();
  if (flags.has("json")) return scanAsJson({ ...scan, host });
  if (flags.has("csv")) return scanAsCsv(scan.reports);
  return await scanAsText(scan.reports, {
    width: outputWidth(system.terminal),
    machine: system.architecture,
  });
}

/** Prints errors and warnings; a table already has a line for each unsound source. */
function printWarnings(system: System, reports: readonly ScanReport[], isTable: boolean): void {
  for (const { name, error, warnings, sources } of reports) {
    const shown = new Set(isTable ? sources.filter(isUnsound).map(describeSource) : []);
    for (const warning of error ? [error.message] : warnings) {
      if (!shown.has(warning)) {
        system.terminal.printError(`pennon: ${name}: ${stripControls(warning)}`);
      }
    }
  }
}

/** `missing`: scanners that were named and are not on this host. */
function exitCode(
  system: System,
  reports: readonly ScanReport[],
  missing: readonly string[],
): ExitCode {
  for (const name of missing) {
    system.terminal.printError(`pennon: Cannot scan with ${name}: it is not on this host`);
  }
  if (reports.length === 0 && missing.length === 0) {
    system.terminal.printError("pennon: no package manager that Pennon knows is on this host");
  }
  return missing.length > 0 || reports.some(({ result }) => result === "failed") ? 1 : 0;
}
