/**
 * Locates a working winget, runs its commands and interprets its exit codes. The commands return text,
 * which this file does not read: no release of winget answers in JSON.
 */

import type { CommandError, RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { programsDirectory } from "../powershell/powershell.ts";
import { listNames } from "../private_files.ts";
import {
  answerTooLong,
  compareVersionNumbers,
  type FailureMeaning,
  meaningsByCode,
  reasonNotRun,
  runProgram,
} from "../programs.ts";
import { attempt, cannot, ScanError, type ScanOptions } from "../scanner.ts";

/** The directory of a package: `Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe`. */
const PACKAGE =
  /^Microsoft\.DesktopAppInstaller_(\d{1,9}(?:\.\d{1,9}){1,3})_(x64|arm64|x86)__8wekyb3d8bbwe$/i;

/** Maps the processor architecture of `uname -m` to that in the name of a package. */
const PACKAGE_ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "x64", aarch64: "arm64" };

/** Profiles of accounts that install no packages of their own. */
const SYSTEM_PROFILE = /\\config\\systemprofile\\?$/i;
const SERVICE_PROFILES = /\\ServiceProfiles\\/i;

/** Time limit for all commands of one scan. */
const TIMEOUT_MS = 120_000;

/** A list of a thousand packages takes 0.2 MB; progress bars can take more. */
const MAX_OUTPUT_BYTES = 8_388_608;

/** The first version that can omit progress bars, and that truncates no cells. */
const QUIET_SINCE: readonly [number, number] = [1, 29];

/** Prevents every question to a user. */
const UNATTENDED = ["--source", "winget", "--accept-source-agreements", "--disable-interactivity"];

/**
 * The options of the list command, fewer each time, for older versions. `--source winget`: the store's
 * source fails for services and makes the whole answer fail. No option installs anything.
 */
const LISTINGS: readonly (readonly string[])[] = [
  ["upgrade", "--include-unknown", "--include-pinned", ...UNATTENDED],
  ["upgrade", "--include-unknown", "--source", "winget", "--accept-source-agreements"],
  ["upgrade", "--source", "winget"],
];

const NO_PACKAGE = "Pennon.Asks.For.A.Package.That.Does.Not.Exist";

const LIST_UPDATES = "list updates with winget";

/** The account that runs a scan: each user has packages of their own. */
export interface WingetAccount {
  /** For people: `SYSTEM`, `the user "anna"`. */
  readonly description: string;
  /** Whether it is a service account, which sees only what is installed for the whole machine. */
  readonly isService: boolean;
}

/** Identifies the account of this process by its profile directory. */
export function wingetAccount(system: System): WingetAccount {
  const profile = system.readEnvironment("USERPROFILE") ?? "";
  if (SYSTEM_PROFILE.test(profile)) return { description: "SYSTEM", isService: true };
  const name = profile.split("\\").filter((part) => part !== "").at(-1) ?? "unknown";
  return SERVICE_PROFILES.test(profile)
    ? { description: name, isService: true }
    : { description: `the user "${name}"`, isService: false };
}

/**
 * Paths of `winget.exe`, the best first; empty if none is visible. Never throws.
 *
 * A user has an alias, of which only the name is read, because Windows denies access to its content.
 * Most users cannot list the packages' directory; SYSTEM, which has no alias, can.
 */
export async function wingetPaths(system: System): Promise<string[]> {
  const own = system.readEnvironment("LOCALAPPDATA");
  const aliases = own === undefined ? null : `${own}\\Microsoft\\WindowsApps`;
  const directory = `${programsDirectory(system)}\\WindowsApps`;
  const purpose = "look for winget";
  const [names, packages] = await Promise.all([
    aliases === null ? [] : listNames(system, purpose, aliases),
    listNames(system, purpose, directory),
  ]);
  const hasAlias = names.some((name) => name.toLowerCase() === "winget.exe");
  return [
    ...(hasAlias ? [`${aliases}\\winget.exe`] : []),
    ...bestPackages(packages, system.architecture)
      .map((name) => `${directory}\\${name}\\winget.exe`),
  ];
}

