/** What winget's exit codes say, as reasons and as what a person can do about them. */

import { reasonNotRun, ScanError, type ScanErrorReason } from "../scanner.ts";
import { CommandError } from "../../system/process.ts";

/** An exit code's meaning. */
interface Meaning {
  readonly reason: ScanErrorReason;
  readonly fact: string;
  readonly next?: string | undefined;
}

/** `winget` knows no such option: it is older than the option. */
const INVALID_ARGUMENTS = 0x8a150002;

/** No installed package matched; and none has an update. A listing may end so without a line. */
const NO_MATCH = 0x8a150014;
const NO_UPDATE = 0x8a15002b;

/** A DLL that winget needs is not there. */
const DLL_MISSING = 0xc0000135;

const RESET = "as the same account, look at `winget source list`, and reset its sources if need be";

const UPDATE_WINGET = "update App Installer";

const REPAIR_WINGET = "repair App Installer for this account";

const CHECK_POLICY = "look for it under App Package Deployment in the group policies";

const FREE_SPACE = "free space on the system drive";

/**
 * From doc/windows/package-manager/winget/returnCodes.md in microsoft/winget-cli, winerror.h and
 * ntstatus.h. A code that is not here is taken for transient: if it repeats, the breaker opens.
 */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [0x8a150001, transient("internal error")],
  [INVALID_ARGUMENTS, permanent("it does not know the options", UPDATE_WINGET)],
  [0x8a150003, transient("the command failed")],
  [0x8a150005, transient("cancelled")],
  [0x8a15000a, permanent("the source's index is corrupt", RESET)],
  [0x8a15000b, permanent("the source configuration is corrupt", RESET)],
  [
    0x8a15000f,
    permanent(
      "the source's data is missing for this account",
      "run `winget source update` as the same account",
    ),
  ],
  [0x8a150012, permanent('there is no source named "winget"', RESET)],
  [0x8a150015, permanent("no sources are configured", RESET)],
  [
    0x8a150016,
    permanent("it takes the listing for a single package, as an old winget does", UPDATE_WINGET),
  ],
  [0x8a150038, permanent("it does not support the source", UPDATE_WINGET)],
  [0x8a150039, transient("the source's answer is not valid")],
  [0x8a15003a, absent("blocked by Group Policy")],
  [0x8a15003b, transient("the source's server failed")],
  [0x8a15003e, permanent("it does not support the source's version", UPDATE_WINGET)],
  [0x8a15003f, permanent("the source's data is corrupt or was tampered with", RESET)],
  [
    0x8a150042,
    permanent(
      "it asked something and nobody was there",
      "run `winget upgrade` as the same account",
    ),
  ],
  [0x8a150044, transient("the source's server gave no answer")],
  [0x8a150045, transient("a source could not be opened")],
  [
    0x8a150046,
    permanent(
      "the source's agreements are not accepted",
      "run `winget list --accept-source-agreements` as the same account",
    ),
  ],
  [0x8a15004b, transient("sources could not be opened")],
  [
    0x8a15005e,
    permanent(
      "the server's certificate is not the pinned one",
      "exempt the source from TLS inspection",
    ),
  ],
  [0x8a150064, transient("its database of pins could not be opened")],
  [0x8a15006a, transient("the host is shutting down")],
  [0x8a15006d, transient("the service is busy or unavailable")],
  [0x80070005, permanent("access denied", "give the account access to App Installer")],
  [0x80072ee2, transient("the source's server did not answer in time")],
  [0x80072ee7, transient("the source's name could not be resolved")],
  [0x80072efd, transient("the source's server could not be reached")],
  [0x80072efe, transient("the connection to the source's server broke off")],
  [0x80072eff, transient("the connection to the source's server was reset")],
  [0x801901f4, transient("the source's server failed: HTTP 500")],
  // ERROR_DISK_FULL.
  [0x80070070, transient("the disk is full", FREE_SPACE)],
  // ERROR_INSTALL_..., ERROR_PACKAGE...: of the package manager for MSIX, by which winget came.
  [0x80073cf4, transient("the disk is full", FREE_SPACE)],
  [0x80073cf5, transient("Windows could not fetch a package")],
  [0x80073cf8, transient("Windows cancelled the package")],
  [0x80073cff, absent("a policy forbids Windows its package", CHECK_POLICY)],
  [0x80073d00, transient("Windows is just updating its package")],
  [0x80073d01, absent("a policy forbids Windows its package", CHECK_POLICY)],
  [0x80073d02, transient("its package is in use while Windows replaces it")],
  ...repairs(),
  [0xc0000005, transient("it crashed (access violation)")],
  [0xc0000409, transient("it crashed (fail fast)")],
  [0xc0000142, transient("a DLL could not be initialized: the session is ending or out of memory")],
  [0xc000013a, transient("it was interrupted")],
  [0x40010004, transient("its session ended")],
  [
    DLL_MISSING,
    absent("a DLL that it needs is missing", "install the Visual C++ runtime packages (VCLibs)"),
  ],
]);

