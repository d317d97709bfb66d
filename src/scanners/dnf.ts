/** Scans for updates with dnf 4 or dnf 5, on Red Hat's systems, Fedora and their kin. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { dnf4Dialect } from "./dnf/dnf4_dialect.ts";
import { dnf5Dialect } from "./dnf/dnf5_dialect.ts";
import { askAll } from "./dnf/answers.ts";
import { DnfCommands } from "./dnf/commands.ts";
import { type DnfConfiguration, type DnfFiles, readDnfConfiguration } from "./dnf/configuration.ts";
import type { DnfDialect } from "./dnf/dialect.ts";
import { chooseLists } from "./dnf/lists.ts";
import { type Asking, readReboot } from "./dnf/questions.ts";
import { MAIN } from "./dnf/settings.ts";
import { oldestAgeS } from "./dnf/sources.ts";
import { joinUpdates } from "./dnf/updates.ts";
import { parseDnfVersion } from "./dnf/version.ts";
import {
  INSTALLED_FORMAT,
  type InstalledRpm,
  type PackageList,
  parseInstalled,
} from "./dnf/rpm_packages.ts";
import {
  type ScanAnswer,
  ScanError,
  type Scanner,
  type ScanOptions,
  withSources,
} from "./scanner.ts";
import type { Update } from "../update.ts";

/**
 * Absolute, so that nothing found through `PATH` is run in their place. The first that is there is
 * asked; either may be a link to the other generation.
 */
const USUAL_DNF = "/usr/bin/dnf";
const DNF = [USUAL_DNF, "/usr/bin/dnf5"];
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
  commands.expect(installed.packages.length);
  const isRoot = system.machine.userId() === 0;
  const own = isRoot ? dialect.settings : [...dialect.settings, ...dialect.userSettings];
  const program = [path, ...options.dnfArguments ?? [], ...own];
  const gaps: string[] = [];
  const cacheDirectory = listsDirectory(system, dialect, configuration, options.cacheDirectory);
  const asking: Asking = { commands, dialect, program, gaps };
  const lists = await chooseLists(system, asking, { cacheDirectory }, scanOptions);
  const answers = await withSources(
    lists.sources,
    () => askAll({ ...asking, program: lists.program }, configuration, lists),
  );
  const { unparsed, ...told } = answers;
  if (installed.unparsed + unparsed > 0) {
    gaps.push(`Lines of dnf's answers that were not understood: ${installed.unparsed + unparsed}`);
  }
  const tells = new Map(lists.sources.map(({ name, tellsSecurity }) => [name, tellsSecurity]));
  const updates = joinUpdates({
    ...told,
    installed: installed.packages,
    tellsSecurity: (repository) => tells.get(repository) ?? null,
  });
  const isImage = await isImageBased(system);
  return {
    updates: isImage ? updates.map(asImageBased) : updates,
    gaps,
    notes: isImage ? [IMAGE_NOTE] : [],
    sources: lists.sources,
    metadataAgeS: oldestAgeS(lists.sources),
    reboot: await readReboot({ ...asking, program: lists.program }),
  };
}

/** Where this user's package lists are; `null` if that is not known. */
function listsDirectory(
  { machine }: System,
  { systemCache, userCache }: DnfDialect,
  { settings }: DnfConfiguration,
  override: string | undefined,
): string | null {
  const main = settings.get(MAIN);
  const isRoot = machine.userId() === 0;
  if (isRoot) return override ?? main?.get("system_cachedir") ?? systemCache;
  if (userCache === null) return null;
  const home = machine.homeDirectory();
  return main?.get("cachedir") ?? (home === null ? null : `${home}/${userCache}`);
}

/** rpm-ostree and bootc hosts are booted from an image. */
const OSTREE_BOOTED = "/run/ostree-booted";

const IMAGE_NOTE =
  "This host's system is replaced as a whole image: dnf does not install these updates on it";

async function isImageBased({ files }: System): Promise<boolean> {
  try {
    return await files.inspect("look for an image", OSTREE_BOOTED) !== undefined;
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}

function asImageBased(update: Update): Update {
  if (update.state === "held" || update.state === "pinned") return update;
  const doubt = update.stateReason ? `; ${update.stateReason}` : "";
  return { ...update, state: "image_based", stateReason: `${OSTREE_BOOTED} is there${doubt}` };
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
  const path = DNF.find((_, index) => found[index] !== undefined) ?? USUAL_DNF;
  const version = parseDnfVersion(
    await commands.ask("ask dnf for its version", [path, "--version"]),
  );
  if (version?.[0] === 4) return { path, dialect: dnf4Dialect };
  if (version?.[0] === 5) return { path, dialect: dnf5Dialect(version) };
  const fact = `"${path}" is neither dnf 4 nor dnf 5`;
  throw new ScanError(`Cannot scan with dnf: ${fact}`, { reason: "not_available" });
}
