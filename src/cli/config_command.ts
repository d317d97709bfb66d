/** `pennon config check` and `config show`: validates the configuration, or prints it. */

import { completeAdvice } from "../advice.ts";
import { checkForUse, type ConfigFindings } from "../agent/config_check.ts";
import { loadPolicy, type SavedPolicy } from "../agent/server_policy.ts";
import { seconds } from "../breaker/breaker.ts";
import { ConfigError, describeSettings, isSet } from "../config.ts";
import { applyPolicy, type ServerOverride } from "../config/server_policy.ts";
import type { Config } from "../config/settings.ts";
import { type Identity, IdentityError, loadIdentity } from "../identity.ts";
import { loadServerKeys, NO_SERVER_KEYS } from "../server/key_trust.ts";
import type { System } from "../system/system.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { FileError } from "../system/files.ts";
import { findAdviceFacts } from "./advice_facts.ts";
import {
  type Arguments,
  type CliCommand,
  type ExitCode,
  JSON_OPTION,
  NotRegisteredError,
} from "./command.ts";
import { type CommandSettings, openIdentity, openSettings } from "./command_setup.ts";
import { withServerKeys } from "./signing_status.ts";
import { formatTable } from "./table.ts";
import { outputWidth } from "./terminal_text.ts";

/** Reads the configuration and the server's policy, if there is one; needs no registration. */
export const configCommand: CliCommand = {
  usage: "check | show [--json]",
  details: [
    "check tests what run and register will use: each line, the files of [tls], the",
    "proxy, the state directory, variables PENNON_* that no setting reads. It exits",
    "2 and names every problem. show prints each setting, its value and where the",
    "value comes from; secrets stay hidden. Of a server that",
    "signs commands it shows the pinned key. What the server's policy has changed is",
    "marked, and what else that policy holds comes last.",
  ],
  options: [JSON_OPTION],
  maxArguments: 1,
  needsAction: true,
  actions: [
    { name: "check", summary: "Test the configuration" },
    { name: "show", summary: "Print each setting, its value and where it comes from" },
  ],
  async run(system, given) {
    if (given.positional[0] === "check") return await check(system, given);
    const { loaded, stateDirectory } = await openSettings(system, given);
    const { file } = loaded;
    const { terminal } = system;
    const isJson = given.flags.has("json");
    // A state directory that this user cannot read hides no setting.
    const keys = await loadServerKeys(system.files, stateDirectory).catch((error) => {
      if (error instanceof FileError) return NO_SERVER_KEYS;
      throw error;
    });
    const { identity, saved } = await readRegistration(system, stateDirectory);
    const policy = applyPolicy(
      loaded.config,
      saved?.policy ?? null,
      (path) => isSet(loaded, path),
    );
    const overrides = [...intervalOverride(identity, loaded.config), ...policy.overrides];
    const settings = withServerKeys(describeSettings(loaded, overrides), keys);
    if (isJson) {
      const server_policy = saved && policyJson(saved);
      const answer = { schema: "pennon.config-show/1", file, settings, server_policy };
      terminal.print(safeJson(answer, 2));
      return 0;
    }
    const rows = [
      ...settings.map(({ path, value, from }) => [path, value, from]),
      ...saved === null ? [] : policyRows(saved),
    ];
    const columns = [{ title: "SETTING" }, { title: "VALUE" }, { title: "FROM" }];
    terminal.print(formatTable(columns, rows, outputWidth(terminal)).join("\n"));
    return 0;
  },
};

/** Exits with 2, after every problem, where `run` or `register` would fail because of the configuration. */
async function check(system: System, given: Arguments): Promise<ExitCode> {
  const { terminal } = system;
  const { file, stateDirectory, shown, ...found } = await findProblems(system, given);
  const facts = await findAdviceFacts(system, given.values);
  // What has been printed already stays as it was.
  const complete = (line: string) => shown.includes(line) ? line : completeAdvice(line, facts);
  const [errors, warnings] = [found.errors.map(complete), found.warnings.map(complete)];
  for (const line of [...errors, ...warnings]) {
    if (!shown.includes(line)) terminal.printError(`pennon: ${stripControls(line)}`);
  }
  const ok = errors.length === 0;
  if (given.flags.has("json")) {
    const answer = { schema: "pennon.config-check/1", ok, file, errors, warnings };
    terminal.print(safeJson({ ...answer, state_directory: stateDirectory }));
  } else if (ok) {
    terminal.print(`The configuration is valid (${file ?? "no file, defaults only"})`);
  }
  return ok ? 0 : 2;
}

