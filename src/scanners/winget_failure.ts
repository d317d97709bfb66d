/** What winget's exit codes say, as reasons and as what a person can do about them. */

import { CommandError } from "../system/process.ts";
import { reasonNotRun } from "./not_run.ts";
import { ScanError, type ScanErrorReason } from "./scanner.ts";

/** An exit code's meaning. */
interface Meaning {
  readonly reason: ScanErrorReason;
  readonly fact: string;
  readonly next?: string;
}

/** `winget` knows no such option: it is older than the option. */
const INVALID_ARGUMENTS = 0x8a150002;

/** No installed package matched, and none has an update: a listing without a line. */
const NOTHING_FOUND: readonly number[] = [0x8a150014, 0x8a15002b];

/** A DLL that winget needs is not there. */
const DLL_MISSING = 0xc0000135;

const RESET = "as the same account, look at `winget source list`, and reset its sources if need be";

/** From doc/windows/package-manager/winget/returnCodes.md in microsoft/winget-cli. */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [0x8a150001, transient("internal error")],
  [INVALID_ARGUMENTS, permanent("it does not know the options", "update App Installer")],
  [0x8a150003, transient("the command failed")],
  [0x8a150005, transient("cancelled")],
  [0x8a15000b, permanent("the source configuration is corrupt", RESET)],
  [
    0x8a15000f,
    permanent(
      "the source's data is missing for this account",
      "run `winget source update` as the same account",
    ),
  ],
  [0x8a150015, permanent("no sources are configured", RESET)],
  [0x8a150039, transient("the source answered nonsense")],
  [0x8a15003a, absent("blocked by Group Policy")],
  [0x8a15003b, transient("the source's server failed")],
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
  [0x8a15006a, transient("the host is shutting down")],
  [0x8a15006d, transient("the service is busy or unavailable")],
  [0x80070005, permanent("access denied", "give the account access to App Installer")],
  [0x80072ee2, transient("the source's server did not answer in time")],
  [0x80072ee7, transient("the source's name could not be resolved")],
  [0x80072efd, transient("the source's server could not be reached")],
  [0x801901f4, transient("the source's server failed: HTTP 500")],
  [
    DLL_MISSING,
    absent("a DLL that it needs is missing", "install the Visual C++ runtime packages (VCLibs)"),
  ],
]);

/** Whether winget is too old for an option that it was given. */
export function isTooOld(code: number): boolean {
  return code >>> 0 === INVALID_ARGUMENTS;
}

/** Whether this code says that nothing was found, which is an answer. */
export function saysNothingFound(code: number): boolean {
  return NOTHING_FOUND.includes(code >>> 0);
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

function familyOf(number: number): Meaning {
  // ERROR_INSTALL_… of the package manager for MSIX, which winget itself came by.
  if (number >>> 8 === 0x80073d) {
    return permanent("Windows refuses the package", "repair App Installer for this account");
  }
  return permanent("it failed");
}

function transient(fact: string): Meaning {
  return { reason: "transient", fact };
}

function permanent(fact: string, next?: string): Meaning {
  return { reason: "permanent", fact, ...(next !== undefined && { next }) };
}

function absent(fact: string, next?: string): Meaning {
  return { reason: "not_available", fact, ...(next !== undefined && { next }) };
}
