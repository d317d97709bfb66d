/** `scan_updates`: asks every package manager and tells the server what is waiting. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandOutcome, CommandRun, RunningHandler } from "../buffer/command.ts";
import type { Log } from "../log.ts";
import { packageTypeOf } from "../scanners/registry.ts";
import { type LastScans, readLastScans, saveLastScans } from "../scanners/last_scans.ts";
import { counted, isWhole, type ScanReport } from "../scanners/run_scans.ts";
import type { Scanner } from "../scanners/scanner.ts";
import { encodeBody } from "../server/limits.ts";
import { encodeUpdate } from "../server/update_item.ts";
import type { System } from "../system/system.ts";
import { logEvent } from "./command_log.ts";
import { findNews, type News, type NewsReport } from "./update_diff.ts";
import {
  forgetToldUpdates,
  keepToldUpdates,
  readToldUpdates,
  type ToldUpdates,
} from "./reported_snapshot.ts";
import type { ScannerGuard } from "./scanner_runner.ts";

/** What the command needs. */
export interface ScanUpdatesParts {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly guard: ScannerGuard;
  /** The event with the host's facts, of which a restart that is due is one. */
  collectSystemInfo(): Promise<NewEvent>;
  /** The scanners that this host has. */
  findScanners(): Promise<readonly Scanner[]>;
}

/** Updates in one event: an event is one request, and the server takes it whole or not at all. */
const UPDATES_PER_EVENT = 200;

/** Names of packages that wait no more in the log; each has an item of its own besides. */
const NAMED_GONE = 20;

/** The handler. A scan changes nothing on the host, so it may be repeated. */
export function scanUpdates(parts: ScanUpdatesParts): RunningHandler {
  return { repeatable: true, run: (command, run) => scanAndTell(parts, command, run) };
}

/** What one scanner answered, and what of it the server did not know; `null`: it has no list. */
interface Answer {
  readonly report: ScanReport;
  readonly news: News | null;
}

/**
 * Only what changed is news: of a list that is the same as the one told before one row is sent again,
 * which moves "Last scan" at the dashboard. The whole list goes at least daily, and to a command with
 * `full`.
 */
async function scanAndTell(
  parts: ScanUpdatesParts,
  command: Command,
  { signal, tellEarly }: CommandRun,
): Promise<CommandOutcome> {
  const { system, log, guard, stateDirectory } = parts;
  const startedMs = system.clock.monotonicMs();
  const scanners = await parts.findScanners();
  const told = await readToldUpdates(system, stateDirectory);
  const before = await lastScans(parts);
  const wantsAll = command.params["full"] === true;
  const answers = await Promise.all(scanners.map(async (scanner): Promise<Answer> => {
    const lastCount = before[scanner.name]?.last_count;
    const report = await guard.scan(scanner, signal, lastCount === undefined ? {} : { lastCount });
    tell(log, report);
    const news = newsOf(system, report, { told, wantsAll });
    // A scanner that takes long does not hold up what another one has found.
    if (news) {
      tellEarly(news.reports.flatMap((part) => updateEvents(command, report.name, part)));
    }
    return { report, news };
  }));
  await keepTold(parts, told, answers);
  const reports = answers.map(({ report }) => report);
  await keepForStatus(parts, reports);
  const facts = isRebootNews(before, reports) ? [await parts.collectSystemInfo()] : [];
  const isUsable = reports.some(({ result }) => result !== "failed");
  const result = logEvent(command, {
    result: isUsable ? "success" : "failed",
    stdout: answers.flatMap((answer) => answer.news ? [summarize(answer.report, answer.news)] : [])
      .join("\n"),
    stderr: describeGaps(reports),
    durationMs: system.clock.monotonicMs() - startedMs,
  });
  return { events: [...facts, result], rapidPollingMs: null };
}