/** Package directories of this architecture, highest version first; if there are none, all others. */
export function bestPackages(names: readonly string[], architecture: string): string[] {
  const packages = names.flatMap((name) => {
    const found = PACKAGE.exec(name);
    if (!found) return [];
    const [, version = "", built = ""] = found;
    return [{ name, version: version.split(".").map(Number), built: built.toLowerCase() }];
  }).sort((a, b) => compareVersionNumbers(b.version, a.version));
  const ours = packages.filter(({ built }) => built === PACKAGE_ARCHITECTURES[architecture]);
  // A host for arm64 also runs programs for x64; its winget then has the other architecture.
  return (ours.length > 0 ? ours : packages).map(({ name }) => name);
}

/** A winget that has answered with its version, and so works. */
export interface Winget {
  readonly path: string;
  /** Major and minor; `null` if the answer was not a version. */
  readonly version: readonly [number, number] | null;
  /** Runs a command; an exit code other than 0 is a result. Throws `ScanError`. */
  run(action: string, args: readonly string[]): Promise<RunResult>;
}

/** Finds the best winget on this host that starts and prints its version. Throws `ScanError`. */
export async function findWinget(system: System, options: ScanOptions): Promise<Winget> {
  const endMs = system.clock.monotonicMs() + TIMEOUT_MS;
  const failures: ScanError[] = [];
  for (const path of await wingetPaths(system)) {
    const run = runner(system, path, { endMs, signal: options.signal });
    const winget = await attempt(() => start(path, run), options.signal);
    if (!(winget instanceof ScanError)) return winget;
    failures.push(winget);
  }
  // The first failure is that of the best winget.
  throw failures[0] ?? cannot("scan with winget", "this account has none", "not_available");
}

async function start(path: string, run: Winget["run"]): Promise<Winget> {
  const action = `start winget ("${path}")`;
  const { code, stdout } = await run(action, ["--version"]);
  if (code !== 0) throw wingetFailure(action, code);
  if (stdout.trim() === "") throw cannot(action, "it printed nothing", "not_available");
  // `v1.29.240` or `v1.5.441-preview`.
  const [, major, minor] = /\bv(\d{1,6})\.(\d{1,6})/.exec(stdout) ?? [];
  return { path, version: major === undefined ? null : [Number(major), Number(minor)], run };
}

function runner(
  system: System,
  path: string,
  { endMs, signal }: { endMs: number; signal: AbortSignal | undefined },
): Winget["run"] {
  return async (action, args) => {
    const timeoutMs = endMs - system.clock.monotonicMs();
    if (timeoutMs <= 0) {
      throw cannot(action, `no end within ${TIMEOUT_MS / 1_000} s`, "transient");
    }
    const bounds = { timeoutMs, maxOutputBytes: MAX_OUTPUT_BYTES, signal };
    const describe = (cause: CommandError) => wingetNotRun(action, cause);
    return await runProgram(system, [path, ...args], bounds, describe);
  };
}

/** The error for a winget that could not be run to its end. */
export function wingetNotRun(action: string, cause: CommandError): ScanError {
  // An alias without its package does not start, and Windows gives various errors.
  const reason = cause.reason === "failed" ? "not_available" : reasonNotRun(cause);
  return cannot(action, cause.message, reason, { cause });
}

/**
 * Lists updates, with as many options as this winget knows. `saysNothing`: the exit code says that
 * there are none. `knowsPins`: this version knows pins. Throws `ScanError`.
 */
export async function listUpgrades(
  winget: Winget,
): Promise<{ stdout: string; saysNothing: boolean; knowsPins: boolean }> {
  let result: RunResult | undefined;
  let knowsPins = false;
  for (const listing of LISTINGS) {
    result = await winget.run(LIST_UPDATES, [...listing, ...quiet(winget)]);
    knowsPins = listing.includes("--include-pinned");
    if (!isTooOld(result.code)) break;
  }
  if (!result || result.truncated) throw answerTooLong(LIST_UPDATES);
  const saysNothing = saysNothingFound(result.code);
  if (result.code !== 0 && !saysNothing) throw wingetFailure(LIST_UPDATES, result.code);
  return { stdout: result.stdout, saysNothing, knowsPins };
}

