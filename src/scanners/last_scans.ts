/** What the last scan of each scanner found, saved for `status`: counts, not lists. */

import * as v from "valibot";
import { JsonFile } from "../json_file.ts";
import type { Files } from "../system/files.ts";
import { unlessFileError } from "./private_files.ts";
import { counted, type ScanReport } from "./run_scans.ts";
import { combineReboots, type RebootState } from "../update.ts";

const lastScan = v.object({
  at_ms: v.number(),
  result: v.picklist(["ok", "degraded", "failed"]),
  updates: v.number(),
  /** Updates in the newest list, which is that of an earlier scan where this one failed. */
  last_count: v.optional(v.number()),
  security: v.number(),
  duration_ms: v.number(),
  error: v.nullable(v.string()),
  /** The first of its warnings, if the result is `degraded`. */
  warning: v.optional(v.nullable(v.string())),
  reboot: v.optional(v.nullable(v.object({ required: v.boolean(), reason: v.string() }))),
});

const lastScans = v.object({ scanners: v.record(v.string(), lastScan) });

/** The last scan of each scanner, by name. Its keys are those that `status --json` prints. */
export type LastScans = v.InferOutput<typeof lastScans>["scanners"];

const FILE = new JsonFile({
  name: "last-scans.json",
  what: "the last scans",
  schema: "pennon.last-scans/1",
  value: lastScans,
  keys: { at_ms: "scanned_at" },
  records: ["scanners"],
  earlier: { schema: undefined, toValue: (json) => ({ scanners: json }) },
});

/** Longest error that is saved: with one of megabytes the file could never be read again. */
const MAX_ERROR_LENGTH = 1_000;

/**
 * Reads the last scans; none if the file is missing, or unreadable, after `onUnreadable` was called with
 * the reason. Throws `FileError`.
 */
export async function readLastScans(
  files: Files,
  stateDirectory: string,
  onUnreadable: (why: string) => void = () => {},
): Promise<LastScans> {
  return (await FILE.read(files, stateDirectory, onUnreadable))?.scanners ?? {};
}

/**
 * Counts the updates in each scanner's newest list, by the scanner's name; none where the file cannot
 * be read: an ordinary user may not read what root's agent saves.
 */
export async function readLastCounts(
  files: Files,
  stateDirectory: string,
): Promise<Map<string, number>> {
  const scans = await unlessFileError(() => readLastScans(files, stateDirectory), {});
  const counts = Object.entries(scans).flatMap(([name, { last_count }]) =>
    last_count === undefined ? [] : [[name, last_count] as const]
  );
  return new Map(counts);
}

/**
 * Whether the host needs a restart according to the last scan of each scanner; `null` where none of them
 * says. A scan from before the host last started (`startedMs`) does not count.
 */
export function lastReboot(scans: LastScans, startedMs: number | null): RebootState | null {
  return combineReboots(
    Object.values(scans).map(({ at_ms, reboot }) => ({
      reboot: !reboot || (startedMs !== null && at_ms < startedMs)
        ? null
        : { isRequired: reboot.required, reason: reboot.reason },
    })),
  );
}

/** Saves what these scans found, beside the last scans of other scanners. Throws `FileError`. */
export async function saveLastScans(
  files: Files,
  stateDirectory: string,
  scans: { reports: readonly ScanReport[]; nowMs: number },
): Promise<void> {
  const before = await readLastScans(files, stateDirectory);
  const after: LastScans = Object.fromEntries(scans.reports.map((report) => {
    const failed = report.result === "failed";
    const updates = counted(report);
    const lastCount = failed ? before[report.name]?.last_count : report.updates.length;
    const { reboot } = report;
    return [report.name, {
      at_ms: scans.nowMs,
      result: report.result,
      updates: updates.length,
      last_count: lastCount,
      security: updates.filter((update) => update.security === true).length,
      duration_ms: report.durationMs,
      error: report.error?.message.slice(0, MAX_ERROR_LENGTH) ?? null,
      warning: report.result === "degraded"
        ? report.warnings[0]?.slice(0, MAX_ERROR_LENGTH) ?? null
        : null,
      reboot: reboot && {
        required: reboot.isRequired,
        reason: reboot.reason.slice(0, MAX_ERROR_LENGTH),
      },
    }];
  }));
  await FILE.write(files, stateDirectory, { scanners: { ...before, ...after } });
}
