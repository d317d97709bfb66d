/** `pennon scan`: lists the updates of this host; needs no server, no registration and no root. */

import { readLastCounts } from "../scanners/last_scans.ts";
import { availableScanners, SCANNER_NAMES } from "../scanners/registry.ts";
import {
  counted,
  describeSource,
  isUnsound,
  runScans,
  type RunScansOptions,
  type ScanReport,
} from "../scanners/run_scans.ts";
import type { Scanner, ScanSource } from "../scanners/scanner.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type ColouredWord, type Paint, painter } from "./colour.ts";
import {
  type Arguments,
  type CliCommand,
  InterruptedError,
  JSON_OPTION,
  UsageError,
} from "./command.ts";
import { openSettings } from "./command_setup.ts";
import {
  describeDoubt,
  describeNothingAsked,
  describeNotShown,
  FAIL_ON,
  failures,
  notShown,
  onlySecurity,
  type ShownReport,
} from "./scan_verdict.ts";
import { describeSize, isoInstant, outputWidth } from "./terminal_text.ts";
import { isOwnArchitecture } from "../server/update_item.ts";
import { combineReboots, compareUpdates, type RebootState, type Update } from "../update.ts";
import type { Column } from "./table.ts";

/** Changes nothing on the host, and asks no server. */
export const scanCommand: CliCommand = {
  usage: "[--security-only] [--fail-on LIST] [--json | --csv]",
  details: [
    "Asks every package manager on this host and changes nothing. Needs no",
    "server, no registration and no administrator rights. Exits 0 whether or not",
    "there are updates, 1 if a scanner failed or none could be asked. With",
    "--fail-on it exits 1 too if there is a security update, any update, or a",
    "pending restart: --fail-on security,reboot. Ignored updates do not count.",
  ],
  options: [
    {
      name: "only",
      value: "NAMES",
      choices: SCANNER_NAMES,
      isList: true,
      summary: "Ask only these",
    },
    { name: "security-only", summary: "Show only security updates" },
    {
      name: "fail-on",
      value: "LIST",
      choices: FAIL_ON,
      isList: true,
      summary: "Exit with 1 if there is one",
    },
    { name: "refresh", summary: "Download new package lists first" },
    JSON_OPTION,
    { name: "csv", summary: "Print the answer as CSV" },
  ],
  maxArguments: 0,
  async run(system, given) {
    if (given.flags.has("json") && given.flags.has("csv")) {
      throw new UsageError('Cannot print JSON and CSV at once: use "--json" or "--csv"');
    }
    // Only root and the agent's group may read what a package has installed.
    const settings = await openSettings(system, given, {}, { isOptional: true });
    const { config, stateDirectory } = settings;
    const only = given.values["only"]?.split(",");
    const names = only ?? config.scanners.enabled;
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
    const isTable = !given.flags.has("json") && !given.flags.has("csv");
    const shown = given.flags.has("security-only") ? reports.map(onlySecurity) : reports;
    const answer = await format(system, given, { reports: shown, names, startedMs });
    system.terminal.print(answer, { colours: isTable });
    printWarnings(system, reports, isTable);
    const missing = (only ?? []).filter((name) => !reports.some((report) => report.name === name));
    const conditions = given.values["fail-on"]?.split(",") ?? [];
    const problems = [
      ...missing.map((name) => `Cannot scan with ${name}: it is not on this host`),
      ...missing.length > 0 ? [] : [describeNothingAsked(names, reports) ?? []].flat(),
      ...failures(conditions, reports),
    ];
    for (const problem of [...problems, ...[describeDoubt(conditions, reports) ?? []].flat()]) {
      system.terminal.printError(`pennon: ${stripControls(problem)}`);
    }
    const hasFailed = reports.some(({ result }) => result === "failed");
    return hasFailed || problems.length > 0 ? 1 : 0;
  },
};

/** Scans with a line of progress on stderr; Ctrl-C also ends the package managers. */
async function scanWithProgress(
  system: System,
  scanners: readonly Scanner[],
  options: RunScansOptions,
): Promise<ScanReport[]> {
  const stop = new AbortController();
  const endListening = system.onStopRequest((signal) => stop.abort(new InterruptedError(signal)));
  const names = scanners.map(({ name }) => name).join(", ");
  if (names !== "") system.terminal.showProgress(`Asking ${names} ...`);
  try {
    return await runScans(system, scanners, { ...options, signal: stop.signal });
  } catch (error) {
    stop.signal.throwIfAborted(); // What the scanners threw only says that they were stopped.
    throw error;
  } finally {
    system.terminal.showProgress("");
    endListening();
  }
}

