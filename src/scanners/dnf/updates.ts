/** Builds the list of updates from the answers of dnf and rpm. Pure. */

import type { RebootHint, Severity, Update, UpdateState } from "../../update.ts";
import {
  type AdvisoryDetails,
  type AdvisoryRow,
  highestSeverity,
  mergeDetails,
  type ObsoletingRpm,
} from "./dialect.ts";
import type { ReconciledOffer, Reconciliation } from "./reconcile.ts";
import {
  compareEvr,
  formatEvr,
  type InstalledRpm,
  type OfferedRpm,
  packageKey,
  type RpmPackage,
} from "./rpm.ts";

/** A package that replaces another and fixes a vulnerability; `null` if its severity is unknown. */
export interface ReplacingSecurity {
  readonly severity: Severity | null;
}

export interface DnfState {
  readonly installed: readonly InstalledRpm[];
  readonly offers: readonly ReconciledOffer[];
  /** The packages that would replace others. */
  readonly obsoletes: readonly ObsoletingRpm[];
  readonly blockedReplacing: Reconciliation["blockedReplacing"];
  /** Which of the replacing packages fix a vulnerability, by package; `null` if unknown. */
  readonly replacingSecurity: ReadonlyMap<string, ReplacingSecurity> | null;
  /** `null`: dnf could not list them. */
  readonly advisories: readonly AdvisoryRow[] | null;
  readonly details: readonly AdvisoryDetails[];
  /** Whether repositories mark their security updates; `null` if unknown. */
  readonly marksSecurity: ReadonlyMap<string, boolean | null>;
}

/** Builds the updates: offers, whether dnf would install them or not, and replacing packages. */
export function buildUpdates(state: DnfState): Update[] {
  const installed = Map.groupBy(state.installed, ({ name }) => name);
  const details = mergeDetails(state.details);
  const advisories = Map.groupBy(
    (state.advisories ?? []).map((row) => withOwnSeverity(row, details.get(row.id))),
    (row) => packageKey(row.package),
  );
  // Advisories of versions newer than the offered one do not count. Dnf also lists those of installed
  // versions if an older kernel is running.
  const rowsOf = (offered: RpmPackage, above: RpmPackage | undefined) =>
    (advisories.get(packageKey(offered)) ?? []).filter((row) =>
      compareEvr(row.package, offered) <= 0 && (!above || compareEvr(row.package, above) > 0)
    );
  const securityOf = (offered: OfferedRpm, rows: readonly AdvisoryRow[]): boolean | null => {
    if (rows.some((row) => row.isSecurity)) return true;
    if (state.advisories === null) return null;
    const isMarking = state.marksSecurity.get(offered.repository) ?? null;
    return isMarking === true || (isMarking === null && rows.length > 0) ? false : null;
  };
  function describe(
    offered: OfferedRpm,
    offerState: UpdateState,
    stateReason: string | null,
  ): Update {
    const current = newest(installed.get(offered.name) ?? [], offered.architecture);
    const rows = rowsOf(offered, current);
    return {
      package: offered.name,
      currentVersion: current ? formatEvr(current) : null,
      availableVersion: formatEvr(offered),
      architecture: offered.architecture,
      source: offered.repository,
      state: current ? offerState : "unknown_current",
      ...(stateReason !== null && { stateReason }),
      ...describeSeverity(rows),
      security: securityOf(offered, rows),
      // Sorted: dnf's order varies, and a new order would count as a change of the update.
      cves: [...new Set(rows.flatMap((row) => cvesOf(row, details.get(row.id))))].toSorted(),
      advisories: [...new Set(rows.map(({ id }) => id))].toSorted(),
      sizeBytes: offered.sizeBytes,
      description: offered.summary,
      sourcePackage: offered.sourcePackage ?? current?.sourcePackage ?? null,
      reboot: rebootHint(offered.name),
    };
  }
  // The server has one row per package: the blocked version if it fixes a vulnerability that the
  // installable one does not fix, else the installable one.
  function describeOne({ installable, blocked, doubt }: ReconciledOffer): Update {
    if (installable === null) return describe(blocked.offer, blocked.state, blocked.reason);
    if (blocked === null) return describe(installable, "upgradable", doubt);
    const { offer, state, reason } = blocked;
    if (rowsOf(offer, installable).some((row) => row.isSecurity)) {
      const other = `${formatEvr(installable)} of ${installable.repository} can be installed`;
      return describe(offer, state, `${reason}; ${other}`);
    }
    const other = `newer ${formatEvr(offer)} of ${offer.repository} is kept back: ${reason}`;
    return describe(installable, "upgradable", other);
  }
  const offers = state.offers.map(describeOne);
  const described = new Set(offers.map((one) => `${one.package}.${one.architecture}`));
  // A replacing package that is also an update is listed only as an update.
  const isNew = (one: ObsoletingRpm) => !described.has(packageKey(one.package));
  return [
    ...offers,
    ...mergeReplacing(state.obsoletes).filter(isNew).map((one) => replacingUpdate(state, one)),
    ...state.blockedReplacing.filter(isNew).map((one) => replacingUpdate(state, one)),
  ];
}

