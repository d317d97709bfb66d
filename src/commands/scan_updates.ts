/**
 * `scan_updates` runs the scanner of every package manager and reports the available updates, and
 * `scan_<subsystem>` that of a single one.
 */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandOutcome, CommandRun, RunningHandler } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import { packageTypeOf } from "../scanners/registry.ts";
import { type LastScans, readLastScans, saveLastScans } from "../scanners/last_scans.ts";
import { counted, hasCompleteList, type ScanReport } from "../scanners/run_scans.ts";
import type { Scanner } from "../scanners/scanner.ts";
import { encodeBody, timestampOf } from "../server/limits.ts";
import { encodeUpdate } from "../server/update_item.ts";
import type { System } from "../system/system.ts";
import { failureEvent, logEvent } from "./command_log.ts";
import {
  readReportedSnapshot,
  type ReportedSnapshot,
  saveReportedSnapshot,
  SNAPSHOT_FILE,
} from "./reported_snapshot.ts";
import type { ScannerRunner } from "./scanner_runner.ts";
import { type DiffReport, diffUpdates, type UpdateDiff } from "./update_diff.ts";

/** What the command needs. */
export interface ScanUpdatesDeps {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly runner: ScannerRunner;
  /** The event with the host's facts, one of which is whether a restart is due. */
  collectSystemInfo(): Promise<NewEvent>;
  /** The scanners that this host has. */
  findScanners(): Promise<readonly Scanner[]>;
  /** Whether the server wants this one to run when it asks for all of them. @default all of them */
  isEnabled?(scannerName: string): boolean;
  /**
   * Whether the server declares updates installed that a complete list lacks (`closesAbsent`); `null`:
   * it has not answered yet.
   */
  closesAbsent(): boolean | null;
  /** Whether an event with this `snapshotOf` has yet to be delivered. */
  hasPending(snapshotOf: string): boolean;
}

/**
 * Updates in one event of a list in parts: an event is one request, and the server accepts it whole or
 * not at all. A list that closes what is absent is always one event (`MOST_COMPLETE`).
 */
const UPDATES_PER_EVENT = 200;

/** Names of removed packages in the log; each package has an item of its own as well. */
const MAX_NAMED_REMOVED = 20;

/**
 * The handler, of all scanners or of one. A scan changes nothing on the host, so it may be repeated.
 */
export function scanUpdates(deps: ScanUpdatesDeps, only: string | null = null): RunningHandler {
  return {
    repeatable: true,
    async run(command, run) {
      const scanners = await deps.findScanners();
      const chosen = scanners.filter(({ name }) =>
        only === null ? deps.isEnabled?.(name) ?? true : name === only
      );
      if (only === null && scanners.length === 0 || chosen.length > 0) {
        return await scanAndReport(deps, command, { ...run, scanners: chosen });
      }
      const why = only === null
        ? "Cannot scan: the server's policy has every scanner of this host switched off"
        : `Cannot scan with ${only}: it is not on this host, or "scanners.enabled" omits it`;
      return { events: [failureEvent(command, why, 0)], rapidPollingMs: null, failure: why };
    },
  };
}

/** What one scanner found, and how that differs from what was reported; `null`: it has no list. */
interface ScanResult {
  readonly report: ScanReport;
  readonly diff: UpdateDiff | null;
}

/**
 * Reports what changed. Of an unchanged list one row is sent again, which moves "Last scan" at the
 * dashboard. The whole list is sent at least daily, and for a command with `full`.
 */
async function scanAndReport(
  deps: ScanUpdatesDeps,
  command: Command,
  { signal, appendEarly, scanners }: CommandRun & { readonly scanners: readonly Scanner[] },
): Promise<CommandOutcome> {
  const { system, log, runner, stateDirectory } = deps;
  const startedMs = system.clock.monotonicMs();
  const snapshot = await readReportedSnapshot(system, stateDirectory);
  const before = await lastScans(deps);
  const wantsAll = command.params["full"] === true;
  const results = await Promise.all(scanners.map(async (scanner): Promise<ScanResult> => {
    const lastCount = before[scanner.name]?.last_count;
    const report = await runner.scan(scanner, signal, lastCount === undefined ? {} : { lastCount });
    logReport(log, report);
    const diff = diffReport(deps, report, { snapshot, wantsAll });
    // A slow scanner does not delay what another one has found.
    if (diff) {
      appendEarly(diff.reports.flatMap((part) => updateEvents(command, report.name, part)));
    }
    return { report, diff };
  }));
  await saveSnapshot(deps, snapshot, results);
  const reports = results.map(({ report }) => report);
  await saveForStatus(deps, reports);
  const facts = hasRebootChanged(before, reports) ? [await deps.collectSystemInfo()] : [];
  const isUsable = reports.some(({ result }) => result !== "failed");
  const gaps = describeGaps(reports);
  const result = logEvent(command, {
    result: isUsable ? "success" : "failed",
    stdout: results.flatMap(({ report, diff }) => diff ? [summarize(report, diff)] : []).join("\n"),
    stderr: gaps,
    durationMs: system.clock.monotonicMs() - startedMs,
  });
  const failure = isUsable ? {} : { failure: gaps };
  return { events: [...facts, result], rapidPollingMs: null, ...failure };
}

/** Whether a scanner reports another need for a restart than after its last scan. */
function hasRebootChanged(before: LastScans, reports: readonly ScanReport[]): boolean {
  return reports.some(({ name, reboot }) =>
    reboot !== null && reboot.isRequired !== (before[name]?.reboot?.required ?? false)
  );
}

