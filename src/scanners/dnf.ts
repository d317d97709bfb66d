/** Scans for updates with dnf 4 or dnf 5, on Red Hat's systems, Fedora and their kin. */

import type { System } from "../system/system.ts";
import { dnf4Dialect } from "./dnf4_dialect.ts";
import { dnf5Dialect } from "./dnf5_dialect.ts";
import { DnfCommands } from "./dnf_commands.ts";
import type { DnfDialect } from "./dnf_dialect.ts";
import { type DnfFiles, readDnfConfiguration } from "./dnf_configuration.ts";
import { ageOfLists, findOldLists, listsFolder } from "./dnf_age.ts";
import { confirmOffers } from "./dnf_confirmed.ts";
import { mayExclude } from "./dnf_excludes.ts";
import { getOffers } from "./dnf_offers.ts";
import {
  type Asking,
  checkUpdates,
  describeAdvisories,
  listAdvisories,
  listReplacing,
  listWithExcluded,
  NOTHING,
} from "./dnf_questions.ts";
import { cheapestFirst, hasPriorities } from "./dnf_settings.ts";
import { joinUpdates } from "./dnf_updates.ts";
import { parseDnfVersion } from "./dnf_version.ts";
import {
  INSTALLED_FORMAT,
  type InstalledRpm,
  type PackageList,
  parseInstalled,
  parseOffered,
} from "./rpm_packages.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";

/**
 * Absolute, so that nothing found through `PATH` is run in their place. The first that is there is
 * asked; either may be a link to the other generation.
 */
const DNF = ["/usr/bin/dnf", "/usr/bin/dnf5"];
const RPM = "/usr/bin/rpm";

/**
 * rpm's database, by every name and place it has had. A host may have dnf to build images for others
 * while its own packages are not rpm's.
 */
const DATABASES = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"].flatMap((folder) =>
  ["rpmdb.sqlite", "Packages.db", "Packages"].map((name) => `${folder}/${name}`)
);

/** Where dnf is to look instead of at the host; for tests. */
export interface DnfOptions {
  /** Put before dnf's other arguments. */
  readonly dnfArguments?: readonly string[];
  /** Put before rpm's other arguments. */
  readonly rpmArguments?: readonly string[];
  readonly configuration?: DnfFiles;
  /** Where root's package lists are. @default the dialect's own */
  readonly cacheDirectory?: string;
}

/**
 * The scanner. It reads the package lists that dnf has; without root's rights, which dnf keeps lists
 * of its own for, it has dnf fetch them if there are none or if they are older than a day.
 */
export function dnfScanner(options: DnfOptions = {}): Scanner {
  return {
    name: "dnf",
    isAvailable,
    scan: (system, scanOptions) => scanDnf(system, scanOptions, options),
  };
}

async function isAvailable({ files }: System): Promise<boolean> {
  try {
    const isThere = async (path: string) => await files.inspect("look for dnf", path) !== undefined;
    const [dnf, rpm, databases] = await Promise.all(
      [DNF, [RPM], DATABASES].map((paths) => Promise.all(paths.map(isThere))),
    );
    return [dnf, rpm, databases].every((found) => found?.includes(true));
  } catch {
    return false;
  }
}

async function scanDnf(
  system: System,
  scanOptions: ScanOptions,
  options: DnfOptions,
): Promise<ScanAnswer> {
  const commands = new DnfCommands(system, scanOptions.signal);
  const rpm = [RPM, ...options.rpmArguments ?? []];
  // Neither takes dnf's lock. All else does, to read too, and goes one after the other.
  const asked = [
    listInstalled(commands, rpm),
    findDialect(system, commands),
    readDnfConfiguration(system, options.configuration ?? {}),
  ] as const;
  await Promise.allSettled(asked); // Where one fails, the others are not left behind.
  const [installed, { path, dialect }, configuration] = await Promise.all(asked);
  const { settings } = configuration;
  const program = [path, ...options.dnfArguments ?? [], ...dialect.settings];
  const isRoot = system.machine.userId() === 0;
  const cache = listsFolder(system, dialect, options.cacheDirectory);
  const offers = await getOffers({
    commands,
    program,
    offered: dialect.offered,
    isRoot,
    refresh: scanOptions.refresh ?? false,
    ageMs: (result) => ageOfLists(system, cache, result),
  });
  const asking: Asking = { commands, dialect, program, warnings: [...offers.warnings] };
  const offered = parseOffered(offers.stdout);
  const excluded = await listWithExcluded(asking, mayExclude(configuration));
  const hasUpdates = offered.packages.length > 0 || excluded.packages.length > 0;
  const flags = excluded.packages.length > 0 ? dialect.withExcluded : [];
  const advisories = hasUpdates ? await listAdvisories(asking, flags) : NOTHING;
  const details = advisories.packages.length > 0 ? await describeAdvisories(asking, flags) : [];
  const checked = await checkUpdates(asking, hasUpdates);
  const replacing = await listReplacing(asking, checked);
  const confirmed = confirmOffers(
    offered.packages,
    checked && { ...checked, upgrades: cheapestFirst(checked.upgrades, settings) },
    hasPriorities(settings),
  );
  asking.warnings.push(...confirmed.warnings, ...await findOldLists(system, cache, settings));
  const lists = [offered, installed, excluded, advisories, checked ?? NOTHING, replacing];
  const unparsed = lists.reduce((sum, list) => sum + list.unparsed, 0);
  if (unparsed > 0) {
    asking.warnings.push(`Lines of dnf's answers that were not understood: ${unparsed}`);
  }
  return {
    updates: joinUpdates({
      installed: installed.packages,
      offered: confirmed.taken,
      passedOver: confirmed.passedOver,
      withExcluded: excluded.packages,
      obsoletes: cheapestFirst(replacing.packages, settings),
      advisories: advisories.packages,
      details,
    }),
    gaps: asking.warnings,
    metadataAgeS: offers.ageMs === null ? null : Math.round(offers.ageMs / 1_000),
  };
}

async function listInstalled(
  commands: DnfCommands,
  rpm: readonly string[],
): Promise<PackageList<InstalledRpm>> {
  const argv = [...rpm, "-qa", "--qf", INSTALLED_FORMAT];
  const installed = parseInstalled(await commands.ask("list the installed packages", argv));
  if (installed.packages.length > 0) return installed;
  throw new ScanError("Cannot scan with dnf: rpm tells of no installed package", {
    reason: "not_available",
  });
}

/** The distribution does not tell which dnf it has; dnf does. */
async function findDialect(
  { files }: System,
  commands: DnfCommands,
): Promise<{ path: string; dialect: DnfDialect }> {
  const found = await Promise.all(
    DNF.map((path) => files.inspect("look for dnf", path).catch(() => undefined)),
  );
  const path = DNF.find((_, index) => found[index] !== undefined) ?? DNF[0] ?? "";
  const version = parseDnfVersion(
    await commands.ask("ask dnf for its version", [path, "--version"]),
  );
  if (version?.[0] === 4) return { path, dialect: dnf4Dialect };
  if (version?.[0] === 5) return { path, dialect: dnf5Dialect(version) };
  const fact = `"${path}" is neither dnf 4 nor dnf 5`;
  throw new ScanError(`Cannot scan with dnf: ${fact}`, { reason: "not_available" });
}
