/** What `scan --security-only` leaves out, and what makes `scan` exit with 1. Pure. */

import { counted, type ScanReport } from "../scanners/run_scans.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import { combineReboots, type Update } from "../update.ts";

/** What `--fail-on` can be given. */
export const FAIL_ON = ["security", "any", "reboot"] as const;

/** A report of which some updates may be left out of the answer. */
export interface ShownReport extends ScanReport {
  /** All updates that the scanner found: the totals count these. @default `updates` */
  readonly found?: readonly Update[];
}

/**
 * Leaves out the updates that are not known to fix a vulnerability. Those of which the source says nothing
 * are left out too, and `describeNotShown` counts them.
 */
export function onlySecurity(report: ScanReport): ShownReport {
  const { updates } = report;
  return { ...report, found: updates, updates: updates.filter(isSecurity) };
}

function isSecurity({ security }: Update): boolean {
  return security === true;
}

/** The updates that are left out. */
export function notShown({ found = [], updates }: ShownReport): readonly Update[] {
  return found.filter((update) => !updates.includes(update));
}

/** How many updates are not shown; `null`: none. */
export function describeNotShown(reports: readonly ShownReport[]): string | null {
  const hidden = reports.flatMap(notShown);
  if (hidden.length === 0) return null;
  const unknown = hidden.filter(({ security }) => security === null).length;
  const rest = unknown === 0 ? "" : `; of ${unknown} of them the source does not say what they fix`;
  return `Not shown: ${count(hidden.length)} without a known vulnerability${rest}`;
}

/** Why no package manager could be asked, with the next step; `null`: one could. */
export function describeNothingAsked(
  enabled: readonly string[],
  reports: readonly ScanReport[],
): string | null {
  if (reports.length > 0) return null;
  if (enabled.length === 0) {
    return "Cannot scan: scanners.enabled is empty. Next: name scanners there, or use --only";
  }
  if (enabled.length === SCANNER_NAMES.length) {
    return "Cannot scan: no package manager that Pennon knows is on this host";
  }
  return `Cannot scan: none of scanners.enabled is on this host: ${enabled.join(", ")}`;
}

/** One line for each condition of `--fail-on` that holds. Ignored updates do not count. */
export function failures(
  conditions: readonly string[],
  reports: readonly ScanReport[],
): string[] {
  const updates = reports.flatMap((report) => counted(report));
  const security = updates.filter(isSecurity).length;
  const reboot = combineReboots(reports);
  return FAIL_ON.filter((condition) => conditions.includes(condition)).flatMap((condition) => {
    switch (condition) {
      case "security":
        return security === 0 ? [] : [`--fail-on security: ${count(security, "security ")}`];
      case "any":
        return updates.length === 0 ? [] : [`--fail-on any: ${count(updates.length)}`];
      case "reboot":
        return reboot?.isRequired ? [`--fail-on reboot: ${reboot.reason}`] : [];
    }
  });
}

/** A note for `--fail-on security` where it cannot know; `null`: every update says what it is. */
export function describeDoubt(
  conditions: readonly string[],
  reports: readonly ScanReport[],
): string | null {
  if (!conditions.includes("security")) return null;
  const unknown = reports.flatMap((report) => counted(report))
    .filter(({ security }) => security === null).length;
  return unknown === 0
    ? null
    : `--fail-on security: not counted: ${count(unknown)} whose source does not say`;
}

function count(number: number, kind = ""): string {
  return `${number} ${kind}${number === 1 ? "update" : "updates"}`;
}
