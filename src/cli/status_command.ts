/** `pennon status`: what the agent is doing, has to tell, and will do next. */

import { findHolder } from "../agent/hold_state.ts";
import { showState } from "../agent/state_file.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import { loadIdentity } from "../identity.ts";
import { readLastScans } from "../scanners/last_scans.ts";
import { readTokenLife } from "../server/access_token.ts";
import type { System } from "../system/system.ts";
import type { CliCommand } from "./command.ts";
import { openSettings, type Settings } from "./settings.ts";
import { type Status, statusAsJson, statusAsText } from "./status_output.ts";

export const statusCommand: CliCommand = {
  name: "status",
  summary: "Show what the agent is doing",
  usage: "[--json]",
  details: [
    "Reads what the agent keeps on disk; it need not be running. Exits 3 if",
    "this host is not registered.",
  ],
  options: [{ name: "json", summary: "Answer in JSON" }],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const status = await readStatus(system, settings);
    system.terminal.print(given.flags.has("json") ? statusAsJson(status) : statusAsText(status));
    if (status.identity !== null) return 0;
    system.terminal.printError("Next: pennon register --server URL --token TOKEN");
    return 3;
  },
};

async function readStatus(system: System, settings: Settings): Promise<Status> {
  const { stateDirectory, config } = settings;
  const identity = await loadIdentity(system, stateDirectory);
  const buffer = await openBufferReadOnly(system, stateDirectory, config.buffer);
  const counts = buffer?.buffer.counts() ?? null;
  buffer?.close();
  return {
    nowMs: system.clock.nowMs(),
    identity: identity
      ? {
        agentId: identity.agentId,
        serverUrl: identity.serverUrl,
        tokenEndMs: readTokenLife(identity.accessToken)?.endMs ?? null,
        intervalMs: identity.intervalMs ?? config.polling.intervalMs,
      }
      : null,
    holder: await findHolder(system, stateDirectory) ?? null,
    state: await showState(system, stateDirectory) ?? null,
    buffer: counts,
    limits: config.buffer,
    scans: await readLastScans(system.files, stateDirectory),
  };
}