async function format(
  system: System,
  { flags }: Arguments,
  scan: { reports: readonly ShownReport[]; names: readonly string[]; startedMs: number },
): Promise<string> {
  const host = system.machine.hostName();
  const filter = flags.has("security-only") ? "security" : null;
  if (flags.has("json")) return scanAsJson({ ...scan, host, filter });
  if (flags.has("csv")) return scanAsCsv(scan.reports);
  return await scanAsText(scan.reports, {
    width: outputWidth(system.terminal),
    machine: system.architecture,
    paint: painter(system),
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

/** A scan, with its host and its time. */
export interface ScanOutput {
  /** One per scanner that this host has. */
  readonly reports: readonly ShownReport[];
  /** The requested scanners, including those that this host lacks. */
  readonly names: readonly string[];
  /** The host's name. */
  readonly host: string;
  /** In ms since the Unix epoch. */
  readonly startedMs: number;
  /** Which updates are shown. @default null: all */
  readonly filter?: "security" | null;
}

/** The schema `pennon.scan/1`, which only ever gains fields. */
export function scanAsJson(answer: ScanOutput): string {
  const found = new Map(answer.reports.map((report) => [report.name as string, report]));
  return safeJson(
    {
      schema: "pennon.scan/1",
      host: answer.host,
      scanned_at: isoInstant(answer.startedMs),
      filter: answer.filter ?? null,
      reboot_required: rebootAsJson(combineReboots(answer.reports)),
      scanners: answer.names.map((name) => scannerAsJson(name, found.get(name))),
    },
    2,
  );
}

/** `null`: no scanner knows whether the host needs a restart. */
function rebootAsJson(reboot: RebootState | null) {
  return reboot && { required: reboot.isRequired, reason: reboot.reason };
}

function scannerAsJson(name: string, report: ShownReport | undefined) {
  if (!report) {
    return {
      name,
      available: false,
      result: "failed",
      duration_ms: 0,
      error: {
        reason: "not_available",
        message: `Cannot scan with ${name}: it is not on this host`,
      },
      warnings: [],
      sources: [],
      metadata_age_s: null,
      not_shown: 0,
      updates: [],
    };
  }
  return {
    name,
    available: true,
    result: report.result,
    duration_ms: report.durationMs,
    error: report.error,
    warnings: report.warnings,
    sources: report.sources.map(sourceAsJson),
    metadata_age_s: report.metadataAgeS,
    ...(report.scope !== undefined && { scope: report.scope }),
    not_shown: notShown(report).length,
    updates: report.updates.map(updateAsJson),
  };
}

function sourceAsJson(source: ScanSource) {
  return {
    name: source.name,
    url: source.url,
    result: source.result,
    why: source.why,
    metadata_age_s: source.metadataAgeS,
    expires_at: isoInstant(source.expiresAtMs),
    tells_security: source.marksSecurity,
  };
}

function updateAsJson(update: Update) {
  return {
    package: update.package,
    current_version: update.currentVersion,
    available_version: update.availableVersion,
    architecture: update.architecture,
    source: update.source,
    state: update.state,
    state_reason: update.stateReason ?? null,
    severity: update.severity,
    severity_reason: update.severityReason,
    security: update.security,
    cves: update.cves,
    ...(update.cveSources && { cve_sources: update.cveSources }),
    advisories: update.advisories,
    size_bytes: update.sizeBytes,
    description: update.description,
    source_package: update.sourcePackage,
    reboot: update.reboot,
  };
}

type CsvColumn = [title: string, value: (name: string, update: Update) => unknown];

const CSV_COLUMNS: readonly CsvColumn[] = [
  ["scanner", (name) => name],
  ["package", (_, update) => update.package],
  ["current_version", (_, update) => update.currentVersion],
  ["available_version", (_, update) => update.availableVersion],
  ["architecture", (_, update) => update.architecture],
  ["source", (_, update) => update.source],
  ["state", (_, update) => update.state],
  ["severity", (_, update) => update.severity],
  ["security", (_, update) => update.security],
  ["cves", (_, update) => update.cves.join(" ")],
  ["advisories", (_, update) => update.advisories.join(" ")],
  ["size_bytes", (_, update) => update.sizeBytes],
];

/** RFC 4180: a heading, then one line per update. Lines end in LF, which Unix tools expect. */
export function scanAsCsv(reports: readonly ScanReport[]): string {
  const rows = reports.flatMap(({ name, updates }) =>
    updates.map((update) => CSV_COLUMNS.map(([, value]) => csvCell(value(name, update))))
  );
  const titles = CSV_COLUMNS.map(([title]) => title);
  return [titles, ...rows].map((row) => row.join(",")).join("\n");
}

/**
 * The start of a formula, also after blanks, in every form that a spreadsheet or a converter may read as
 * one: full width, small, superscript, subscript, mathematical. It may be at the start of a cell, or
 * after a semicolon or a tab: a spreadsheet that splits cells there ignores quotation marks inside.
 */
const FORMULA =
  /((?:^|[;\t])[\s\u2800\u3164]*)(?=[=+\-@|%\uff1d\uff0b\uff0d\uff20\uff5c\uff05\ufe66\ufe62\ufe63\ufe6b\ufe6a\u2212\u2010-\u2015\u207a-\u207c\u208a-\u208c])/g;

function csvCell(value: unknown): string {
  const text = stripControls(value === null ? "" : String(value));
  const safe = text.replace(FORMULA, (front) => /^[;\t]/.test(front) ? `${front}'` : `'${front}`);
  return /[",;\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const INSTALLED = 1;
const AVAILABLE = 2;

function columns(paint: Paint): readonly Column[] {
  return [
    { title: "PACKAGE", narrowest: 22 },
    { title: "INSTALLED", narrowest: 12, spare: 4, differsFrom: AVAILABLE },
    { title: "AVAILABLE", narrowest: 12, differsFrom: INSTALLED },
    { title: "SECURITY", paint: (shown, cell) => paint(SECURITY_COLOURS.get(cell) ?? null, shown) },
    {
      title: "STATE",
      paint: (shown, cell) => paint(cell === "upgradable" ? null : "not_now", shown),
    },
    { title: "SIZE", alignRight: true, spare: 3 },
    { title: "REBOOT", spare: 2 },
    { title: "SOURCE", narrowest: 16, spare: 1 },
  ];
}

/** The words of the column SECURITY that have a colour. */
const SECURITY_COLOURS: ReadonlyMap<string, ColouredWord> = new Map([
  ["critical", "critical"],
  ["important", "important"],
  ["moderate", "moderate"],
  ["yes", "security"],
]);

/** How a table is shown. */
export interface TableOptions {
  /** In terminal columns. */
  readonly width: number;
  /** The host's processor as `uname -m` names it: packages for other processors show theirs. */
  readonly machine: string;
  /** Colours the severity and the state. @default no colour */
  readonly paint?: Paint;
}

/**
 * A table, most important updates first, then totals, unsound sources, and whether the host needs a
 * restart. Without updates the module that computes the width of characters, which takes 20 ms to load,
 * is not loaded.
 */
export async function scanAsText(
  reports: readonly ShownReport[],
  { width, machine, paint = (_, text) => text }: TableOptions,
): Promise<string> {
  const updates = reports.flatMap((report) => report.updates);
  const rows = updates.toSorted(compareUpdates).map((update) => [
    isOwnArchitecture(update.architecture, machine)
      ? update.package
      : `${update.package}:${update.architecture}`,
    update.currentVersion ?? "-",
    update.availableVersion,
    update.severity ?? describeSecurity(update.security),
    update.state,
    update.sizeBytes === null ? "-" : describeSize(update.sizeBytes),
    update.reboot ?? "-",
    update.source ?? "-",
  ]);
  const reboot = combineReboots(reports);
  const summary = [
    ...reports.flatMap((report) => [total(report), ...unsoundSources(report)]),
    ...[describeNotShown(reports) ?? []].flat(),
    ...(reboot?.isRequired ? [`Restart required: ${stripControls(reboot.reason)}`] : []),
  ];
  if (rows.length === 0) return summary.join("\n");
  const { formatTable } = await import("./table.ts");
  return [...formatTable(columns(paint), rows, width), "", ...summary].join("\n");
}

/** One line per unsound source. An error that is printed on stderr is not repeated. */
function unsoundSources({ sources, error }: ScanReport): string[] {
  return sources.filter(isUnsound).map((source) => {
    const text = source.why === error?.message ? source.name : describeSource(source);
    return `  ${source.result}: ${stripControls(text)}`;
  });
}

/** Counts all updates that were found, also those that are not shown. */
function total({ name, result, error, updates: shown, found = shown }: ShownReport): string {
  if (error) return `${name}: failed`;
  const updates = counted({ updates: found });
  const security = updates.filter((update) => update.security === true).length;
  const sizeBytes = updates.reduce((sum, update) => sum + (update.sizeBytes ?? 0), 0);
  const waiting = updates.length === 1 ? "1 update" : `${updates.length} updates`;
  // Windows Update states only the maximum size of a download.
  const bound = name === "winupdate" ? "at most " : "";
  const size = updates.length === 0 ? "" : `, ${bound}${describeSize(sizeBytes)} to download`;
  const ignored = found.length - updates.length;
  return [
    `${name}: ${waiting}, ${security} security${size}`,
    ignored === 0 ? "" : `, ${ignored} ignored`,
    result === "ok" ? "" : " (not complete)",
  ].join("");
}

function describeSecurity(security: boolean | null): string {
  return security === null ? "unknown" : security ? "yes" : "no";
}
