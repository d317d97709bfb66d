/** What commands set up before they work: the settings, the log and the identity of this host. */

import { ConfigError, loadConfig, type LoadedConfig } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { locations } from "../config/locations.ts";
import { leaveRoot } from "../service/account.ts";
import { checkStateDirectory } from "../trusted_path.ts";
import { type Identity, loadIdentity } from "../identity.ts";
import { createLog, type Log } from "../log.ts";
import type { LogFile } from "../log_file.ts";
import type { Secrets } from "../redact.ts";
import { stripControls } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type Arguments, NotRegisteredError } from "./command.ts";

/** The settings that a command works with. */
export interface CommandSettings {
  /** The settings that are in effect. */
  readonly config: Config;
  /** The same settings with the place where each comes from. */
  readonly loaded: LoadedConfig;
  /** Its absolute path. It may not exist yet. */
  readonly stateDirectory: string;
}

/**
 * Reads the configuration, with the options of the command line over it, and checks the owners of the
 * configuration file and of the state directory. Root becomes the account of the service if that owns
 * the state directory. `flags` are more settings by path. Throws
 * `ConfigError`; prints warnings on stderr.
 */
export async function openSettings(
  system: System,
  given: Arguments,
  flags: Readonly<Record<string, string | undefined>> = {},
): Promise<CommandSettings> {
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
  await leaveRoot(system, stateDirectory);
  const { errors, warnings } = await checkStateDirectory(system, stateDirectory);
  if (errors.length > 0) throw new ConfigError(errors);
  for (const warning of [...loaded.warnings, ...warnings]) {
    system.terminal.printError(`pennon: ${stripControls(warning)}`);
  }
  return { config: loaded.config, loaded, stateDirectory };
}

/** The log on stderr, and in `file` if there is one, in the configured level and format. */
export function openLog(
  system: System,
  config: Config,
  { secrets, file }: { secrets: Secrets; file?: LogFile | undefined },
): Log {
  return createLog(
    (line) => {
      system.terminal.printError(line);
      file?.write(line);
    },
    () => system.clock.nowMs(),
    { level: config.log.level, format: config.log.format, secrets },
  );
}

/**
 * Loads the identity for the configured server. The tokens never go to another server. Throws
 * `NotRegisteredError`, `IdentityError`, or an `Error` if the configured server is another one.
 */
export async function openIdentity(
  system: System,
  settings: CommandSettings,
  action: string,
): Promise<Identity> {
  const identity = await loadIdentity(system, settings.stateDirectory);
  if (identity === undefined) throw new NotRegisteredError(action);
  const { url } = settings.config.server;
  if (url !== null && url !== identity.serverUrl) {
    throw new Error(
      `Cannot ${action}: registered with "${identity.serverUrl}", but server.url is "${url}". ` +
        `Next: set server.url back, or run pennon unregister and register with the new server`,
    );
  }
  return identity;
}
