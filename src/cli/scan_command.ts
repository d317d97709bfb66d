/** `pennon scan`: what could be updated here, now; needs no server, no registration, no root. */

import { availableScanners, SCANNER_NAMES } from "../scanners/registry.ts";
import { readLastCounts } from "../scanners/last_scans.ts";
import {
  describeSource,
  isUnsound,
  runScans,
  type RunScansOptions,
  type ScanReport,
} from "../scanners/run_scans.ts";
import type { Scanner } from "../scanners/scanner.ts";
import type { System } from "../system/system.ts";
import type { Arguments } from "./arguments.ts";
import { type CliCommand, type ExitCode, UsageError } from "./command.ts";
import { stripControls } from "../strip_controls.ts";
import { scanAsCsv, scanAsJson } from "./scan_output.ts";
import { scanAsText } from "./scan_text.ts";
import { openSettings } from "./settings.ts";

export const scanCommand: CliCommand = {
  usage: "[--only NAMES] [--refresh] [--json or --csv]",
  details: [
    "Asks every package manager that is here and changes nothing. Needs no",
    "server and no registration; an ordinary user's rights are enough.",
    "Exits 0 whether or not there are updates, 1 if a scanner failed.",
  ],
  options: [
    { name: "only", value: "NAMES", summary: `Only these: ${SCANNER_NAMES.join(", ")}` },
    { name: "refresh", summary: "Fetch new package lists first" },
    { name: "json", summary: "Answer in JSON" },
    { name: "csv", summary: "Answer in CSV" },
  ],
  maxArguments: 0,
  async run(system, given) {
    if (given.flags.has("json") && given.flags.has("csv")) {
      throw new UsageError('Cannot answer in JSON and CSV at once: give "--json" or "--csv"');
    }
    const { config, stateDirectory } = await openSettings(system, given);
    const only = given.values["only"];
    const names = only === undefined ? config.scanners.enabled : readNames(only);
    const startedMs = system.clock.nowMs();
    const [scanners, lastCounts] = await Promise.all([
      availableScanners(system, names),
      readLastCounts(system.files, stateDirectory),
    ]);
    const reports = await scanInTheOpen(system, scanners, {
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
    throw new UsageError(`Cannot scan with "${word}": it is none of ${SCANNER_NAMES.join(", ")}`);
  });
}

/** Scans, and says so on the terminal while it takes; Ctrl-C ends the package managers too. */
async function scanInTheOpen(
  system: System,
  scanners: readonly Scanner[],
  options: RunScansOptions,
): Promise<ScanReport[]> {
  const stop = new AbortController();
  const endListening = system.onStopRequest((signal) =>
    stop.abort(new Error(`stopped: ${signal}`))
  );
  const names = scanners.map(({ name }) => name).join(", ");
  if (scanners.length > 0) system.terminal.showProgress(`Asking ${names} ...`);
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
  const { terminal } = system;
  const width = terminal.stdoutIsTerminal ? terminal.columns() : Infinity;
  return await scanAsText(scan.reports, { width, machine: system.architecture });
}

/** Prints what is missing; a table has a line for each unsound source already. */
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

/** `missing`: asked for by name, and not on this host. */
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
