/** What the last scan of each scanner found, kept for `status`: counts, not lists. */

import * as v from "valibot";
import { decodeJson } from "../json.ts";
import { FileError, type Files } from "../system/files.ts";
import { counted, type ScanReport } from "./run_scans.ts";
import { combineReboots, type RebootState } from "../update.ts";

const lastScan = v.object({
  at_ms: v.number(),
  result: v.picklist(["ok", "degraded", "failed"]),
  updates: v.number(),
  /** Updates in the newest list, which is an older scan's where this one failed. */
  last_count: v.optional(v.number()),
  security: v.number(),
  duration_ms: v.number(),
  error: v.nullable(v.string()),
  reboot: v.optional(v.nullable(v.object({ required: v.boolean(), reason: v.string() }))),
});

/** By scanner's name. */
const lastScans = v.record(v.string(), lastScan);

/** The last scan of each scanner, by name. Names are those of the file: it is shown as it is. */
export type LastScans = v.InferOutput<typeof lastScans>;

const FILE = "last-scans.json";

/** Longest error kept: one of megabytes would make a file that is never read, nor written, again. */
const LONGEST_ERROR = 1_000;

/** Reads what was kept; nothing, if nothing was or it is damaged. Throws `FileError`. */
export async function readLastScans(files: Files, stateDirectory: string): Promise<LastScans> {
  const text = await files.readText("read the last scans", `${stateDirectory}/${FILE}`);
  if (text === undefined) return {};
  const read = decodeJson(lastScans, text);
  return read.ok ? read.value : {}; // The next scan writes it anew.
}

/**
 * How many updates each scanner's newest list held, by its name; none where that cannot be read: an
 * ordinary user may not read what root's agent keeps.
 */
export async function readLastCounts(
  files: Files,
  stateDirectory: string,
): Promise<Map<string, number>> {
  try {
    const counts = Object.entries(await readLastScans(files, stateDirectory))
      .flatMap(([name, { last_count }]): [string, number][] =>
        last_count === undefined ? [] : [[name, last_count]]
      );
    return new Map(counts);
  } catch (error) {
    if (error instanceof FileError) return new Map();
    throw error;
  }
}

/**
 * Whether the host asks for a restart, by the last scan of each scanner; `null` where none of them says.
 * What a scan said before the host last started (`startedMs`) says nothing any more.
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

/** Keeps what these scans found, beside what others found before. Throws `FileError`. */
export async function keepLastScans(
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
      error: report.error?.message.slice(0, LONGEST_ERROR) ?? null,
      reboot: reboot && {
        required: reboot.isRequired,
        reason: reboot.reason.slice(0, LONGEST_ERROR),
      },
    }];
  }));
  const text = `${JSON.stringify({ ...before, ...after }, null, 2)}\n`;
  await files.writeText("keep the last scans", `${stateDirectory}/${FILE}`, text, { mode: 0o600 });
}
