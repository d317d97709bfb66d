/** Asks PowerShell 7 for a value, where a host has it and Windows PowerShell 5.1 will not do. */

import { CommandError } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { encodeCommand, type PowershellOptions, readAnswer } from "./powershell.ts";
import { frameScript } from "./frame.ts";
import { ScanError } from "../scanner.ts";

/** Of its own threads' kind: in the other one, COM within the process fails for services. */
const FLAGS = ["-MTA", "-NoLogo", "-NoProfile", "-NonInteractive", "-OutputFormat", "Text"];

const MAX_OUTPUT_BYTES = 33_554_432;

/** Where its installer puts it, whatever its minor version. */
function pwshPath(system: System): string {
  return `${pwshFolder(system)}\\7\\pwsh.exe`;
}

/** The folder of all its versions, and of modules for all users. */
export function pwshFolder(system: System): string {
  const programs = system.readEnvironment("ProgramW6432") ??
    system.readEnvironment("ProgramFiles") ?? "C:\\Program Files";
  return `${programs}\\PowerShell`;
}

/**
 * The value that `script` leaves in `$answer`, as `runPowershell()` has it. Throws `ScanError`,
 * `not_available` where there is no PowerShell 7 in its usual place.
 */
export async function runPwsh(
  system: System,
  script: string,
  { timeoutMs, signal }: PowershellOptions,
): Promise<unknown> {
  const argv = [pwshPath(system), ...FLAGS, "-EncodedCommand", encodeCommand(frameScript(script))];
  try {
    const result = await system.runCommand(argv, {
      timeoutMs,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      ...(signal && { signal }),
    });
    return readAnswer(result, "PowerShell 7");
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const reason = cause.reason === "not_found" ? "not_available" : "transient";
    throw new ScanError(`Cannot ask PowerShell 7: ${cause.message}`, { reason, cause });
  }
}