/** There is a row per repository and replaced package; dnf installs from the first repository. */
function mergeReplacing(rows: readonly ObsoletingRpm[]): ObsoletingRpm[] {
  const merged = new Map<string, ObsoletingRpm>();
  for (const row of rows) {
    const before = merged.get(packageKey(row.package)) ?? { ...row, replaces: [] };
    const replaces = [...before.replaces, ...row.replaces];
    merged.set(packageKey(row.package), { ...before, replaces });
  }
  return [...merged.values()];
}

/** Describes a replacing package, of which dnf lists no advisory; `reason`: why it is kept back. */
function replacingUpdate(
  { replacingSecurity, marksSecurity }: DnfState,
  { package: package_, repository, replaces, reason }: ObsoletingRpm & { readonly reason?: string },
): Update {
  const known = replacingSecurity?.get(packageKey(package_));
  const isMarking = replacingSecurity !== null && marksSecurity.get(repository) === true;
  const severity = known?.severity ?? null;
  return {
    package: package_.name,
    currentVersion: [...new Set(replaces.map((old) => `${old.name}-${formatEvr(old)}`))].join(", "),
    availableVersion: formatEvr(package_),
    architecture: package_.architecture,
    source: repository,
    state: reason === undefined ? "obsoletes" : "held",
    ...(reason !== undefined && { stateReason: reason }),
    severity,
    severityReason: !known
      ? "dnf lists no advisory of a package that replaces another"
      : severity === null
      ? "a security advisory without a severity"
      : "a security advisory; dnf does not name it for a package that replaces another",
    security: known ? true : isMarking ? false : null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: `Replaces ${[...new Set(replaces.map(({ name }) => name))].join(", ")}`,
    sourcePackage: null,
    reboot: rebootHint(package_.name),
  };
}

/** Adds the severity of the details: dnf 4's list has severities only in one spelling. */
function withOwnSeverity(row: AdvisoryRow, known: AdvisoryDetails | undefined): AdvisoryRow {
  if (!known || !row.isSecurity || row.severity !== null) return row;
  return { ...row, severity: known.severity, ownWord: known.ownWord ?? row.ownWord };
}

/** The CVEs that an advisory lists; a security advisory that lists none counts with those it mentions. */
function cvesOf(row: AdvisoryRow, known: AdvisoryDetails | undefined): readonly string[] {
  if (!known) return [];
  if (known.listed.length > 0 || !row.isSecurity) return known.listed;
  return known.mentioned;
}

/** The newest version fixes all the vulnerabilities, so the highest severity counts. */
function describeSeverity(
  rows: readonly AdvisoryRow[],
): Pick<Update, "severity" | "severityReason"> {
  const severity = highestSeverity(rows);
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
    ? `advisory ${security.id} has no severity`
    : rows.length > 0
    ? "no security advisory"
    : "no advisory";
  return { severity, severityReason };
}

/** The newest installed version of several, which mostly are kernels. */
function newest(packages: readonly InstalledRpm[], architecture: string): InstalledRpm | undefined {
  const same = packages.filter((package_) => package_.architecture === architecture);
  return (same.length > 0 ? same : packages).toSorted(compareEvr).at(-1);
}

/**
 * `NEED_REBOOT` of dnf's `needs-restarting` (dnf-plugins-core, plugins/needs_restarting.py), "mostly
 * taken from https://access.redhat.com/solutions/27943"; dnf 5 has the same packages.
 */
const NEED_REBOOT: ReadonlySet<string> = new Set(
  ["kernel", "kernel-core", "kernel-rt", "glibc", "linux-firmware", "systemd"]
    .concat("dbus", "dbus-broker", "dbus-daemon", "microcode_ctl"),
);

/** Other distributors' kernels (Oracle's, Amazon's, real-time, automotive, ELRepo's), and the Xen hypervisor. */
const OTHER_KERNELS =
  /^(?:kernel-(?:uek|rt|64k|rt-64k|automotive|lt|ml|16k|lqx|longterm)(?:-core)?|kernel\d+\.\d+(?:-core)?|raspberrypi2?-kernel\d?|xen-hypervisor)$/;

/** Whether a package requires a restart. No command of dnf prints an advisory's suggestion of one. */
export function rebootHint(name: string): RebootHint | null {
  return NEED_REBOOT.has(name) || OTHER_KERNELS.test(name) ? "required" : null;
}
