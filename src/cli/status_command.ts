/** `pennon status`: the state of the agent, of its buffer and of its scanners, read from disk. */

import { DISK_STATUS_FILE, tryWrite } from "../agent/disk_status.ts";
import { findLockHolder } from "../agent/instance_lock.ts";
import { readSavedBreakers, STATE_FILE } from "../agent/saved_state.ts";
import { countCommands } from "../buffer/journal.ts";
import { BufferError } from "../buffer/schema.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import { loadIdentity } from "../identity.ts";
import { readLastScans } from "../scanners/last_scans.ts";
import { readTokenLife } from "../server/protocol.ts";
import { DatabaseError } from "../system/database.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type CliCommand, type ExitCode, JSON_OPTION, REGISTER_HINT } from "./command.ts";
import { type CommandSettings, openSettings } from "./command_setup.ts";
import { type Status, statusAsJson, statusAsText } from "./status_output.ts";

/** Takes no lock, and writes nothing but a test file in the state directory. */
export const statusCommand: CliCommand = {
  usage: "[--json] [--watch]",
  details: [
    "Reads the agent's files; the agent need not be running. Exits 3 if this",
    "host is not registered. With --watch it prints the status every 2 s until",
    "Ctrl-C: on a terminal it replaces the lines, otherwise it appends them, and",
    "with --json each status is one line.",
  ],
  options: [
    JSON_OPTION,
    { name: "watch", summary: "Repeat until Ctrl-C" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const asJson = given.flags.has("json");
    if (given.flags.has("watch")) return await watch(system, settings, asJson);
    const status = await readStatus(system, settings);
    system.terminal.print(asJson ? statusAsJson(status) : statusAsText(status));
    return exitCode(system, status);
  },
};

function exitCode({ terminal }: System, { identity }: Status): ExitCode {
  if (identity !== null) return 0;
  terminal.printError(REGISTER_HINT);
  return 3;
}

const WATCH_EVERY_MS = 2_000;

async function watch(
  system: System,
  settings: CommandSettings,
  asJson: boolean,
): Promise<ExitCode> {
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
      if (stop.signal.aborted) return exitCode(system, status);
    }
  } finally {
    endListening();
  }
}

async function readStatus(system: System, settings: CommandSettings): Promise<Status> {
  const { stateDirectory, config } = settings;
  const identity = await loadIdentity(system, stateDirectory);
  const { bufferError, ...counts } = await readBuffer(system, settings);
  return {
    nowMs: system.clock.nowMs(),
    identity: identity === undefined ? null : {
      agentId: identity.agentId,
      serverUrl: identity.serverUrl,
      tokenEndsAtMs: readTokenLife(identity.accessToken)?.endMs ?? null,
      intervalMs: identity.intervalMs ?? config.polling.intervalMs,
    },
    holder: await findLockHolder(system, stateDirectory) ?? null,
    state: await STATE_FILE.read(system.files, stateDirectory) ?? null,
    ...counts,
    limits: config.buffer,
    disk: {
      refusal: await tryWrite(system, stateDirectory),
      note: await DISK_STATUS_FILE.read(system.files, stateDirectory) ?? null,
      bufferError,
    },
    scannerBreakers: await readSavedBreakers(system, stateDirectory),
    scans: await readLastScans(system.files, stateDirectory),
  };
}

/** Reads the buffer's counts. An unreadable buffer is a part of the status, not an error. */
async function readBuffer(
  system: System,
  { stateDirectory, config }: CommandSettings,
): Promise<
  Pick<Status, "buffer" | "commands"> & Pick<Status["disk"], "bufferError">
> {
  try {
    const opened = await openBufferReadOnly(system, stateDirectory, config.buffer);
    try {
      return {
        buffer: opened?.buffer.counts() ?? null,
        commands: opened && countCommands(opened.database),
        bufferError: null,
      };
    } finally {
      opened?.close();
    }
  } catch (error) {
    const isDisk = error instanceof DatabaseError || error instanceof FileError ||
      error instanceof BufferError;
    if (!isDisk) throw error;
    return { buffer: null, commands: null, bufferError: error.message };
  }
}
