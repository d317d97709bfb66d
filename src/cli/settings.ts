/** What every command begins with: the configuration, and the folder it works in. */

import { type Config, ConfigError, loadConfig, type LoadedConfig, locations } from "../config.ts";
import { checkStateDirectory } from "../config/trusted.ts";
import type { System } from "../system/system.ts";
import type { Arguments } from "./arguments.ts";
import { stripControls } from "../strip_controls.ts";

/** The settings a command works with. */
export interface Settings {
  readonly config: Config;
  readonly loaded: LoadedConfig;
  readonly stateDirectory: string;
}

/**
 * Reads the configuration with the options over it, and looks at whom it and the state directory belong
 * to. Throws `ConfigError`.
 */
export async function openSettings(
  system: System,
  given: Arguments,
  flags: Readonly<Record<string, string | undefined>> = {},
): Promise<Settings> {
  const all = {
    ...flags,
    "log.level": given.values["log-level"],
    "log.format": given.values["log-format"],
  };
  const set = Object.entries(all).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  const file = given.values["config"];
  const loaded = await loadConfig(system, {
    ...(file !== undefined && { file }),
    flags: Object.fromEntries(set),
  });
  const stateDirectory = given.values["state-dir"] ?? locations(system).stateDirectory;
  const { errors, warnings } = await checkStateDirectory(system, stateDirectory);
  if (errors.length > 0) throw new ConfigError(errors);
  for (const warning of [...loaded.warnings, ...warnings]) {
    system.terminal.printError(`pennon: ${stripControls(warning)}`);
  }
  return { config: loaded.config, loaded, stateDirectory };
}
