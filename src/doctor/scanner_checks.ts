/**
 * The checks of the package managers: present, running, version, age of their lists, the last scan. They
 * start no scan: that may fetch lists, and takes longer than an operator waits for `doctor`.
 */

import { pennonCommand } from "../advice.ts";
import type { Status } from "../agent/status.ts";
import { listNames } from "../scanners/private_files.ts";
import { listsFetchedMs } from "../scanners/apt/lists.ts";
import { APT_GET, DPKG_QUERY } from "../scanners/apt/commands.ts";
import { quoteWords } from "../redact.ts";
import { ServiceError, type ServiceStatus } from "../service/manager.ts";
import { hostService } from "../service/service.ts";
import { CommandError } from "../system/process.ts";
import type { System } from "../system/system.ts";
import { describeDuration, joinNames } from "../wording.ts";
import { adviceOf, fail, type Finding, ok, skip, warn } from "./finding.ts";

/** One package manager, looked at. */
export interface ScannerFacts {
  readonly name: string;
  /** The first line of each program's `--version`, or why it did not run. */
  readonly programs: readonly { readonly path: string; readonly answer: string | Error }[];
  /** When the lists were last fetched; `null`: there are none; `undefined`: not known. */
  readonly listsAtMs: number | null | undefined;
}

const VERSION_MS = 10_000;

const APT_STATE = "/var/lib/apt";

/** The programs of each scanner that can be started just to say their version. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  apt: [APT_GET, DPKG_QUERY],
  dnf: ["/usr/bin/dnf", "/usr/bin/dnf5", "/usr/bin/rpm"],
};

/** dnf 4's and dnf 5's directories of lists, root's. */
const DNF_CACHES = ["/var/cache/dnf", "/var/cache/libdnf5"];

/** Looks at the package manager of a scanner; takes 10 s at most. */
export async function lookAtScanner(system: System, name: string): Promise<ScannerFacts> {
  const paths: string[] = [];
  for (const path of PROGRAMS[name] ?? []) {
    const facts = await system.files.inspect("look for a program", path).catch(() => undefined);
    if (facts !== undefined) paths.push(path);
  }
  const programs = await Promise.all(
    paths.map(async (path) => ({ path, answer: await askVersion(system, path) })),
  );
  return { name, programs, listsAtMs: await listsOf(system, name) };
}