interface Problems extends ConfigFindings {
  readonly file: string | null;
  /** `null`: the settings could not be read. */
  readonly stateDirectory: string | null;
  /** Warnings that have been printed already. */
  readonly shown: readonly string[];
}

async function findProblems(system: System, given: Arguments): Promise<Problems> {
  let settings: CommandSettings;
  try {
    settings = await openSettings(system, given);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file: null, stateDirectory: null, errors: error.problems, warnings: [], shown: [] };
  }
  const { config, loaded, stateDirectory } = settings;
  const identity = await checkIdentity(system, settings);
  const serverUrl = config.server.url ?? identity.serverUrl;
  const found = await checkForUse(system, config, serverUrl);
  return {
    file: loaded.file,
    stateDirectory,
    errors: [...identity.errors, ...found.errors],
    warnings: [...settings.warnings, ...identity.warnings, ...found.warnings],
    shown: settings.warnings,
  };
}

/** Whether the server in the configuration is the one that this host is registered with. */
async function checkIdentity(
  system: System,
  settings: CommandSettings,
): Promise<ConfigFindings & { serverUrl: string | null }> {
  try {
    const { serverUrl } = await openIdentity(system, settings, "run");
    return { serverUrl, errors: [], warnings: [] };
  } catch (error) {
    const nothing = { serverUrl: null, errors: [], warnings: [] };
    if (error instanceof NotRegisteredError) return nothing;
    const message = error instanceof Error ? error.message : String(error);
    // Another user checks the configuration, and may not read the tokens.
    const isHidden = error instanceof FileError && error.reason === "denied";
    return isHidden
      ? { ...nothing, warnings: [`not checked against the registration: ${message}`] }
      : { ...nothing, errors: [message] };
  }
}

/** What the server has said to this host: in the registration, and in its latest policy. */
interface Registration {
  /** `null`: this host is not registered, or this user cannot read it. */
  readonly identity: Identity | null;
  readonly saved: SavedPolicy | null;
}

async function readRegistration(system: System, stateDirectory: string): Promise<Registration> {
  try {
    const identity = await loadIdentity(system, stateDirectory);
    if (identity === undefined) return { identity: null, saved: null };
    const saved = await loadPolicy(system, stateDirectory, identity.serverUrl);
    return { identity, saved };
  } catch (error) {
    // The configuration alone is worth showing, also to those who may not read the state.
    if (!(error instanceof IdentityError || error instanceof FileError)) throw error;
    return { identity: null, saved: null };
  }
}

/** The interval of the registration holds before `polling.interval`, also if the owner has set that. */
function intervalOverride(identity: Identity | null, { polling }: Config): ServerOverride[] {
  const valueMs = identity?.intervalMs ?? null;
  if (valueMs === null || valueMs === polling.intervalMs) return [];
  return [{ path: "polling.interval", valueMs }];
}

/** What the server sets besides settings of this host, as rows of the table. */
function policyRows({ policy, serverUrl }: SavedPolicy): string[][] {
  const { jitterMaxMs, subsystems } = policy;
  const from = `server: ${serverUrl}`;
  const jitter = jitterMaxMs === null
    ? []
    : [["(poll jitter)", `at most ${seconds(jitterMaxMs)}s`, from]];
  const known = Object.entries(subsystems).map(([name, { enabled, autoRun, intervalMinutes }]) => {
    const every = intervalMinutes === null ? "" : ` every ${intervalMinutes}m`;
    const scans = !enabled ? "off" : autoRun ? `on, scanned${every}` : "on, scanned on request";
    return [`(subsystem ${name})`, scans, from];
  });
  return [...jitter, ...known];
}

function policyJson({ serverUrl, receivedMs, policy }: SavedPolicy) {
  const { jitterMaxMs, backoffBaseMs, backoffMaxMs, subsystems } = policy;
  return {
    server_url: serverUrl,
    received_at: new Date(receivedMs).toISOString(),
    jitter_max_ms: jitterMaxMs,
    backoff_base_ms: backoffBaseMs,
    backoff_max_ms: backoffMaxMs,
    subsystems: Object.entries(subsystems).map(([name, { enabled, autoRun, intervalMinutes }]) => ({
      name,
      enabled,
      auto_run: autoRun,
      interval_minutes: intervalMinutes,
    })),
  };
}
