/** What the last scan of each scanner found, saved for `status` and `metrics`: counts, not lists. */

import * as v from "valibot";
import { JsonFile } from "../json_file.ts";
import type { Files } from "../system/files.ts";
import { unlessFileError } from "./private_files.ts";
import { counted, type ScanReport } from "./run_scans.ts";
import { combineReboots, type RebootState, type Update } from "../update.ts";

const updateCount = v.object({
  state: v.string(),
  severity: v.nullable(v.string()),
  security: v.nullable(v.boolean()),
  count: v.number(),
});

/** How many updates of the newest list have this state, severity and mark of a security update. */
type UpdateCount = v.InferOutput<typeof updateCount>;

/** One source of a scanner's lists, with the name that the scan report has for it, redacted. */
const listSource = v.object({
  name: v.string(),
  result: v.string(),
  /** When its lists were made; `null` if unknown. */
  lists_at_ms: v.nullable(v.number()),
});

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
  /** When a scan last had a list, which `counts` counts. */
  listed_at_ms: v.optional(v.nullable(v.number())),
  counts: v.optional(v.array(updateCount)),
  /** Of the latest scan that knew its sources; at most `MAX_SOURCES`. */
  sources: v.optional(v.array(listSource)),
  /** Sources beyond that number. */
  more_sources: v.optional(v.number()),
});

const lastScans = v.object({ scanners: v.record(v.string(), lastScan) });

/** The last scan of each scanner, by name. Its keys are those that `status --json` prints. */
export type LastScans = v.InferOutput<typeof lastScans>["scanners"];

/** The name of the file. */
export const LAST_SCANS_NAME = "last-scans.json";

const FILE = new JsonFile({
  name: LAST_SCANS_NAME,
  what: "the last scans",
  schema: "pennon.last-scans/1",
  value: lastScans,
  keys: { at_ms: "scanned_at", listed_at_ms: "listed_at", lists_at_ms: "lists_at" },
  records: ["scanners"],
  earlier: { schema: undefined, toValue: (json) => ({ scanners: json }) },
});

/** Longest error that is saved: with one of megabytes the file could never be read again. */
const MAX_ERROR_LENGTH = 1_000;

/** Most sources of one scanner that are saved: each becomes series of metrics. */
const MAX_SOURCES = 50;

/** Longest name of a source that is saved, in characters. */
const MAX_NAME_LENGTH = 200;

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
    const earlier = before[report.name];
    const updates = counted(report);
    const lastCount = failed ? earlier?.last_count : report.updates.length;
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
      listed_at_ms: failed ? earlier?.listed_at_ms : scans.nowMs,
      counts: failed ? earlier?.counts : countUpdates(report.updates),
      ...report.sources.length === 0 && failed
        ? { sources: earlier?.sources, more_sources: earlier?.more_sources }
        : listSources(report, scans.nowMs),
    }];
  }));
  await FILE.write(files, stateDirectory, { scanners: { ...before, ...after } });
}

/** Counts updates by state, severity and mark of a security update. */
function countUpdates(updates: readonly Update[]): UpdateCount[] {
  const groups = new Map<string, UpdateCount>();
  for (const { state, severity, security } of updates) {
    const key = `${state} ${severity} ${security}`;
    const count = (groups.get(key)?.count ?? 0) + 1;
    groups.set(key, { state, severity, security, count });
  }
  return [...groups.values()];
}

function listSources(
  { sources }: Pick<ScanReport, "sources">,
  nowMs: number,
): Pick<LastScans[string], "sources" | "more_sources"> {
  const listed = sources.filter(({ result }) => result !== "not_asked");
  return {
    sources: listed.slice(0, MAX_SOURCES).map(({ name, result, metadataAgeS }) => ({
      name: name.slice(0, MAX_NAME_LENGTH),
      result,
      lists_at_ms: metadataAgeS === null ? null : nowMs - metadataAgeS * 1_000,
    })),
    more_sources: Math.max(0, listed.length - MAX_SOURCES),
  };
}
