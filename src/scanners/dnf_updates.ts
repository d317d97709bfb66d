/** Puts together what dnf and rpm told into updates. Pure. */

import { type AdvisoryRow, worstSeverity } from "./dnf_advisories.ts";
import type { InstalledRpm, OfferedRpm, RpmPackage } from "./rpm_packages.ts";
import { compareEvr, formatEvr } from "./rpm_version.ts";
import type { Update } from "./scanner.ts";

/** What the host has and what its repositories offer. */
export interface DnfState {
  readonly installed: readonly InstalledRpm[];
  readonly offered: readonly OfferedRpm[];
  readonly advisories: readonly AdvisoryRow[];
  /** As advisories, but each row's id is a CVE. */
  readonly cves: readonly AdvisoryRow[];
}

/** The updates, in the order they were offered. */
export function joinUpdates(state: DnfState): Update[] {
  const installed = Map.groupBy(state.installed, ({ name }) => name);
  const advisories = Map.groupBy(state.advisories, rowKey);
  const cves = Map.groupBy(state.cves, rowKey);
  const rowsOf = (rows: Map<string, AdvisoryRow[]>, offered: OfferedRpm) =>
    (rows.get(packageKey(offered)) ?? []).filter((row) => compareEvr(row.package, offered) <= 0);
  // A repository without any advisory says nothing, not even that there is no hole.
  const telling = new Set(
    state.offered.filter((offered) => rowsOf(advisories, offered).length > 0)
      .map(({ repository }) => repository),
  );
  return state.offered.map((offered) => {
    const current = newest(installed.get(offered.name) ?? [], offered.architecture);
    const about = rowsOf(advisories, offered);
    const isSecurity = about.some((row) => row.isSecurity);
    return {
      package: offered.name,
      currentVersion: current ? formatEvr(current) : null,
      availableVersion: formatEvr(offered),
      architecture: offered.architecture,
      source: offered.repository,
      state: current ? "upgradable" : "unknown_current",
      ...describeSeverity(about),
      security: isSecurity ? true : telling.has(offered.repository) ? false : null,
      cves: unique(rowsOf(cves, offered).map(({ id }) => id).filter((id) => /^CVE-/.test(id))),
      advisories: unique(about.map(({ id }) => id)),
      sizeBytes: offered.sizeBytes,
      description: null,
      sourcePackage: current?.sourcePackage ?? null,
      reboot: null,
    };
  });
}

/** Going to the newest version closes all the holes, so the worst one counts. */
function describeSeverity(
  rows: readonly AdvisoryRow[],
): Pick<Update, "severity" | "severityReason"> {
  const severity = worstSeverity(rows);
  if (severity !== null) {
    const id = rows.find((row) => row.severity === severity)?.id;
    return { severity, severityReason: `advisory ${id}` };
  }
  const hasSecurity = rows.some((row) => row.isSecurity);
  const severityReason = hasSecurity
    ? "the advisory does not tell"
    : rows.length > 0
    ? "no security advisory"
    : "no advisory";
  return { severity, severityReason };
}

/** Of several versions side by side, kernels above all, the newest counts. */
function newest(packages: readonly InstalledRpm[], architecture: string): InstalledRpm | undefined {
  const same = packages.filter((package_) => package_.architecture === architecture);
  return (same.length > 0 ? same : packages).toSorted(compareEvr).at(-1);
}

function rowKey(row: AdvisoryRow): string {
  return packageKey(row.package);
}

/** An advisory names the version that closed the hole first; any later one closes it too. */
function packageKey({ name, architecture }: RpmPackage): string {
  return `${name}.${architecture}`;
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
