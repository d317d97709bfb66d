/** A scan's answer as JSON and as CSV, for programs. Pure. */

import type { ScanReport } from "../scanners/run_scans.ts";
import type { ScanSource } from "../scanners/scanner.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { isoInstant } from "./duration.ts";
import { combineReboots, type RebootState, type Update } from "../update.ts";

/** A scan, and where and when it was made. */
export interface ScanAnswer {
  readonly reports: readonly ScanReport[];
  /** Scanners asked for, those that this host lacks too. */
  readonly names: readonly string[];
  readonly host: string;
  readonly startedMs: number;
}

/** `pennon.scan/1`, as cli.md's contract has it; it only ever gains fields. */
export function scanAsJson(answer: ScanAnswer): string {
  const found = new Map(answer.reports.map((report) => [report.name as string, report]));
  return safeJson(
    {
      schema: "pennon.scan/1",
      host: answer.host,
      scanned_at: isoInstant(answer.startedMs),
      reboot_required: rebootAsJson(combineReboots(answer.reports)),
      scanners: answer.names.map((name) => scannerAsJson(name, found.get(name))),
    },
    2,
  );
}

/** `null`: nothing on this host says whether it has to be restarted. */
function rebootAsJson(reboot: RebootState | null) {
  return reboot && { required: reboot.isRequired, reason: reboot.reason };
}

function scannerAsJson(name: string, report: ScanReport | undefined) {
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
    tells_security: source.tellsSecurity,
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

/** RFC 4180, one line an update, a heading first; lines end in LF for the tools at hand. */
export function scanAsCsv(reports: readonly ScanReport[]): string {
  const rows = reports.flatMap(({ name, updates }) =>
    updates.map((update) => CSV_COLUMNS.map(([, value]) => csvCell(value(name, update))))
  );
  const titles = CSV_COLUMNS.map(([title]) => title);
  return [titles, ...rows].map((row) => row.join(",")).join("\n");
}

/**
 * How a formula begins, behind blanks too, in all forms that a spreadsheet or a program in front of it
 * may make one of: in full width, small, superscript, subscript, as a sign of mathematics. It begins a
 * cell, or what is behind a semicolon or a tab: a spreadsheet that takes those for the end of a cell
 * heeds no quotation mark in the middle of one.
 */
const FORMULA =
  /((?:^|[;\t])[\s\u2800\u3164]*)(?=[=+\-@|%\uff1d\uff0b\uff0d\uff20\uff5c\uff05\ufe66\ufe62\ufe63\ufe6b\ufe6a\u2212\u2010-\u2015\u207a-\u207c\u208a-\u208c])/g;

function csvCell(value: unknown): string {
  const text = stripControls(value === null ? "" : String(value));
  const safe = text.replace(FORMULA, (front) => /^[;\t]/.test(front) ? `${front}'` : `'${front}`);
  return /[",;\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
