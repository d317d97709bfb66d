/** The one order in which updates are shown and reported. Pure. */

import type { Severity, Update } from "./scanner.ts";

/** Worst first; an update whose severity nobody states stands between those of a security update. */
const SEVERITIES: readonly (Severity | null)[] = ["critical", "important", null, "moderate", "low"];

/**
 * Ignored updates last; security first, the worst of it in front; then what can be installed, then by
 * name and architecture.
 */
export function byWeight(a: Update, b: Update): number {
  return Number(a.state === "ignored") - Number(b.state === "ignored") ||
    Number(b.security === true) - Number(a.security === true) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    Number(b.state === "upgradable") - Number(a.state === "upgradable") ||
    compareNames(a.package, b.package) ||
    compareNames(a.architecture ?? "", b.architecture ?? "");
}

/** Without regard to case, where there is another difference. A collator takes some 15 ms to load. */
function compareNames(a: string, b: string): number {
  return compare(a.toLowerCase(), b.toLowerCase()) || compare(a, b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
