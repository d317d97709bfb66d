/** What commands set up before they work: the settings, the log and the identity of this host. */

import { completeAdvice, replaceCommand } from "../advice.ts";
import { ConfigError, loadConfig, type LoadedConfig, type LoadOptions } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { locations } from "../config/locations.ts";
import { leaveRoot } from "../service/account.ts";
import { checkStateDirectory, directoryFault } from "../trusted_path.ts";
import { type Identity, isSameServer, loadIdentity } from "../identity.ts";
import { createLog, type Log, type LogFields } from "../log.ts";
import type { LogFile } from "../log_file.ts";
import type { Secrets } from "../redact.ts";
import { stripControls } from "../strip_controls.ts";
import { SYSLOG_PRIORITY, type System } from "../system/system.ts";
import { type Arguments, NotRegisteredError } from "./command.ts";

/** The settings that a command works with. */
export interface CommandSettings {
  /** The settings that are in effect. */
  readonly config: Config;
  /** The same settings with the place where each comes from. */
  readonly loaded: LoadedConfig;
  /** Its absolute path. It may not exist yet. */
  readonly stateDirectory: string;
  /** What has an odd effect or none; printed already. */
  readonly warnings: readonly string[];
  /** Puts the user's own options into the command lines of Pennon in a text of advice. */
  complete(text: string): string;
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
  options: Pick<LoadOptions, "isOptional"> = {},
): Promise<CommandSettings> {
  const overriding = {
    ...flags,
    "log.level": given.values["log-level"],
    "log.format": given.values["log-format"],
  };
  const set = Object.entries(overriding).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  const file = given.values["config"];
  const loaded = await loadConfig(system, {
    ...(file !== undefined && { file }),
    flags: Object.fromEntries(set),
    ...options,
  });
  const stateDirectory = given.values["state-dir"] ?? locations(system).stateDirectory;
  const fault = await directoryFault(system, stateDirectory);
  if (fault !== null) throw new ConfigError([`Cannot use the state directory: ${fault}`]);
  await leaveRoot(system, stateDirectory);
  const { errors, warnings } = await checkStateDirectory(system, stateDirectory);
  if (errors.length > 0) throw new ConfigError(errors);
  const all = [...loaded.warnings, ...warnings];
  for (const warning of all) {
    system.terminal.printError(`pennon: ${stripControls(warning)}`, SYSLOG_PRIORITY.warning);
  }
  const { url: serverUrl } = loaded.config.server;
  const complete = (text: string) => completeAdvice(text, { values: given.values, serverUrl });
  return { config: loaded.config, loaded, stateDirectory, warnings: all, complete };
}

/** The log on stderr, and in `file` if there is one, in the configured level and format. */
export function openLog(
  system: System,
  { config, complete }: Pick<CommandSettings, "config" | "complete">,
  { secrets, file }: { secrets: Secrets; file?: LogFile | undefined },
): Log {
  const log = createLog(
    (line, level) => {
      system.terminal.printError(line, SYSLOG_PRIORITY[level]);
      file?.write(line);
    },
    () => system.clock.nowMs(),
    { level: config.log.level, format: config.log.format, secrets },
  );
  return {
    debug: (message, fields) => log.debug(message, completeFields(fields, complete)),
    info: (message, fields) => log.info(message, completeFields(fields, complete)),
    warning: (message, fields) => log.warning(message, completeFields(fields, complete)),
    error: (message, fields) => log.error(message, completeFields(fields, complete)),
  };
}

/** The fields of a line that may hold advice. */
const WITH_ADVICE = new Set(["next_step", "why"]);

function completeFields(
  fields: LogFields = {},
  complete: (text: string) => string,
): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) =>
      [name, WITH_ADVICE.has(name) && typeof value === "string" ? complete(value) : value] as const
    ),
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
  if (url !== null && !isSameServer(url, identity.serverUrl)) {
    throw new Error(
      `Cannot ${action}: registered with "${identity.serverUrl}", but server.url is "${url}". ` +
        `Next: set server.url back. Or: stop the agent, then run \`${replaceCommand(url)}\``,
    );
  }
  return identity;
}
