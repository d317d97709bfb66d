/** The environment of this process and of the programs it starts. Imports no package. */

import type { Os } from "../system.ts";

export const isWindows: boolean = Deno.build.os === "windows";

/** Options of a program that needs no input and whose output is not used. */
export const SILENT = { clearEnv: true, stdin: "null", stdout: "null", stderr: "null" } as const;

/** The programs of the system and of its administrator, in the order of root's login shell. */
const UNIX_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Variables that programs on Windows need to start or to find their directories. */
const WINDOWS_NAMES = (
  "ALLUSERSPROFILE APPDATA CommonProgramFiles CommonProgramFiles(x86) CommonProgramW6432 ComSpec " +
  "LOCALAPPDATA PATHEXT PROCESSOR_ARCHITECTURE Path ProgramData ProgramFiles ProgramFiles(x86) " +
  "ProgramW6432 SystemDrive SystemRoot TEMP TMP USERPROFILE windir"
).split(" ");

/** The value of a variable; `undefined` if it is unset, empty or not readable with our permissions. */
export function readRealEnvironment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/** The number of the user that runs this; `null` on Windows and where the permission is missing. */
export function realUserId(): number | null {
  try {
    return Deno.uid();
  } catch {
    return null;
  }
}

export function realHomeDirectory(): string | null {
  return readRealEnvironment("HOME") ?? readRealEnvironment("USERPROFILE") ?? null;
}

/** The operating system. A system that no server knows counts as Linux, whose tools it may have. */
export function realOs(): Os {
  if (isWindows) return "windows";
  return Deno.build.os === "darwin" ? "macos" : "linux";
}

/** The directory of Windows itself, which is not always on `C:`. */
export function systemRoot(): string {
  return readRealEnvironment("SystemRoot") ?? "C:\\Windows";
}

/**
 * The environment of every started program, whatever the agent's own is: `PATH`, `HOME` and `LC_ALL`;
 * on Windows the variables in `WINDOWS_NAMES`.
 *
 * `LANGUAGE` is absent: in gettext it overrides `LC_ALL`, and package managers would use its language.
 */
export function commandEnvironment(): Record<string, string> {
  const locale = { LC_ALL: "C.UTF-8" };
  if (!isWindows) {
    // Under a service manager root often has no HOME.
    return { PATH: UNIX_PATH, HOME: readRealEnvironment("HOME") ?? "/", ...locale };
  }
  const environment: Record<string, string> = { ...locale };
  for (const name of WINDOWS_NAMES) {
    const value = readRealEnvironment(name);
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
