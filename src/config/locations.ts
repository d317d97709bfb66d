/** Where the configuration and the state live, per operating system and user. */

import type { System } from "../system/system.ts";

/** What of a system decides where things live. */
export interface LocationFacts extends Pick<System, "os" | "readEnvironment"> {
  readonly machine: Pick<System["machine"], "userId" | "homeDirectory">;
}

/** Paths that hold where nothing else is said. */
export interface Locations {
  /** Looked for in this order; the first that is there counts. */
  readonly configFiles: readonly string[];
  readonly stateDirectory: string;
}

/**
 * Root's places are the host's; any other user has their own below their home folder (XDG Base
 * Directory Specification 0.8), and reads the host's configuration where they have none.
 */
export function locations(system: LocationFacts): Locations {
  switch (system.os) {
    case "windows": {
      const base = `${system.readEnvironment("ProgramData") ?? "C:\\ProgramData"}\\Pennon`;
      // Apart from the configuration, which every user may read: nobody else may read the state.
      return { configFiles: [`${base}\\config.toml`], stateDirectory: `${base}\\State` };
    }
    case "macos": {
      const base = "/Library/Application Support/Pennon";
      return { configFiles: [`${base}/config.toml`], stateDirectory: base };
    }
    case "linux": {
      const shared = "/etc/pennon/config.toml";
      const home = system.machine.homeDirectory();
      if (system.machine.userId() === 0 || home === null) {
        return { configFiles: [shared], stateDirectory: "/var/lib/pennon" };
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

/** The specification has relative paths ignored. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") ? path : undefined;
}
