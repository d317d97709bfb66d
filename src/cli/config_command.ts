/** `pennon config check` and `config show`: validates the configuration, or prints it. */

import { loadPolicy, type SavedPolicy } from "../agent/server_policy.ts";
import { seconds } from "../breaker/breaker.ts";
import { describeSettings, isSet } from "../config.ts";
import { applyPolicy } from "../config/server_policy.ts";
import { IdentityError, loadIdentity } from "../identity.ts";
import { loadServerKeys, NO_SERVER_KEYS } from "../server/key_trust.ts";
import type { System } from "../system/system.ts";
import { safeJson } from "../strip_controls.ts";
import { FileError } from "../system/files.ts";
import { type CliCommand, JSON_OPTION } from "./command.ts";
import { openSettings } from "./command_setup.ts";
import { withServerKeys } from "./signing_status.ts";
import { formatTable } from "./table.ts";
import { outputWidth } from "./terminal_text.ts";

/** Reads the configuration and the server's policy, if there is one; needs no registration. */
export const configCommand: CliCommand = {
  usage: "check | show [--json]",
  details: [
    "check exits 2 and names every line that is wrong. show prints each setting,",
    "its value and where the value comes from; secrets stay hidden. Of a server that",
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
    const [action] = given.positional;
    const { loaded, stateDirectory } = await openSettings(system, given);
    const { file } = loaded;
    const { terminal } = system;
    const isJson = given.flags.has("json");
    if (action === "check") {
      const answer = { schema: "pennon.config-check/1", ok: true, file };
      const text = `The configuration is valid (${file ?? "no file, defaults only"})`;
      terminal.print(isJson ? safeJson(answer) : text);
      return 0;
    }
    // A state directory that this user cannot read hides no setting.
    const keys = await loadServerKeys(system.files, stateDirectory).catch((error) => {
      if (error instanceof FileError) return NO_SERVER_KEYS;
      throw error;
    });
    const saved = await readPolicyOf(system, stateDirectory);
    const { overrides } = applyPolicy(
      loaded.config,
      saved?.policy ?? null,
      (path) => isSet(loaded, path),
    );
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

/** The policy of the server that this host is registered with; `null`: none is readable here. */
async function readPolicyOf(system: System, stateDirectory: string): Promise<SavedPolicy | null> {
  try {
    const identity = await loadIdentity(system, stateDirectory);
    if (identity === undefined) return null;
    return await loadPolicy(system, stateDirectory, identity.serverUrl);
  } catch (error) {
    // The configuration alone is worth showing, also to those who may not read the state.
    if (error instanceof IdentityError || error instanceof FileError) return null;
    throw error;
  }
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