/** Whether a scanner says otherwise than after its last scan whether the host has to be restarted. */
function isRebootNews(before: LastScans, reports: readonly ScanReport[]): boolean {
  return reports.some(({ name, reboot }) =>
    reboot !== null && reboot.isRequired !== (before[name]?.reboot?.required ?? false)
  );
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

function newsOf(
  { clock, architecture }: System,
  report: ScanReport,
  { told, wantsAll }: { told: ToldUpdates; wantsAll: boolean },
): News | null {
  if (report.result === "failed") return null;
  const packageType = packageTypeOf(report.name);
  // Of two updates of one name the server keeps the last, which is to be the one that matters more.
  const items = report.updates.toReversed()
    .map((update) => encodeUpdate(update, packageType, architecture));
  const current = { packageType, items, isWhole: isWhole(report) };
  return findNews(current, told.get(report.name), { nowMs: clock.nowMs(), wantsAll });
}

/** What cannot be kept is forgotten: the whole list once more is better than a change untold. */
async function keepTold(
  { system, log, stateDirectory }: ScanUpdatesParts,
  before: ToldUpdates,
  answers: readonly Answer[],
): Promise<void> {
  const now = answers.flatMap(({ report, news }) =>
    news ? [[report.name, news.told] as const] : []
  );
  try {
    await keepToldUpdates(system, stateDirectory, new Map([...before, ...now]));
  } catch (error) {
    log.warning("told updates not kept", { why: String(error) });
    await forgetToldUpdates(system, stateDirectory).catch(() => {});
  }
}

async function keepForStatus(
  parts: ScanUpdatesParts,
  reports: readonly ScanReport[],
): Promise<void> {
  const { system: { files, clock }, log, stateDirectory } = parts;
  try {
    await saveLastScans(files, stateDirectory, { reports, nowMs: clock.nowMs() });
  } catch (error) {
    // Only `status` misses it; the updates themselves go their own way.
    log.warning("last scans not kept", { why: String(error) });
  }
}

function updateEvents(
  command: Pick<Command, "id">,
  name: string,
  { part, items, atMs }: NewsReport,
): NewEvent[] {
  const timestamp = new Date(atMs).toISOString();
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

/** Parts of one list do not supersede each other, only the same part of an older list. */
function snapshotKey(name: string, part: NewsReport["part"], number: number): string | null {
  switch (part) {
    case "list":
      return `updates/${name}/${number}`;
    case "unchanged":
      return `updates/${name}/unchanged`;
    // These stand for no list, and are superseded by none.
    case "changes":
    case "gone":
      return null;
  }
}

function tell(log: Log, report: ScanReport): void {
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

/** "apt: 12 updates, 3 of them security; 2 new or changed, 1 waits no more: curl". */
function summarize(report: ScanReport, { isFull, changed, gone }: News): string {
  const updates = counted(report);
  const security = updates.filter((update) => update.security === true).length;
  const ignored = report.updates.length - updates.length;
  const scope = report.scope === undefined ? "" : ` (${report.scope})`;
  const found = `${updates.length} updates, ${security} of them security${
    ignored === 0 ? "" : `, ${ignored} ignored`
  }`;
  const told = `${report.name}: ${found}${scope}`;
  const news = isFull ? [] : changed === 0 ? ["no changes"] : [`${changed} new or changed`];
  if (gone.length > 0) {
    const names = gone.slice(0, NAMED_GONE).join(", ");
    const more = gone.length > NAMED_GONE ? ", …" : "";
    news.push(`${gone.length} no longer waiting: ${names}${more}`);
  }
  return news.length === 0 ? told : `${told}; ${news.join(", ")}`;
}

/** What is missing, by scanner: an empty list must never be taken for "nothing to do". */
function describeGaps(reports: readonly ScanReport[]): string {
  if (reports.length === 0) return "no package manager that Pennon knows is on this host";
  return reports.flatMap((report) => {
    const gaps = report.error ? [report.error.message] : report.warnings;
    return gaps.map((gap) => `${report.name}: ${gap}`);
  }).join("\n");
}
