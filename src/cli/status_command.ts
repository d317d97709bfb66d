/** `pennon status`: what the agent is doing, has to tell, and will do next. */

import { findLockHolder } from "../agent/instance_lock.ts";
import { DISK_STATUS_FILE, tryWrite } from "../agent/disk_status.ts";
import { readSavedBreakers, STATE_FILE } from "../agent/saved_state.ts";
import { countCommands } from "../buffer/command_counts.ts";
import { BufferError } from "../buffer/schema.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import { loadIdentity } from "../identity.ts";
import { readLastScans } from "../scanners/last_scans.ts";
import { readTokenLife } from "../server/protocol.ts";
import { DatabaseError } from "../system/database.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { CliCommand, ExitCode } from "./command.ts";
import { openSettings, type Settings } from "./settings.ts";
import { type Status, statusAsJson, statusAsText } from "./status_output.ts";

export const statusCommand: CliCommand = {
  usage: "[--json] [--watch]",
  details: [
    "Reads what the agent keeps on disk; it need not be running. Exits 3 if",
    "this host is not registered. With --watch it goes on every 2 s until",
    "Ctrl-C; on a terminal the lines are drawn over, else one block follows",
    "another, with --json one line each.",
  ],
  options: [
    { name: "json", summary: "Answer in JSON" },
    { name: "watch", summary: "Go on until Ctrl-C" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const asJson = given.flags.has("json");
    if (given.flags.has("watch")) return await watch(system, settings, asJson);
    const status = await readStatus(system, settings);
    system.terminal.print(asJson ? statusAsJson(status) : statusAsText(status));
    return verdict(system, status);
  },
};

function verdict({ terminal }: System, { identity }: Status): ExitCode {
  if (identity !== null) return 0;
  terminal.printError("Next: pennon register --server URL --token TOKEN");
  return 3;
}

const WATCH_EVERY_MS = 2_000;

async function watch(system: System, settings: Settings, asJson: boolean): Promise<ExitCode> {
  const { terminal, clock } = system;
  const stop = new AbortController();
  const endListening = system.onStopRequest(() => stop.abort());
  const isDrawn = terminal.stdoutIsTerminal && !asJson;
  try {
    for (;;) {
      const status = await readStatus(system, settings);
      const text = asJson ? statusAsJson(status, { isOneLine: true }) : statusAsText(status);
      if (isDrawn) terminal.clearScreen();
      terminal.print(text);
      await clock.sleep(WATCH_EVERY_MS, stop.signal).catch(() => {});
      if (stop.signal.aborted) return verdict(system, status);
    }
  } finally {
    endListening();
  }
}

async function readStatus(system: System, settings: Settings): Promise<Status> {
  const { stateDirectory, config } = settings;
  const identity = await loadIdentity(system, stateDirectory);
  const { unreadable, leftAlone, ...kept } = await readBuffer(system, settings);
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
    holder: await findLockHolder(system, stateDirectory) ?? null,
    state: await STATE_FILE.read(system.files, stateDirectory) ?? null,
    ...kept,
    limits: config.buffer,
    disk: {
      refusal: await tryWrite(system, stateDirectory),
      told: await DISK_STATUS_FILE.read(system.files, stateDirectory) ?? null,
      unreadable,
      leftAlone,
    },
    scannerBreakers: await readSavedBreakers(system, stateDirectory),
    scans: await readLastScans(system.files, stateDirectory),
  };
}

/** A disk that will not let the buffer be read is what `status` is to tell, not what ends it. */
async function readBuffer(
  system: System,
  { stateDirectory, config }: Settings,
): Promise<
  Pick<Status, "buffer" | "commands"> & Pick<Status["disk"], "unreadable" | "leftAlone">
> {
  try {
    const opened = await openBufferReadOnly(system, stateDirectory, config.buffer);
    try {
      return {
        buffer: opened?.buffer.counts() ?? null,
        commands: opened && countCommands(opened.database),
        unreadable: null,
        leftAlone: opened?.beside ?? null,
      };
    } finally {
      opened?.close();
    }
  } catch (error) {
    const isDisk = error instanceof DatabaseError || error instanceof FileError ||
      error instanceof BufferError;
    if (!isDisk) throw error;
    return { buffer: null, commands: null, unreadable: error.message, leftAlone: null };
  }
}