async function askVersion(system: System, path: string): Promise<string | Error> {
  try {
    const { code, stdout, stderr } = await system.runCommand([path, "--version"], {
      timeoutMs: VERSION_MS,
      maxOutputBytes: 65_536,
    });
    const [line = ""] = (code === 0 ? stdout : stderr || stdout).trim().split("\n");
    const words = quoteWords(line, 80);
    return code === 0 ? words : new Error(`ends with ${code}: ${words}`);
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

async function listsOf(system: System, name: string): Promise<number | null | undefined> {
  if (name === "apt") {
    const names = await listNames(system, "look at the package lists", `${APT_STATE}/lists`);
    if (!names.some((file) => /_(?:In)?Release$/.test(file))) return null;
    return await listsFetchedMs(system, { aptStateDirectory: APT_STATE });
  }
  if (name !== "dnf") return undefined;
  const times = await Promise.all(DNF_CACHES.map(async (directory) => {
    const names = await listNames(system, "look at the package lists", directory);
    const facts = await Promise.all(
      names.filter((file) => !file.startsWith(".")).slice(0, 200).map((file) =>
        system.files.inspect("look at the package lists", `${directory}/${file}`)
          .catch(() => undefined)
      ),
    );
    return facts.map((fact) => fact?.modifiedMs ?? 0);
  }));
  const newest = Math.max(0, ...times.flat());
  // Another user than root has lists of his own, which the scanner fetches.
  return newest > 0 ? newest : system.machine.userId() === 0 ? null : undefined;
}

/** Older lists miss the updates of a week. */
const OLD_LISTS_MS = 7 * 86_400_000;

const FETCH: Readonly<Record<string, string>> = { apt: "apt-get update", dnf: "dnf makecache" };

/** Judges one package manager by what was seen, its last scan and its breaker. */
export function judgeScanner(
  { name, programs, listsAtMs }: ScannerFacts,
  { scans, scannerBreakers, nowMs }: Pick<Status, "scans" | "scannerBreakers" | "nowMs">,
): Finding {
  const broken = programs.filter(({ answer }) => answer instanceof Error);
  if (broken.length > 0) {
    const seen = broken.map(({ path, answer }) => `${path}: ${(answer as Error).message}`);
    const command = `${broken[0]?.path} --version`;
    return fail(name, seen.join("; "), `see what it says, and install it again: \`${command}\``);
  }
  const [first] = programs;
  const version = typeof first?.answer === "string" ? first.answer : "present";
  const fetch = FETCH[name];
  if (listsAtMs === null && fetch !== undefined) {
    return warn(name, `${version}; it has no package lists`, `fetch them as root: \`${fetch}\``);
  }
  const ageMs = typeof listsAtMs === "number" ? nowMs - listsAtMs : null;
  const age = ageMs === null ? "" : `, lists ${describeDuration(ageMs)} old`;
  const seen = `${version}${age}`;
  if (ageMs !== null && ageMs > OLD_LISTS_MS && fetch !== undefined) {
    return warn(name, seen, `fetch the lists as root: \`${fetch}\``);
  }
  const last = scans[name];
  const breaker = scannerBreakers[name];
  if (last?.result === "failed") {
    const paused = breaker !== undefined && breaker.state !== "closed";
    return warn(
      name,
      `${seen}; the last scan failed: ${last.error ?? "no reason saved"}`,
      `see what a scan says now: \`${pennonCommand("scan", "--only", name)}\`` +
        (paused
          ? `; then let the agent try at once: \`${pennonCommand("breaker", "reset", name)}\``
          : ""),
    );
  }
  return ok(name, seen);
}

/** Judges whether there is anything to scan with. */
export function judgeScanners(status: Pick<Status, "scanners">): Finding[] {
  const check = "package managers";
  const { enabled, available } = status.scanners;
  if (enabled.length === 0) {
    const next = "name some in scanners.enabled, or remove that line for all of them";
    return [warn(check, "scanners.enabled is empty: nothing is scanned", next)];
  }
  if (available.length > 0) return [];
  return [fail(
    check,
    `none of ${joinNames(enabled)} is on this host: nothing can be scanned`,
    "add the package manager of this host to scanners.enabled, if it is one that Pennon knows",
  )];
}

/** Looks at the service of this host, by what its service manager says; takes 10 s at most. */
export async function examineService(
  system: System,
  { stateDirectory, hasAgent }: { readonly stateDirectory: string; readonly hasAgent: boolean },
): Promise<Finding> {
  const check = "service";
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const cancel = system.clock.after(VERSION_MS, () => resolve(null));
  try {
    const status = await Promise.race([hostService(system, stateDirectory).status(), late]);
    if (status === null) return skip(check, "the service manager does not answer");
    return judgeService(status, hasAgent);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return skip(check, adviceOf([error.message], "").seen);
  } finally {
    cancel();
  }
}

const INSTALL = pennonCommand("service", "install");

/** `hasAgent`: an agent runs, whatever started it. */
export function judgeService(
  { isInstalled, isRunning, details }: ServiceStatus,
  hasAgent: boolean,
): Finding {
  const check = "service";
  if (!isInstalled) {
    if (hasAgent) return ok(check, "none is installed; something else runs the agent");
    return warn(check, "none is installed", `install it as root: \`${INSTALL}\``);
  }
  const { ActiveState: active, UnitFileState: boot } = details;
  const seen = [active ?? (isRunning ? "running" : "not running"), boot ?? ""]
    .filter((word) => word !== "").join(", ");
  const startsAtBoot = boot === undefined || boot.startsWith("enabled");
  if (isRunning && startsAtBoot) return ok(check, seen);
  const next = active === "failed"
    ? `see why: \`${pennonCommand("service", "logs")}\``
    : `start it now and at each boot, as root: \`${INSTALL}\``;
  return warn(check, seen, next);
}
