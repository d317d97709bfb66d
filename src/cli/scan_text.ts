/** A scan's answer as a table, for people. Pure. */

import { counted, describeSource, isUnsound, type ScanReport } from "../scanners/run_scans.ts";
import { isOwnArchitecture } from "../server/update_item.ts";
import { stripControls } from "../strip_controls.ts";
import { describeSize } from "./duration.ts";
import type { Column } from "./table.ts";
import { combineReboots, compareUpdates } from "../update.ts";

const INSTALLED = 1;
const AVAILABLE = 2;

const COLUMNS: readonly Column[] = [
  { title: "PACKAGE", narrowest: 22 },
  { title: "INSTALLED", narrowest: 12, spare: 4, differsFrom: AVAILABLE },
  { title: "AVAILABLE", narrowest: 12, differsFrom: INSTALLED },
  { title: "SECURITY" },
  { title: "STATE" },
  { title: "SIZE", alignRight: true, spare: 3 },
  { title: "REBOOT", spare: 2 },
  { title: "SOURCE", narrowest: 16, spare: 1 },
];

/** How a table is to be shown. */
export interface TableOptions {
  /** In terminal columns. */
  readonly width: number;
  /** The host's processor, in the words of `uname -m`: packages of others show their architecture. */
  readonly machine: string;
}

/**
 * A table sorted by what matters, with totals, what is wrong with a source, and whether the host has to
 * be restarted. Where there is nothing to show in a table, what computes the width of characters is not
 * loaded, which takes 20 ms.
 */
export async function scanAsText(
  reports: readonly ScanReport[],
  { width, machine }: TableOptions,
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
    ...(reboot?.isRequired ? [`Restart required: ${stripControls(reboot.reason)}`] : []),
  ];
  if (rows.length === 0) return summary.join("\n");
  const { formatTable } = await import("./table.ts");
  return [...formatTable(COLUMNS, rows, width), "", ...summary].join("\n");
}

/** A line each; what the error says, which is printed beside the table, is not repeated. */
function unsoundSources({ sources, error }: ScanReport): string[] {
  return sources.filter(isUnsound).map((source) => {
    const text = source.why === error?.message ? source.name : describeSource(source);
    return `  ${source.result}: ${stripControls(text)}`;
  });
}

function total(report: ScanReport): string {
  const { name, result, error } = report;
  if (error) return `${name}: failed`;
  const updates = counted(report);
  const security = updates.filter((update) => update.security === true).length;
  const sizeBytes = updates.reduce((sum, update) => sum + (update.sizeBytes ?? 0), 0);
  const waiting = updates.length === 1 ? "1 update" : `${updates.length} updates`;
  // Windows Update states no size but the largest that a download may have.
  const bound = name === "winupdate" ? "at most " : "";
  const size = updates.length === 0 ? "" : `, ${bound}${describeSize(sizeBytes)} to download`;
  const ignored = report.updates.length - updates.length;
  return [
    `${name}: ${waiting}, ${security} security${size}`,
    ignored === 0 ? "" : `, ${ignored} ignored`,
    result === "ok" ? "" : " (not complete)",
  ].join("");
}

function describeSecurity(security: boolean | null): string {
  return security === null ? "unknown" : security ? "yes" : "no";
}
