/** Puts together what dnf and rpm told into updates. Pure. */

import { type AdvisoryDetails, type AdvisoryRow, worstSeverity } from "./dnf_advisories.ts";
import type { ObsoletingRpm } from "./dnf_check_update.ts";
import { newestOffers } from "./dnf_confirmed.ts";
import { rebootHint } from "./dnf_reboot.ts";
import { type InstalledRpm, type OfferedRpm, packageKey, type RpmPackage } from "./rpm_packages.ts";
import { compareEvr, formatEvr } from "./rpm_version.ts";
import type { Update, UpdateState } from "./scanner.ts";

/** What the host has and what its repositories offer. */
export interface DnfState {
  readonly installed: readonly InstalledRpm[];
  /** What dnf would take, each package once. */
  readonly offered: readonly OfferedRpm[];
  /** What dnf passes over, by its priorities: it is no update, and nobody holds it. */
  readonly passedOver: readonly OfferedRpm[];
  /** As `offered`, with what the administrator excluded. */
  readonly withExcluded: readonly OfferedRpm[];
  readonly obsoletes: readonly ObsoletingRpm[];
  readonly advisories: readonly AdvisoryRow[];
  /** What the advisories tell of themselves; of some, nothing is known. */
  readonly details: readonly AdvisoryDetails[];
}

/** The updates: those that are offered, those that are held, those that replace another package. */
export function joinUpdates(state: DnfState): Update[] {
  const installed = Map.groupBy(state.installed, ({ name }) => name);
  const details = new Map(state.details.map((one) => [one.id, one]));
  const advisories = Map.groupBy(
    state.advisories.map((row) => withOwnSeverity(row, details.get(row.id))),
    (row) => packageKey(row.package),
  );
  const currentOf = (offered: RpmPackage) =>
    newest(installed.get(offered.name) ?? [], offered.architecture);
  const knownOf = (offered: RpmPackage) =>
    (advisories.get(packageKey(offered)) ?? [])
      // A newer version than the one that is offered is kept from this host.
      .filter((row) => compareEvr(row.package, offered) <= 0);
  // What is installed is told of as well where an older kernel is the one that runs.
  const rowsOf = (offered: RpmPackage, current: RpmPackage | undefined) =>
    knownOf(offered).filter((row) => !current || compareEvr(row.package, current) > 0);
  // A repository without any advisory says nothing, not even that there is no hole.
  const telling = new Set(
    state.offered.filter((offered) => knownOf(offered).length > 0)
      .map(({ repository }) => repository),
  );
  function describe(offered: OfferedRpm, state: UpdateState): Update {
    const current = currentOf(offered);
    const rows = rowsOf(offered, current);
    const isSecurity = rows.some((row) => row.isSecurity);
    return {
      package: offered.name,
      currentVersion: current ? formatEvr(current) : null,
      availableVersion: formatEvr(offered),
      architecture: offered.architecture,
      source: offered.repository,
      state: current ? state : "unknown_current",
      ...describeSeverity(rows),
      security: isSecurity ? true : telling.has(offered.repository) ? false : null,
      // Dnf has no order of its own for them, and one that changed would be news.
      cves: unique(rows.flatMap((row) => cvesOf(row, details.get(row.id)))).toSorted(),
      advisories: unique(rows.map(({ id }) => id)).toSorted(),
      sizeBytes: offered.sizeBytes,
      description: offered.summary,
      sourcePackage: offered.sourcePackage ?? current?.sourcePackage ?? null,
      reboot: rebootHint(offered.name),
    };
  }
  const taken = new Set(state.offered.map(packageKey));
  const known = new Set([...taken, ...state.passedOver.map(packageKey)]);
  return [
    ...state.offered.map((offered) => describe(offered, "upgradable")),
    ...newestOffers(state.withExcluded).filter((offered) => !known.has(packageKey(offered)))
      .map((offered) => describe(offered, "held")),
    // One that is an update of itself as well is told as that.
    ...mergeReplacing(state.obsoletes).filter((one) => !taken.has(packageKey(one.package)))
      .map(describeReplacing),
  ];
}

/** A row is of one repository and of one package that goes; dnf takes the first repository. */
function mergeReplacing(rows: readonly ObsoletingRpm[]): ObsoletingRpm[] {
  const merged = new Map<string, ObsoletingRpm>();
  for (const row of rows) {
    const before = merged.get(packageKey(row.package)) ?? { ...row, replaces: [] };
    const replaces = [...before.replaces, ...row.replaces];
    merged.set(packageKey(row.package), { ...before, replaces });
  }
  return [...merged.values()];
}

/** Advisories are told of newer versions of what is installed, and so of none of these. */
function describeReplacing({ package: package_, repository, replaces }: ObsoletingRpm): Update {
  return {
    package: package_.name,
    currentVersion: unique(replaces.map((old) => `${old.name}-${formatEvr(old)}`)).join(", "),
    availableVersion: formatEvr(package_),
    architecture: package_.architecture,
    source: repository,
    state: "obsoletes",
    severity: null,
    severityReason: "dnf tells no advisories of a package that replaces another",
    security: null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: `Replaces ${unique(replaces.map(({ name }) => name)).join(", ")}`,
    sourcePackage: null,
    reboot: rebootHint(package_.name),
  };
}

/** Where a list has no word of ours: dnf 4's knows severities in one spelling alone. */
function withOwnSeverity(row: AdvisoryRow, known: AdvisoryDetails | undefined): AdvisoryRow {
  if (!known || !row.isSecurity || row.severity !== null) return row;
  return { ...row, severity: known.severity, ownWord: known.ownWord ?? row.ownWord };
}

/** What an advisory only speaks of counts where it is about security and lists none. */
function cvesOf(row: AdvisoryRow, known: AdvisoryDetails | undefined): readonly string[] {
  if (!known) return [];
  if (known.listed.length > 0 || !row.isSecurity) return known.listed;
  return known.mentioned;
}

/** Going to the newest version closes all the holes, so the worst one counts. */
function describeSeverity(
  rows: readonly AdvisoryRow[],
): Pick<Update, "severity" | "severityReason"> {
  const severity = worstSeverity(rows);
  if (severity !== null) {
    const row = rows.find((row) => row.severity === severity);
    const says = row?.ownWord ? ` says "${row.ownWord}"` : "";
    return { severity, severityReason: `advisory ${row?.id}${says}` };
  }
  const security = rows.find((row) => row.isSecurity);
  const own = rows.find((row) => row.ownWord !== null);
  const severityReason = own
    ? `advisory ${own.id} says "${own.ownWord}"`
    : security
    ? `advisory ${security.id} does not tell`
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

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
