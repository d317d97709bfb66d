/** Finds a winget that works and asks it: text, since no release of it answers in JSON. */

import type { RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { ScanError, type ScanOptions } from "../scanner.ts";
import { isTooOld, saysNoMatch, saysNothingFound, wingetFailure, wingetNotRun } from "./failure.ts";
import { wingetPlaces } from "./places.ts";
import { parseWingetSources, type WingetSource } from "./sources.ts";
import { parseWingetUpgrades } from "./upgrades.ts";

/** For everything that winget is asked in one scan. */
const TIMEOUT_MS = 120_000;

/** A list of a thousand packages is a fifth of a megabyte; progress bars may be more. */
const MAX_OUTPUT_BYTES = 8_388_608;

/** Since this version it can be told to leave out progress bars, and cuts no cells. */
const QUIET_SINCE: readonly [number, number] = [1, 29];

/**
 * What is asked, each time with fewer options than the last, for older versions. `--source winget`:
 * the store's source fails for services and takes the answer with it. No option that installs.
 */
const LISTINGS: readonly (readonly string[])[] = [
  [
    "upgrade",
    "--include-unknown",
    "--include-pinned",
    "--source",
    "winget",
    "--accept-source-agreements",
    "--disable-interactivity",
  ],
  ["upgrade", "--include-unknown", "--source", "winget", "--accept-source-agreements"],
  ["upgrade", "--source", "winget"],
];

const ACTION = "list updates with winget";

/** A winget that has told its version, and so works. */
export interface Winget {
  readonly path: string;
  /** Major and minor; `null` if what it said was none. */
  readonly version: readonly [number, number] | null;
  /** Runs it; a code other than 0 is a result. Throws `ScanError`. */
  run(action: string, args: readonly string[]): Promise<RunResult>;
}

/** The best winget on this host that starts and says its version. Throws `ScanError`. */
export async function findWinget(system: System, options: ScanOptions): Promise<Winget> {
  const endMs = system.clock.monotonicMs() + TIMEOUT_MS;
  const failures: ScanError[] = [];
  for (const path of await wingetPlaces(system)) {
    const run = runner(system, path, { endMs, signal: options.signal });
    try {
      const action = `start winget ("${path}")`;
      const { code, stdout } = await run(action, ["--version"]);
      if (code !== 0) throw wingetFailure(action, code);
      if (stdout.trim() === "") {
        throw new ScanError(`Cannot ${action}: it said nothing`, { reason: "not_available" });
      }
      return { path, version: parseWingetVersion(stdout), run };
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof ScanError)) throw error;
      failures.push(error);
    }
  }
  // The first is that of the winget that should have worked.
  const [first] = failures;
  if (first) throw first;
  const fact = "this account has none";
  throw new ScanError(`Cannot scan with winget: ${fact}`, { reason: "not_available" });
}

/** Major and minor of `v1.29.240` or `v1.5.441-preview`. */
function parseWingetVersion(stdout: string): readonly [number, number] | null {
  const [, major, minor] = /\bv(\d{1,6})\.(\d{1,6})/.exec(stdout) ?? [];
  return major === undefined ? null : [Number(major), Number(minor)];
}

/** What winget says of updates. */
export interface ListedUpgrades {
  readonly stdout: string;
  /** Whether its exit code said that there are none. */
  readonly saysNothing: boolean;
  /** Whether it is new enough to know pins at all. */
  readonly knowsPins: boolean;
}

/** Asks winget for updates, with as many options as it knows. */
export async function listUpgrades(winget: Winget): Promise<ListedUpgrades> {
  let result: RunResult | undefined;
  let knowsPins = false;
  for (const listing of LISTINGS) {
    result = await winget.run(ACTION, [...listing, ...quiet(winget)]);
    knowsPins = listing.includes("--include-pinned");
    if (!isTooOld(result.code)) break;
  }
  if (!result || result.truncated) {
    throw new ScanError(`Cannot ${ACTION}: the answer is too long`, { reason: "permanent" });
  }
  const saysNothing = saysNothingFound(result.code);
  if (result.code !== 0 && !saysNothing) throw wingetFailure(ACTION, result.code);
  return { stdout: result.stdout, saysNothing, knowsPins };
}

/** What winget says of installed packages that match `query`; `null` if it says nothing useful. */
export async function listInstalled(
  winget: Winget,
  query: readonly string[],
): Promise<string | null> {
  const args = ["list", ...query, ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run("look up a package with winget", args);
  return code === 0 && !truncated ? stdout : null;
}

/** Ends every question but the first; nothing is asked of a person. */
const UNATTENDED = ["--source", "winget", "--accept-source-agreements", "--disable-interactivity"];

/** An id that no package has. */
const NO_PACKAGE = "Pennon.Asks.For.A.Package.That.Does.Not.Exist";

/**
 * The sentence with which this winget says that no installed package matches, in whatever language it
 * speaks; `null` if it cannot be learnt: it ended in another way, or said more than that.
 */
export async function learnNothingFound(winget: Winget): Promise<string | null> {
  const args = ["list", "--id", NO_PACKAGE, "--exact", ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run("ask winget for no package", args);
  if (!saysNoMatch(code) || truncated) return null;
  const { messages, hasMainTable, unreadable, dropped } = parseWingetUpgrades(stdout);
  const isAlone = messages.length === 1 && !hasMainTable && unreadable === 0 && dropped === 0;
  return isAlone ? messages[0] ?? null : null;
}

/** What winget says of its pins; `null` where it is too old to have any. Throws `ScanError`. */
export async function listPins(winget: Winget): Promise<string | null> {
  const action = "list winget's pins";
  const args = ["pin", "list", ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run(action, args);
  if (isTooOld(code)) return null;
  if (code !== 0 && !saysNothingFound(code)) throw wingetFailure(action, code);
  if (!truncated) return stdout;
  throw new ScanError(`Cannot ${action}: the answer is too long`, { reason: "permanent" });
}

/** Its sources; `null` if what it says is no list of them. Asks at most twice. Throws `ScanError`. */
export async function listSources(winget: Winget): Promise<readonly WingetSource[] | null> {
  const action = "list winget's sources";
  const ask = (...options: string[]) => winget.run(action, ["source", "export", ...options]);
  let result = await ask("--disable-interactivity");
  if (isTooOld(result.code)) result = await ask();
  if (result.code !== 0) throw wingetFailure(action, result.code);
  return result.truncated ? null : parseWingetSources(result.stdout);
}

function quiet({ version }: Winget): string[] {
  const [major, minor] = QUIET_SINCE;
  const isQuiet = version !== null &&
    (version[0] > major || (version[0] === major && version[1] >= minor));
  return isQuiet ? ["--no-progress"] : [];
}

function runner(
  { clock, runCommand }: System,
  path: string,
  { endMs, signal }: { endMs: number; signal: AbortSignal | undefined },
): Winget["run"] {
  return async (action, args) => {
    const timeoutMs = endMs - clock.monotonicMs();
    if (timeoutMs <= 0) {
      const fact = `no end within ${TIMEOUT_MS / 1_000} s`;
      throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "transient" });
    }
    try {
      return await runCommand([path, ...args], {
        timeoutMs,
        maxOutputBytes: MAX_OUTPUT_BYTES,
        ...(signal && { signal }),
      });
    } catch (cause) {
      throw wingetNotRun(action, cause);
    }
  };
}
