/** The environment every program is started with, whatever the agent's own is. */

import { readRealEnvironment } from "./environment.ts";

/** Programs of the system and of its administrator, in the order a login shell of root has. */
const UNIX_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What programs on Windows do not start without, or do not find their folders without. */
const WINDOWS_NAMES = [
  "ALLUSERSPROFILE",
  "APPDATA",
  "CommonProgramFiles",
  "CommonProgramFiles(x86)",
  "CommonProgramW6432",
  "ComSpec",
  "LOCALAPPDATA",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "Path",
  "ProgramData",
  "ProgramFiles",
  "ProgramFiles(x86)",
  "ProgramW6432",
  "SystemDrive",
  "SystemRoot",
  "TEMP",
  "TMP",
  "USERPROFILE",
  "windir",
];

/** Windows' own folder, which is not always on `C:`. */
export function systemRoot(): string {
  return readRealEnvironment("SystemRoot") ?? "C:\\Windows";
}

/**
 * `PATH`, `HOME` and `LC_ALL`, and on Windows the folders that the system keeps in variables.
 *
 * No `LANGUAGE`: it wins over `LC_ALL` in gettext, and package managers then speak another language.
 */
export function commandEnvironment(): Record<string, string> {
  const locale = { LC_ALL: "C.UTF-8" };
  if (Deno.build.os !== "windows") {
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
