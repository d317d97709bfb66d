/** `scan_updates`: asks every package manager and tells the server what is waiting. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandHandler, CommandOutcome, CommandRun } from "../buffer/command.ts";
import type { Log } from "../log.ts";
import { keepLastScans, type LastScans, readLastScans } from "../scanners/last_scans.ts";
import type { ScanReport } from "../scanners/run_scans.ts";
import type { Scanner, ScannerName } from "../scanners/scanner.ts";
import { encodeUpdate, type PackageType } from "../server/update_item.ts";
import type { System } from "../system/system.ts";
import { logEvent } from "./command_log.ts";
import type { ScannerGuard } from "./scanner_guard.ts";

/** What the command needs. */
export interface ScanUpdatesParts {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly guard: ScannerGuard;
  /** The scanners that this host has. */
  findScanners(): Promise<readonly Scanner[]>;
}

/** Updates in one event: an event is one request, and the server takes it whole or not at all. */
const UPDATES_PER_EVENT = 200;

const PACKAGE_TYPES: Readonly<Record<ScannerName, PackageType>> = {
  apt: "apt",
  dnf: "dnf",
  winupdate: "windows_update",
  winget: "winget",
};

/** The handler. A scan changes nothing on the host, so it may be repeated. */
export function scanUpdates(parts: ScanUpdatesParts): CommandHandler {
  return { repeatable: true, run: (command, run) => scanAndTell(parts, command, run) };
}

async function scanAndTell(
  parts: ScanUpdatesParts,
  command: Command,
  { signal, tellEarly }: CommandRun,
): Promise<CommandOutcome> {
  const { system, log, guard } = parts;
  const startedMs = system.clock.monotonicMs();
  const scanners = await parts.findScanners();
  const before = await lastScans(parts);
  const reports = await Promise.all(scanners.map(async (scanner) => {
    const lastCount = before[scanner.name]?.last_count;
    const report = await guard.scan(scanner, signal, lastCount === undefined ? {} : { lastCount });
    tell(log, report);
    // A scanner that takes long does not hold up what another one has found.
    tellEarly(updateEvents(command, report, new Date(system.clock.nowMs()).toISOString()));
    return report;
  }));
  await keepForStatus(parts, reports);
  const isUsable = reports.some((report) => report.result !== "failed");
  const result = logEvent(command, {
    result: isUsable ? "success" : "failed",
    stdout: reports.filter((report) => report.result !== "failed").map(summarize).join("\n"),
    stderr: describeGaps(reports),
    durationMs: system.clock.monotonicMs() - startedMs,
  });
  return { events: [result], rapidPollingMs: null };
}

/** What the scanners found before, so that one which finds nothing any more can be doubted. */
async function lastScans({ system, log, stateDirectory }: ScanUpdatesParts): Promise<LastScans> {
  try {
    return await readLastScans(system.files, stateDirectory);
  } catch (error) {
    log.warning("last scans not read", { why: String(error) });
    return {};
  }
}

async function keepForStatus(
  parts: ScanUpdatesParts,
  reports: readonly ScanReport[],
): Promise<void> {
  const { system: { files, clock }, log, stateDirectory } = parts;
  try {
    await keepLastScans(files, stateDirectory, { reports, nowMs: clock.nowMs() });
  } catch (error) {
    // Only `status` misses it; the updates themselves go their own way.
    log.warning("last scans not kept", { why: String(error) });
  }
}

function updateEvents(command: Command, report: ScanReport, timestamp: string): NewEvent[] {
  const packageType = PACKAGE_TYPES[report.name];
  const items = report.updates.map((update) => encodeUpdate(update, packageType));
  const events: NewEvent[] = [];
  for (let start = 0; start < items.length; start += UPDATES_PER_EVENT) {
    const updates = items.slice(start, start + UPDATES_PER_EVENT);
    events.push({
      kind: "updates",
      commandId: command.id,
      // Parts of one list do not supersede each other, only the same part of an older list.
      snapshotOf: `updates/${report.name}/${start / UPDATES_PER_EVENT}`,
      body: JSON.stringify({ command_id: command.id, timestamp, updates }),
    });
  }
  return events;
}

function tell(log: Log, report: ScanReport): void {
  const fields = { scanner: report.name, took_ms: report.durationMs };
  if (report.error) {
    const { reason, message } = report.error;
    return log.warning("scan failed", { ...fields, reason, why: message });
  }
  const found = { ...fields, updates: report.updates.length };
  if (report.result === "ok") return log.info("scan done", found);
  log.warning("scan done, with gaps", { ...found, why: report.warnings.join("; ") });
}

function summarize(report: ScanReport): string {
  const security = report.updates.filter((update) => update.security === true).length;
  return `${report.name}: ${report.updates.length} updates, ${security} of them security`;
}

/** What is missing, by scanner: an empty list must never be taken for "nothing to do". */
function describeGaps(reports: readonly ScanReport[]): string {
  if (reports.length === 0) return "no package manager that Pennon knows is on this host";
  return reports.flatMap((report) => {
    const gaps = report.error ? [report.error.message] : report.warnings;
    return gaps.map((gap) => `${report.name}: ${gap}`);
  }).join("\n");
}
