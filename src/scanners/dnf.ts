/** Scans for updates with dnf 4 or dnf 5, on Red Hat's systems, Fedora and their derivatives. */

import type { System } from "../system/system.ts";
import type { Update } from "../update.ts";
import { DnfCommands, outputOf } from "./dnf/commands.ts";
import {
  type DnfConfiguration,
  type DnfFiles,
  MAIN,
  readDnfConfiguration,
} from "./dnf/configuration.ts";
import { type DnfDialect, parseDnfVersion } from "./dnf/dialect.ts";
import { dnf4Dialect } from "./dnf/dnf4.ts";
import { dnf5Dialect } from "./dnf/dnf5.ts";
import { chooseLists } from "./dnf/lists.ts";
import { collectAnswers, type DnfContext, readReboot } from "./dnf/questions.ts";
import {
  INSTALLED_FORMAT,
  type InstalledRpm,
  type PackageList,
  parseInstalledRpms,
} from "./dnf/rpm.ts";
import { buildUpdates } from "./dnf/updates.ts";
import { unlessFileError } from "./private_files.ts";
import { hasFiles, waitForAll } from "./programs.ts";
import {
  cannot,
  oldestAgeS,
  type ScanAnswer,
  type Scanner,
  type ScanOptions,
  withSources,
} from "./scanner.ts";

/** Absolute, so that no other program runs; either may be a link to the other generation of dnf. */
const DEFAULT_DNF = "/usr/bin/dnf";
const DNF = [DEFAULT_DNF, "/usr/bin/dnf5"];
const RPM = "/usr/bin/rpm";

/** Every path of the rpm database. A host whose own packages are not RPMs may have dnf to build images. */
const DATABASES = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"].flatMap((directory) =>
  ["rpmdb.sqlite", "Packages.db", "Packages"].map((name) => `${directory}/${name}`)
);

/** Replace the host's root with another one; for tests. */
export interface DnfOptions {
  readonly dnfArguments?: readonly string[];
  readonly rpmArguments?: readonly string[];
  readonly configuration?: DnfFiles;
  /** Root's cache directory. @default the dialect's own */
  readonly cacheDirectory?: string;
}

/**
 * The scanner. It reads dnf's package lists. For a user other than root, dnf has separate lists; the
 * scanner makes dnf fetch those if they are missing or older than a day.
 */
export function dnfScanner(options: DnfOptions = {}): Scanner {
  return {
    name: "dnf",
    isAvailable: (system) => hasFiles(system, "look for dnf", [DNF, [RPM], DATABASES]),
    scan: (system, scanOptions) => scanDnf(system, scanOptions, options),
  };
}

async function scanDnf(
  system: System,
  scanOptions: ScanOptions,
  options: DnfOptions,
): Promise<ScanAnswer> {
  const commands = new DnfCommands(system, scanOptions.signal);
  const rpm = [RPM, ...options.rpmArguments ?? []];
  // These do not lock dnf's database and run at once; every later command of dnf locks it.
  const [installed, { path, dialect }, configuration] = await waitForAll([
    listInstalled(commands, rpm),
    findDialect(system, commands),
    readDnfConfiguration(system, options.configuration ?? {}),
  ]);
  commands.scaleTimeouts(installed.packages.length);
  const isRoot = system.machine.userId() === 0;
  const own = isRoot ? dialect.options : [...dialect.options, ...dialect.userOptions];
  const program = [path, ...options.dnfArguments ?? [], ...own];
  const gaps: string[] = [];
  const dnfCache = cacheDirectoryOf(system, dialect, configuration, options.cacheDirectory);
  const hostContext: DnfContext = { commands, dialect, program, gaps };
  const lists = await chooseLists(system, hostContext, dnfCache, scanOptions);
  const context = { ...hostContext, program: lists.program };
  const { unparsed, ...answers } = await withSources(
    lists.sources,
    () => collectAnswers(context, configuration, lists),
  );
  if (installed.unparsed + unparsed > 0) {
    gaps.push(`Lines of dnf's answers that were not understood: ${installed.unparsed + unparsed}`);
  }
  const updates = buildUpdates({
    ...answers,
    installed: installed.packages,
    marksSecurity: new Map(lists.sources.map((source) => [source.name, source.marksSecurity])),
  });
  const booted = () => system.files.inspect("look for an image", OSTREE_BOOTED);
  const isImage = await unlessFileError(booted, undefined) !== undefined;
  return {
    updates: isImage ? updates.map(asImageBased) : updates,
    gaps,
    notes: isImage ? [IMAGE_NOTE] : [],
    sources: lists.sources,
    metadataAgeS: oldestAgeS(lists.sources),
    reboot: await readReboot(context),
  };
}

/** Dnf's cache directory for the current user; `null` if unknown. */
function cacheDirectoryOf(
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

/** Exists on hosts that were booted from an image (rpm-ostree, bootc). */
const OSTREE_BOOTED = "/run/ostree-booted";

const IMAGE_NOTE =
  "This host's system is replaced as a whole image: dnf does not install these updates on it";

function asImageBased(update: Update): Update {
  if (update.state === "held" || update.state === "pinned") return update;
  const reason = update.stateReason ? `; ${update.stateReason}` : "";
  return { ...update, state: "image_based", stateReason: `${OSTREE_BOOTED} exists${reason}` };
}

async function listInstalled(
  commands: DnfCommands,
  rpm: readonly string[],
): Promise<PackageList<InstalledRpm>> {
  const action = "list the installed packages";
  const result = await commands.run(action, [...rpm, "-qa", "--qf", INSTALLED_FORMAT]);
  const installed = parseInstalledRpms(outputOf(action, result));
  if (installed.packages.length > 0) return installed;
  throw cannot("scan with dnf", "rpm lists no installed package", "not_available");
}

/** Finds dnf and its generation; the path and the distribution do not determine the generation. */
async function findDialect(
  { files }: System,
  commands: DnfCommands,
): Promise<{ path: string; dialect: DnfDialect }> {
  const found = await Promise.all(
    DNF.map((path) => files.inspect("look for dnf", path).catch(() => undefined)),
  );
  const path = DNF.find((_, index) => found[index] !== undefined) ?? DEFAULT_DNF;
  const action = "ask dnf for its version";
  const version = parseDnfVersion(
    outputOf(action, await commands.run(action, [path, "--version"])),
  );
  if (version?.[0] === 4) return { path, dialect: dnf4Dialect };
  if (version?.[0] === 5) return { path, dialect: dnf5Dialect(version) };
  throw cannot("scan with dnf", `"${path}" is neither dnf 4 nor dnf 5`, "not_available");
}
