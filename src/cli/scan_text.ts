/** A scan's answer as a table, for people. Pure. */

import type { ScanReport } from "../scanners/run_scans.ts";
import type { Severity, Update } from "../scanners/scanner.ts";
import { describeSize } from "./duration.ts";
import type { Column } from "./table.ts";

const COLUMNS: readonly Column[] = [
  { title: "PACKAGE", narrowest: 22 },
  { title: "INSTALLED", narrowest: 12, spare: 2 },
  { title: "AVAILABLE", narrowest: 12 },
  { title: "SECURITY" },
  { title: "STATE" },
  { title: "SIZE", alignRight: true, spare: 1 },
];

/** Worst first; an update whose severity nobody tells stands between those that close a hole. */
const SEVERITIES: readonly (Severity | null)[] = ["critical", "important", null, "moderate", "low"];

/**
 * A table sorted by what matters, with totals; `width` in terminal columns. Where there is nothing to
 * show in a table, what tells how wide characters are is not loaded, which takes 20 ms.
 */
export async function scanAsText(reports: readonly ScanReport[], width: number): Promise<string> {
  const updates = reports.flatMap((report) => report.updates);
  const rows = updates.toSorted(byWeight).map((update) => [
    update.architecture === null ? update.package : `${update.package}:${update.architecture}`,
    update.currentVersion ?? "-",
    update.availableVersion,
    update.severity ?? describeSecurity(update.security),
    update.state,
    update.sizeBytes === null ? "-" : describeSize(update.sizeBytes),
  ]);
  const totals = reports.map(total);
  if (rows.length === 0) return totals.join("\n");
  const { formatTable } = await import("./table.ts");
  return [...formatTable(COLUMNS, rows, width), "", ...totals].join("\n");
}

function total({ name, result, updates, error }: ScanReport): string {
  if (error) return `${name}: failed`;
  const security = updates.filter((update) => update.security === true).length;
  const sizeBytes = updates.reduce((sum, update) => sum + (update.sizeBytes ?? 0), 0);
  const waiting = updates.length === 1 ? "1 update" : `${updates.length} updates`;
  // Windows Update tells no size but the largest that a download may have.
  const bound = name === "winupdate" ? "at most " : "";
  const size = updates.length === 0 ? "" : `, ${bound}${describeSize(sizeBytes)} to download`;
  return `${name}: ${waiting}, ${security} security${size}${
    result === "ok" ? "" : " (not complete)"
  }`;
}

function describeSecurity(security: boolean | null): string {
  return security === null ? "unknown" : security ? "yes" : "no";
}

/** Security first, the worst of it in front; then what can be installed, then by name. */
function byWeight(a: Update, b: Update): number {
  return Number(b.security === true) - Number(a.security === true) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    Number(b.state === "upgradable") - Number(a.state === "upgradable") ||
    a.package.localeCompare(b.package, "en");
}