/** The first and the last code of the package manager for MSIX. */
const FIRST_MSIX = 0x80073cf0;
const LAST_MSIX = 0x80073d1f;

/** Whether winget is too old for an option that it was given. */
export function isTooOld(code: number): boolean {
  return code >>> 0 === INVALID_ARGUMENTS;
}

/** Whether this code says that nothing was found, which is an answer. */
export function saysNothingFound(code: number): boolean {
  return saysNoMatch(code) || code >>> 0 === NO_UPDATE;
}

/** Whether this code says that no installed package is what was asked for. */
export function saysNoMatch(code: number): boolean {
  return code >>> 0 === NO_MATCH;
}

/**
 * The error for a winget that ended with another code than 0. `code` is as Deno has it: on Windows a
 * signed number of 32 bits.
 */
export function wingetFailure(action: string, code: number): ScanError {
  const number = code >>> 0;
  const hex = `0x${number.toString(16).toUpperCase().padStart(8, "0")}`;
  const { reason, fact, next } = MEANINGS.get(number) ?? familyOf(number);
  return new ScanError(
    `Cannot ${action}: ${fact} (${hex})${next === undefined ? "" : `. Next: ${next}`}`,
    { reason },
  );
}

/** The error for a program that could not be run to its end; throws on what is no `CommandError`. */
export function wingetNotRun(action: string, cause: unknown): ScanError {
  if (!(cause instanceof CommandError)) throw cause;
  const message = `Cannot ${action}: ${cause.message}`;
  return new ScanError(message, { reason: reasonOf(cause), cause });
}

/** An alias without a package behind it does not start, whatever Windows says is the matter. */
function reasonOf(cause: CommandError): ScanErrorReason {
  return cause.reason === "failed" ? "not_available" : reasonNotRun(cause);
}

/**
 * Codes of the package manager for MSIX that say that a package cannot be used until somebody mends
 * it: it cannot be opened, is not valid, lacks or contradicts another, needs remediation; the
 * repository, or what it is recovered from, is damaged; its signature, the processor, the file system
 * or the drive is wrong.
 */
function repairs(): readonly [code: number, meaning: Meaning][] {
  return [
    ...[0x80073cf0, 0x80073cf2, 0x80073cf3, 0x80073cfc, 0x80073cfd, 0x80073cfe],
    ...[0x80073d03, 0x80073d04, 0x80073d07, 0x80073d09, 0x80073d10, 0x80073d13, 0x80073d1f],
  ].map((code) => [code, permanent("Windows refuses the package", REPAIR_WINGET)]);
}

/** What is not listed may pass: for as long as a package is replaced, Windows says many things of it. */
function familyOf(number: number): Meaning {
  return number >= FIRST_MSIX && number <= LAST_MSIX
    ? transient("Windows cannot use the package now", `if it stays so, ${REPAIR_WINGET}`)
    : transient("it failed");
}

function transient(fact: string, next?: string): Meaning {
  return { reason: "transient", fact, next };
}

function permanent(fact: string, next?: string): Meaning {
  return { reason: "permanent", fact, next };
}

function absent(fact: string, next?: string): Meaning {
  return { reason: "not_available", fact, next };
}