/** What the scanners found before: a scanner that finds nothing any more may be mistaken. */
async function lastScans({ system, log, stateDirectory }: ScanUpdatesDeps): Promise<LastScans> {
  try {
    return await readLastScans(system.files, stateDirectory);
  } catch (error) {
    log.warning("cannot read the last scans", { why: String(error) });
    return {};
  }
}

function diffReport(
  { system: { clock, architecture }, closesAbsent, hasPending }: ScanUpdatesDeps,
  report: ScanReport,
  { snapshot, wantsAll }: { snapshot: ReportedSnapshot; wantsAll: boolean },
): UpdateDiff | null {
  if (report.result === "failed") return null;
  const packageType = packageTypeOf(report.name);
  // Of two updates with one name the server keeps the last: the more important one has to be last.
  const items = report.updates.toReversed()
    .map((update) => encodeUpdate(update, packageType, architecture));
  const current = { packageType, items, isWhole: hasCompleteList(report) };
  const before = snapshot.get(report.name);
  return diffUpdates(current, before, {
    nowMs: clock.nowMs(),
    wantsAll,
    closesAbsent: closesAbsent() ?? before?.closesAbsent ?? false,
    isListPending: hasPending(listKey(report.name, 0)),
  });
}

/** A snapshot that cannot be saved is removed: a repeated list is better than an unreported change. */
async function saveSnapshot(
  { system, log, stateDirectory }: ScanUpdatesDeps,
  before: ReportedSnapshot,
  results: readonly ScanResult[],
): Promise<void> {
  const now = results.flatMap(({ report, diff }) =>
    diff ? [[report.name, diff.reported] as const] : []
  );
  try {
    await saveReportedSnapshot(system, stateDirectory, new Map([...before, ...now]));
  } catch (error) {
    log.warning("cannot save the reported snapshot", { why: String(error) });
    await SNAPSHOT_FILE.remove(system.files, stateDirectory).catch(() => {});
  }
}

async function saveForStatus(
  { system: { files, clock }, log, stateDirectory }: ScanUpdatesDeps,
  reports: readonly ScanReport[],
): Promise<void> {
  try {
    await saveLastScans(files, stateDirectory, { reports, nowMs: clock.nowMs() });
  } catch (error) {
    // Only `status` lacks it; the updates themselves are reported.
    log.warning("cannot save the last scans", { why: String(error) });
  }
}

function updateEvents(
  command: Pick<Command, "id">,
  name: string,
  { part, items, atMs }: DiffReport,
): NewEvent[] {
  const timestamp = timestampOf(atMs);
  if (part === "complete") {
    const updates = { command_id: command.id, timestamp, updates: items };
    const body = encodeBody({ ...updates, ecosystem: packageTypeOf(name), scan_succeeded: true });
    return [{ kind: "updates", commandId: command.id, snapshotOf: listKey(name, 0), body }];
  }
  const events: NewEvent[] = [];
  for (let start = 0; start < items.length; start += UPDATES_PER_EVENT) {
    const updates = items.slice(start, start + UPDATES_PER_EVENT);
    events.push({
      kind: "updates",
      commandId: command.id,
      snapshotOf: snapshotKey(name, part, start / UPDATES_PER_EVENT),
      body: encodeBody({ command_id: command.id, timestamp, updates }),
    });
  }
  return events;
}

function listKey(name: string, number: number): string {
  return `updates/${name}/${number}`;
}

/** A part of a list is superseded by the same part of a newer list, and by no other part. */
function snapshotKey(
  name: string,
  part: Exclude<DiffReport["part"], "complete">,
  number: number,
): string | null {
  switch (part) {
    case "list":
      return listKey(name, number);
    case "unchanged":
      return `updates/${name}/unchanged`;
    // These are no whole list, and nothing supersedes them.
    case "changes":
    case "removed":
      return null;
  }
}

function logReport(log: Log, report: ScanReport): void {
  const fields = { scanner: report.name, took_ms: report.durationMs };
  if (report.error) {
    const { reason, message } = report.error;
    return log.warning("scan failed", { ...fields, reason, why: message });
  }
  const found = { ...fields, updates: counted(report).length };
  const why = report.warnings.join("; ");
  if (report.result === "ok") return log.info("scan done", { ...found, ...(why && { why }) });
  log.warning("scan done, with gaps", { ...found, why });
}

/** "apt: 12 updates, 3 of them security; 2 new or changed, 1 no longer waiting: curl". */
function summarize(report: ScanReport, { isFull, changed, removed }: UpdateDiff): string {
  const updates = counted(report);
  const security = updates.filter((update) => update.security === true).length;
  const ignored = report.updates.length - updates.length;
  const scope = report.scope === undefined ? "" : ` (${report.scope})`;
  const found = `${updates.length} updates, ${security} of them security${
    ignored === 0 ? "" : `, ${ignored} ignored`
  }`;
  const changes = isFull ? [] : changed === 0 ? ["no changes"] : [`${changed} new or changed`];
  if (removed.length > 0) {
    const names = removed.slice(0, MAX_NAMED_REMOVED).join(", ");
    const more = removed.length > MAX_NAMED_REMOVED ? ", …" : "";
    changes.push(`${removed.length} no longer waiting: ${names}${more}`);
  }
  const summary = `${report.name}: ${found}${scope}`;
  return changes.length === 0 ? summary : `${summary}; ${changes.join(", ")}`;
}

/** What is missing, by scanner: an empty list must never be mistaken for "nothing to do". */
function describeGaps(reports: readonly ScanReport[]): string {
  if (reports.length === 0) return "no package manager that Pennon knows is on this host";
  return reports.flatMap((report) => {
    const gaps = report.error ? [report.error.message] : report.warnings;
    return gaps.map((gap) => `${report.name}: ${gap}`);
  }).join("\n");
}
