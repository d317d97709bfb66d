/** Scans for updates with dnf 4, on Red Hat's systems and their kin; dnf 5 is only recognised. */

import { CommandError, type RunResult } from "../system/process.ts";
import type { System } from "../system/system.ts";
import { parseAdvisories } from "./dnf_advisories.ts";
import { dnfFailure, dnfWarnings, hasNoCache } from "./dnf_failure.ts";
import { joinUpdates } from "./dnf_updates.ts";
import { newestListMs } from "./dnf_lists.ts";
import { INSTALLED_FORMAT, OFFERED_FORMAT, parseInstalled, parseOffered } from "./rpm_packages.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";

/** Absolute, so that nothing found through `PATH` is run in their place. */
const DNF = "/usr/bin/dnf";
const RPM = "/usr/bin/rpm";

const TIMEOUT_MS = 120_000;

/** Fetching package lists waits for mirrors. */
const FETCH_TIMEOUT_MS = 300_000;

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
  /** Where root's package lists are. @default "/var/cache/dnf" */
  readonly cacheDirectory?: string;
}

/**
 * The scanner. It reads the package lists that dnf has; without root's rights, which dnf keeps lists
 * of its own for, it has dnf fetch them if need be.
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
    const look = (path: string) => files.inspect("look for dnf", path);
    const [dnf, rpm] = await Promise.all([DNF, RPM].map(look));
    const databases = await Promise.all(DATABASES.map(look));
    return dnf !== undefined && rpm !== undefined && databases.some((one) => one !== undefined);
  } catch {
    return false;
  }
}

/** Runs a program with these arguments; a code other than 0 is a result. */
type Ask = (action: string, argv: readonly string[], timeoutMs?: number) => Promise<RunResult>;

async function scanDnf(
  system: System,
  scanOptions: ScanOptions,
  options: DnfOptions,
): Promise<ScanAnswer> {
  const ask = asker(system, scanOptions.signal);
  const dnf = [DNF, ...options.dnfArguments ?? []];
  const rpm = [RPM, ...options.rpmArguments ?? []];
  await requireDnf4(ask);
  const isRoot = system.machine.userId() === 0;
  const listing = await listUpdates(ask, dnf, { isRoot, refresh: scanOptions.refresh ?? false });
  const offered = parseOffered(listing.stdout);
  const action = "list the installed packages";
  const all = await ask(action, [...rpm, "-qa", "--qf", INSTALLED_FORMAT]);
  const installed = parseInstalled(answerOf(action, all));
  const warnings = dnfWarnings(listing);
  const advisories = await askAdvisories(ask, dnf, warnings);
  const lists = [offered, installed, advisories.advisories, advisories.cves];
  const unparsed = lists.reduce((sum, list) => sum + list.unparsed, 0);
  if (unparsed > 0) warnings.push(`Lines of dnf's answers that were not understood: ${unparsed}`);
  const fetchedMs = isRoot ? await newestListMs(system, options.cacheDirectory) : null;
  const ageMs = fetchedMs === null ? null : Math.max(0, system.clock.nowMs() - fetchedMs);
  return {
    updates: joinUpdates({
      installed: installed.packages,
      offered: offered.packages,
      advisories: advisories.advisories.packages,
      cves: advisories.cves.packages,
    }),
    warnings,
    metadataAgeS: ageMs === null ? null : Math.round(ageMs / 1_000),
  };
}

/** The distribution does not tell which dnf it has; dnf does. */
async function requireDnf4(ask: Ask): Promise<void> {
  const action = "ask dnf for its version";
  const [line = ""] = answerOf(action, await ask(action, [DNF, "--version"])).split("\n", 1);
  if (/^4\.\d/.test(line)) return;
  const found = line.startsWith("dnf5") ? "dnf 5" : "this dnf";
  const fact = `this version of Pennon does not read ${found} yet`;
  throw new ScanError(`Cannot scan with dnf: ${fact}`, { reason: "not_available" });
}

/** Without `-q`: only then does dnf tell, on stderr, which repositories it left out. */
async function listUpdates(
  ask: Ask,
  dnf: readonly string[],
  { isRoot, refresh }: { isRoot: boolean; refresh: boolean },
): Promise<RunResult> {
  const action = "list updates with dnf";
  const list = ["--color=never", "repoquery", "--upgrades", "--latest-limit=1"];
  const rest = [...list, "--qf", OFFERED_FORMAT];
  const fetchAndList = (...flags: string[]) =>
    ask(action, [...dnf, ...flags, ...rest], FETCH_TIMEOUT_MS);
  let result = refresh
    ? await fetchAndList("--refresh")
    : await ask(action, [...dnf, "-C", ...rest]);
  if (hasNoCache(result)) {
    // Root's lists are the host's, and nobody said that they may be fetched.
    if (isRoot) {
      const fact = 'there are no package lists yet: run "dnf makecache"';
      throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "transient" });
    }
    result = await fetchAndList();
  }
  answerOf(action, result);
  return result;
}

/** Advisories and CVEs, which dnf 4 tells apart from each other; a failure is a warning more. */
async function askAdvisories(ask: Ask, dnf: readonly string[], warnings: string[]) {
  const action = "read advisories";
  async function list(...flags: string[]) {
    try {
      const argv = [...dnf, "-q", "-C", "updateinfo", "list", "--updates", ...flags];
      return parseAdvisories(answerOf(action, await ask(action, argv)));
    } catch (error) {
      if (!(error instanceof ScanError)) throw error;
      warnings.push(error.message);
      return { packages: [], unparsed: 0 };
    }
  }
  return { advisories: await list(), cves: await list("--with-cve") };
}

function asker({ runCommand }: System, signal: AbortSignal | undefined): Ask {
  return async (action, argv, timeoutMs = TIMEOUT_MS) => {
    try {
      return await runCommand(argv, { timeoutMs, ...(signal && { signal }) });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      const reason = cause.reason === "not_found"
        ? "not_available"
        : cause.reason === "denied"
        ? "permanent"
        : "transient";
      throw new ScanError(`Cannot ${action}: ${cause.message}`, { reason, cause });
    }
  };
}

function answerOf(action: string, result: RunResult): string {
  if (result.code !== 0) throw dnfFailure(action, result);
  if (!result.truncated) return result.stdout;
  throw new ScanError(`Cannot ${action}: the answer is too long`, { reason: "permanent" });
}