/** Lists installed packages that match `query`; `null` if the answer is incomplete or a failure. */
export async function listInstalled(
  winget: Winget,
  query: readonly string[],
): Promise<string | null> {
  const args = ["list", ...query, ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run("look up a package with winget", args);
  return code === 0 && !truncated ? stdout : null;
}

/** What winget prints for a package that does not exist; `null` if it does not end in that way. */
export async function listNoPackage(winget: Winget): Promise<string | null> {
  const args = ["list", "--id", NO_PACKAGE, "--exact", ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run("ask winget for no package", args);
  return code >>> 0 === NO_MATCH && !truncated ? stdout : null;
}

/** Lists pins; `null` if this winget is too old for pins. Throws `ScanError`. */
export async function listPins(winget: Winget): Promise<string | null> {
  const action = "list winget's pins";
  const args = ["pin", "list", ...UNATTENDED, ...quiet(winget)];
  const { code, stdout, truncated } = await winget.run(action, args);
  if (isTooOld(code)) return null;
  if (code !== 0 && !saysNothingFound(code)) throw wingetFailure(action, code);
  if (truncated) throw answerTooLong(action);
  return stdout;
}

/** Lists sources; `null` if the list is too long. Runs winget at most twice. Throws `ScanError`. */
export async function listSources(winget: Winget): Promise<string | null> {
  const action = "list winget's sources";
  const ask = (...options: string[]) => winget.run(action, ["source", "export", ...options]);
  let result = await ask("--disable-interactivity");
  if (isTooOld(result.code)) result = await ask();
  if (result.code !== 0) throw wingetFailure(action, result.code);
  return result.truncated ? null : result.stdout;
}

function quiet({ version }: Winget): string[] {
  const isQuiet = version !== null && compareVersionNumbers(version, QUIET_SINCE) >= 0;
  return isQuiet ? ["--no-progress"] : [];
}

/** The option is unknown: this winget is older than the option. */
const INVALID_ARGUMENTS = 0x8a150002;

/** No installed package matches, or none has an update. winget may print nothing then. */
const NO_MATCH = 0x8a150014;
const NO_UPDATE = 0x8a15002b;

/** Whether this code says that winget does not know an option. */
export function isTooOld(code: number): boolean {
  return code >>> 0 === INVALID_ARGUMENTS;
}

/** Whether this code says that nothing was found, which is an answer. */
export function saysNothingFound(code: number): boolean {
  return [NO_MATCH, NO_UPDATE].includes(code >>> 0);
}

const RESET = "as the same account, look at `winget source list`, and reset its sources if need be";
const UPDATE_WINGET = "update App Installer";
const REPAIR_WINGET = "repair App Installer for this account";
const CHECK_POLICY = "look for it under App Package Deployment in the group policies";
const FREE_SPACE = "free space on the system drive";
const UPDATE_SOURCE = "run `winget source update` as the same account";
const ANSWER_ONCE = "run `winget upgrade` as the same account";
const ACCEPT_ONCE = "run `winget list --accept-source-agreements` as the same account";
const EXEMPT_SOURCE = "exempt the source from TLS inspection";
const GIVE_ACCESS = "give the account access to App Installer";
const INSTALL_VCLIBS = "install the Visual C++ runtime packages (VCLibs)";

/**
 * Codes of doc/windows/package-manager/winget/returnCodes.md in microsoft/winget-cli, of winerror.h and
 * of ntstatus.h. Any other code is transient: if it repeats, the breaker opens.
 */
const MEANINGS = meaningsByCode([
  ["8A150001", "transient", "internal error"],
  ["8A150002", "permanent", "it does not know the options", UPDATE_WINGET],
  ["8A150003", "transient", "the command failed"],
  ["8A150005", "transient", "cancelled"],
  ["8A15000A", "permanent", "the source's index is corrupt", RESET],
  ["8A15000B", "permanent", "the source configuration is corrupt", RESET],
  ["8A15000F", "permanent", "the source's data is missing for this account", UPDATE_SOURCE],
  ["8A150012", "permanent", 'there is no source named "winget"', RESET],
  ["8A150015", "permanent", "no sources are configured", RESET],
  [
    "8A150016",
    "permanent",
    "it takes the listing for a single package, as an old winget does",
    UPDATE_WINGET,
  ],
  ["8A150038", "permanent", "it does not support the source", UPDATE_WINGET],
  ["8A150039", "transient", "the source's answer is not valid"],
  ["8A15003A", "not_available", "blocked by Group Policy"],
  ["8A15003B", "transient", "the source's server failed"],
  ["8A15003E", "permanent", "it does not support the source's version", UPDATE_WINGET],
  ["8A15003F", "permanent", "the source's data is corrupt or was tampered with", RESET],
  ["8A150042", "permanent", "it asked a question, and no user can answer", ANSWER_ONCE],
  ["8A150044", "transient", "the source's server gave no answer"],
  ["8A150045", "transient", "a source could not be opened"],
  ["8A150046", "permanent", "the source's agreements are not accepted", ACCEPT_ONCE],
  ["8A15004B", "transient", "sources could not be opened"],
  ["8A15005E", "permanent", "the server's certificate is not the pinned one", EXEMPT_SOURCE],
  ["8A150064", "transient", "its database of pins could not be opened"],
  ["8A15006A", "transient", "the host is shutting down"],
  ["8A15006D", "transient", "the service is busy or unavailable"],
  ["80070005", "permanent", "access denied", GIVE_ACCESS],
  ["80072EE2", "transient", "the source's server did not answer in time"],
  ["80072EE7", "transient", "the source's name could not be resolved"],
  ["80072EFD", "transient", "the source's server could not be reached"],
  ["80072EFE", "transient", "the connection to the source's server broke off"],
  ["80072EFF", "transient", "the connection to the source's server was reset"],
  ["801901F4", "transient", "the source's server failed: HTTP 500"],
  // ERROR_DISK_FULL, and the same of the package manager for MSIX, which installs winget.
  ["80070070 80073CF4", "transient", "the disk is full", FREE_SPACE],
  // ERROR_INSTALL_..., ERROR_PACKAGE...: of the package manager for MSIX.
  ["80073CF5", "transient", "Windows could not fetch a package"],
  ["80073CF8", "transient", "Windows cancelled the package"],
  ["80073CFF 80073D01", "not_available", "a policy forbids Windows its package", CHECK_POLICY],
  ["80073D00", "transient", "Windows is just updating its package"],
  ["80073D02", "transient", "its package is in use while Windows replaces it"],
  // The package cannot be opened, is not valid, lacks or contradicts another or needs remediation; the
  // repository, or its source for a recovery, is damaged; or the signature, the processor, the file
  // system or the drive is wrong.
  [
    "80073CF0 80073CF2 80073CF3 80073CFC 80073CFD 80073CFE 80073D03 80073D04 80073D07 80073D09 " +
    "80073D10 80073D13 80073D1F",
    "permanent",
    "Windows refuses the package",
    REPAIR_WINGET,
  ],
  ["C0000005", "transient", "it crashed (access violation)"],
  ["C0000409", "transient", "it crashed (fail fast)"],
  [
    "C0000142",
    "transient",
    "a DLL could not be initialized: the session is ending or out of memory",
  ],
  ["C000013A", "transient", "it was interrupted"],
  ["40010004", "transient", "its session ended"],
  ["C0000135", "not_available", "a DLL that it needs is missing", INSTALL_VCLIBS],
]);

/** The first and the last code of the package manager for MSIX. */
const FIRST_MSIX = 0x80073cf0;
const LAST_MSIX = 0x80073d1f;

/** The error for an exit code other than 0; Deno reports it as a signed number of 32 bits. */
export function wingetFailure(action: string, code: number): ScanError {
  const number = code >>> 0;
  const hex = number.toString(16).toUpperCase().padStart(8, "0");
  // While Windows replaces a package it fails with many different codes.
  const unlisted: FailureMeaning = number >= FIRST_MSIX && number <= LAST_MSIX
    ? ["transient", "Windows cannot use the package now", `if it stays so, ${REPAIR_WINGET}`]
    : ["transient", "it failed"];
  const [reason, fact, next] = MEANINGS.get(hex) ?? unlisted;
  return cannot(action, `${fact} (0x${hex})`, reason, { next });
}
