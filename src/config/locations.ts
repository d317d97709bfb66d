/** The paths of the configuration and the state, per operating system and user. */

import { SERVICE_STATE_DIRECTORY } from "../service/systemd.ts";
import type { System } from "../system/system.ts";

/** Longest configuration file: reading one takes some ms per KiB. */
export const LONGEST_CONFIG_BYTES = 262_144;

interface LocationFacts extends Pick<System, "os" | "readEnvironment"> {
  readonly machine: Pick<System["machine"], "userId" | "homeDirectory">;
}

interface Locations {
  /** In this order; the first file that exists counts. */
  readonly configFiles: readonly string[];
  readonly stateDirectory: string;
}

/**
 * Root and the account of the service use the host's paths. Other users have their own below their home
 * directory (XDG Base Directory Specification 0.8), and read the host's configuration if they have none.
 */
export function locations(system: LocationFacts): Locations {
  switch (system.os) {
    case "windows": {
      const base = windowsBase(system);
      // Every user may read the configuration, and no other user the state.
      return { configFiles: [`${base}\\config.toml`], stateDirectory: `${base}\\State` };
    }
    case "macos": {
      const base = "/Library/Application Support/Pennon";
      return { configFiles: [`${base}/config.toml`], stateDirectory: base };
    }
    case "linux": {
      const shared = "/etc/pennon/config.toml";
      const home = system.machine.homeDirectory();
      if (system.machine.userId() === 0 || home === null || home === SERVICE_STATE_DIRECTORY) {
        return { configFiles: [shared], stateDirectory: SERVICE_STATE_DIRECTORY };
      }
      const config = absolute(system.readEnvironment("XDG_CONFIG_HOME")) ?? `${home}/.config`;
      const state = absolute(system.readEnvironment("XDG_STATE_HOME")) ?? `${home}/.local/state`;
      return {
        configFiles: [`${config}/pennon/config.toml`, shared],
        stateDirectory: `${state}/pennon`,
      };
    }
  }
}

/** The programs that the administrator may have the agent start, by their names in the settings. */
export type HookName = "on_outage" | "on_security_update";

/**
 * Where they are on Linux and macOS. The paths are fixed because the executable may start only the
 * programs that are compiled into its permissions.
 */
export const HOOK_PROGRAMS: Readonly<Record<HookName, string>> = {
  on_outage: "/etc/pennon/hooks/on_outage",
  on_security_update: "/etc/pennon/hooks/on_security_update",
};

/** The program of a hook. On Windows an `.exe`: a script would need a shell. */
export function hookProgram(
  system: Pick<LocationFacts, "os" | "readEnvironment">,
  hook: HookName,
): string {
  return system.os === "windows"
    ? `${windowsBase(system)}\\hooks\\${hook}.exe`
    : HOOK_PROGRAMS[hook];
}

function windowsBase(system: Pick<LocationFacts, "readEnvironment">): string {
  return `${system.readEnvironment("ProgramData") ?? "C:\\ProgramData"}\\Pennon`;
}

/** The specification says that relative paths are ignored. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") ? path : undefined;
}
