/** Puts together what dnf and rpm told into updates. Pure. */

import {
  type AdvisoryDetails,
  type AdvisoryRow,
  mergeDetails,
  worstSeverity,
} from "./advisories.ts";
import type { ObsoletingRpm } from "./check_update.ts";
import type { ReplacingSecurity } from "./questions.ts";
import type { ReconciledOffer, Reconciliation } from "./reconcile.ts";
import { rebootHint } from "./reboot.ts";
import { type InstalledRpm, type OfferedRpm, packageKey, type RpmPackage } from "./rpm_packages.ts";
import { compareEvr, formatEvr } from "./rpm_version.ts";
import type { Update, UpdateState } from "../../update.ts";

/** What the host has and what its repositories offer. */
export interface DnfState {
  readonly installed: readonly InstalledRpm[];
  readonly offers: readonly ReconciledOffer[];
  readonly obsoletes: readonly ObsoletingRpm[];
  /** Of those, and of what is kept back, what is known to close a hole; `null` if nothing is known. */
  readonly replacingSecurity: ReadonlyMap<string, ReplacingSecurity> | null;
  readonly keptReplacing: Reconciliation["keptReplacing"];
  /** `null`: dnf could not be asked for them. */
  readonly advisories: readonly AdvisoryRow[] | null;
  /** What the advisories tell of themselves; of some, nothing is known. */
  readonly details: readonly AdvisoryDetails[];
  /** Whether a repository marks its security updates; `null` if that is not known. */
  tellsSecurity(repository: string): boolean | null;
}

/** The updates: those that are offered, those that are kept back, those that replace another package. */
export function joinUpdates(state: DnfState): Update[] {
  const installed = Map.groupBy(state.installed, ({ name }) => name);
  const details = mergeDetails(state.details);
  const advisories = Map.groupBy(
    (state.advisories ?? []).map((row) => withOwnSeverity(row, details.get(row.id))),
    (row) => packageKey(row.package),
  );
  const currentOf = (offered: RpmPackage) =>
    newest(installed.get(offered.name) ?? [], offered.architecture);
  // A newer version than the one that is offered is kept from this host. What is installed is told of
  // as well where an older kernel is the one that runs.
  const rowsOf = (offered: RpmPackage, above: RpmPackage | undefined) =>
    (advisories.get(packageKey(offered)) ?? []).filter((row) =>
      compareEvr(row.package, offered) <= 0 && (!above || compareEvr(row.package, above) > 0)
    );
  const securityOf = (offered: OfferedRpm, rows: readonly AdvisoryRow[]): boolean | null => {
    if (rows.some((row) => row.isSecurity)) return true;
    if (state.advisories === null) return null;
    // Whether a source marks its security updates is a property of that source.
    const isTelling = state.tellsSecurity(offered.repository);
    return isTelling === true || (isTelling === null && rows.length > 0) ? false : null;
  };
  function describe(offered: OfferedRpm, told: UpdateState, stateReason: string | null): Update {
    const current = currentOf(offered);
    const rows = rowsOf(offered, current);
    return {
      package: offered.name,
      currentVersion: current ? formatEvr(current) : null,
      availableVersion: formatEvr(offered),
      architecture: offered.architecture,
      source: offered.repository,
      state: current ? told : "unknown_current",
      ...(stateReason !== null && { stateReason }),
      ...describeSeverity(rows),
      security: securityOf(offered, rows),
      // Dnf has no order of its own for them, and one that changed would be news.
      cves: unique(rows.flatMap((row) => cvesOf(row, details.get(row.id)))).toSorted(),
      advisories: unique(rows.map(({ id }) => id)).toSorted(),
      sizeBytes: offered.sizeBytes,
      description: offered.summary,
      sourcePackage: offered.sourcePackage ?? current?.sourcePackage ?? null,
      reboot: rebootHint(offered.name),
    };
  }
  // The server keeps one row per package: the newer version that is kept back, if it closes a hole that
  // the one that can be installed leaves open; else the one that can be installed.
  function describeOne({ taken, kept, doubt }: ReconciledOffer): Update[] {
    if (taken === null) return [describe(kept.offer, kept.state, kept.reason)];
    if (kept === null) return [describe(taken, "upgradable", doubt)];
    if (rowsOf(kept.offer, taken).some((row) => row.isSecurity)) {
      const other = `${formatEvr(taken)} of ${taken.repository} can be installed`;
      return [describe(kept.offer, kept.state, `${kept.reason}; ${other}`)];
    }
    const { offer, reason } = kept;
    const other = `newer ${formatEvr(offer)} of ${offer.repository} is kept back: ${reason}`;
    return [describe(taken, "upgradable", other)];
  }
  const offers = state.offers.flatMap(describeOne);
  const taken = new Set(offers.map((one) => `${one.package}.${one.architecture}`));
  const describeReplacing = (one: ObsoletingRpm, kept: string | null) =>
    replacingUpdate(one, {
      kept,
      known: state.replacingSecurity?.get(packageKey(one.package)),
      isTelling: state.replacingSecurity !== null && state.tellsSecurity(one.repository) === true,
    });
  // One that is an update of itself as well is told as that.
  const isNew = (one: ObsoletingRpm) => !taken.has(packageKey(one.package));
  return [
    ...offers,
    ...mergeReplacing(state.obsoletes).filter(isNew).map((one) => describeReplacing(one, null)),
    ...state.keptReplacing.filter(isNew).map((one) => describeReplacing(one, one.reason)),
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

/** What is known of a package that replaces others, besides its row. */
interface ReplacingFacts {
  /** Why it is kept back; `null` if it is not. */
  readonly kept: string | null;
  readonly known: ReplacingSecurity | undefined;
  /** Whether its repository marks security updates, and was asked for this one. */
  readonly isTelling: boolean;
}

/** Dnf names no advisory of these: it lists those of newer versions of what is installed. */
function replacingUpdate(
  { package: package_, repository, replaces }: ObsoletingRpm,
  { kept, known, isTelling }: ReplacingFacts,
): Update {
  const severity = known?.severity ?? null;
  const isSecurity = known !== undefined;
  return {
    package: package_.name,
    currentVersion: unique(replaces.map((old) => `${old.name}-${formatEvr(old)}`)).join(", "),
    availableVersion: formatEvr(package_),
    architecture: package_.architecture,
    source: repository,
    state: kept === null ? "obsoletes" : "held",
    ...(kept !== null && { stateReason: kept }),
    severity,
    severityReason: !isSecurity
      ? "dnf lists no advisory of a package that replaces another"
      : severity === null
      ? "a security advisory does not tell"
      : "a security advisory; dnf does not name it for a package that replaces another",
    security: isSecurity ? true : isTelling ? false : null,
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
