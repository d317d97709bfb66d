/**
 * Reads everything that `pennon status` shows, from the files of the state directory. It writes
 * nothing, and takes no lock that can refuse the start of an agent.
 */

import type { SavedBreaker } from "../breaker/saved.ts";
import type { BufferCounts, BufferLimits } from "../buffer/buffer.ts";
import { type CommandCounts, countCommands } from "../buffer/journal.ts";
import { BufferError } from "../buffer/schema.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import type { Config } from "../config/settings.ts";
import { hasDrawnId } from "../host/machine_id.ts";
import { IDENTITY_FILE, IdentityError, loadIdentity } from "../identity.ts";
import type { StoredState } from "../loop/state.ts";
import { type LastScans, readLastScans } from "../scanners/last_scans.ts";
import { availableScanners } from "../scanners/registry.ts";
import { loadServerKeys, type ServerKeys, type UnsignedCommands } from "../server/key_trust.ts";
import { readTokenLife } from "../server/protocol.ts";
import { DatabaseError } from "../system/database.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { quoteWords } from "../redact.ts";
import { DISK_STATUS_FILE, type SavedDiskStatus } from "./disk_status.ts";
import { withAccessNote } from "./access_note.ts";
import { describeStop, type LockHolder, readLock } from "./instance_lock.ts";
import { readSavedBreakers, STATE_FILE } from "./saved_state.ts";

/** Everything that `pennon status` shows. Instants are in ms since the Unix epoch. */
export interface Status {
  readonly nowMs: number;
  /** `null`: this host is not registered, or `identityError` says why that is unknown. */
  readonly identity:
    | {
      readonly agentId: string;
      readonly serverUrl: string;
      readonly tokenEndsAtMs: number | null;
      /** When its file was last written: at the registration, if no agent has run; `null`: unknown. */
      readonly savedAtMs: number | null;
      readonly intervalMs: number;
    }
    | null;
  /** Why the identity cannot be used, with what to do; `null`: it can, or there is none. */
  readonly identityError: string | null;
  /** The server that the configuration names; `null`: none. */
  readonly configuredUrl: string | null;
  /** The running agent; `null` if none runs. */
  readonly holder: LockHolder | null;
  /** What is known of the last agent where none runs. */
  readonly last: LastAgent;
  /** What stops the running agent, for advice; `null`: none runs; absent: unknown. */
  readonly stop?: string | null;
  /** The agent's saved state; `null` before its first run. */
  readonly state: StoredState | null;
  /** The keys of the server, and which commands run without a signature before it has shown one. */
  readonly signing: { readonly keys: ServerKeys; readonly unsigned: UnsignedCommands };
  /** `null`: there is no buffer, or it cannot be read. */
  readonly buffer: BufferCounts | null;
  /** Server commands by progress; `null` as `buffer`. */
  readonly commands: CommandCounts | null;
  /** The configured limits of the buffer. */
  readonly limits: BufferLimits;
  /** What the running agent says of the disk, and what of it could be read. */
  readonly disk: DiskStatus;
  /** By scanner. */
  readonly scannerBreakers: Readonly<Record<string, SavedBreaker>>;
  /** The last scan of each scanner. */
  readonly scans: LastScans;
  /** The names of the enabled scanners, and of those whose package manager is on this host. */
  readonly scanners: { readonly enabled: readonly string[]; readonly available: readonly string[] };
  /** Small files that are there and cannot be understood, with the reason. */
  readonly damaged: readonly { readonly file: string; readonly why: string }[];
  /** Whether Pennon drew the machine id, because the host had none of its own. */
  readonly hasDrawnMachineId: boolean;
}

/** What is known of the agent that ran last. Instants are in ms since the Unix epoch. */
export interface LastAgent {
  /** Its process, if that ended without a shutdown, as one that is killed; `null`: unknown. */
  readonly leftBehind: LockHolder | null;
  /** The newest thing that it left in its files, and what that is; `null`: it left nothing. */
  readonly signOfLife: { readonly what: string; readonly atMs: number } | null;
  /** The last line of its log file; `null`: none is configured, or it cannot be read. */
  readonly logLine: string | null;
  /** When this host started; `null`: unknown. */
  readonly bootMs: number | null;
}

/** What is known of the disk below the state directory without writing to it. */
export interface DiskStatus {
  /**
   * The note of the running agent; `null` if none runs, or if that agent has written none: it writes one
   * when it starts, so the disk has refused everything since.
   */
  readonly note: SavedDiskStatus | null;
  /** Why a file of the agent cannot be written, as on a read-only disk; `null`: none refuses. */
  readonly refusal: string | null;
  /** Whether the disk has so little room that a refusal means that it is full. */
  readonly isFull: boolean;
  /** Why the buffer could not be read; `null`: it could, or there is none. */
  readonly bufferError: string | null;
}

/**
 * What a full disk may still count as free, and give to no file: ext4 keeps 2 % of the blocks, 16 MiB at
 * most, for its own use (`reserved_clusters`, https://docs.kernel.org/admin-guide/ext4.html).
 */
const FULL_SHARE = 0.05;
const FULL_BYTES = 64 * 1_048_576;

/** Where the status is read, and the settings that are a part of it. */
export interface StatusOptions {
  readonly stateDirectory: string;
  readonly config: Config;
}

/**
 * Reads the status. What is damaged is a part of it, and no error. Throws `FileError` where the
 * files of the agent may not be read.
 */
export async function readStatus(system: System, options: StatusOptions): Promise<Status> {
  const { files } = system;
  const { stateDirectory, config } = options;
  const damaged: { file: string; why: string }[] = [];
  const noteDamage = (file: string) => (why: string) => void damaged.push({ file, why });
  const { identity, identityError } = await readIdentity(system, options);
  const { holder, leftBehind } = await readLock(system, stateDirectory);
  const note = await DISK_STATUS_FILE.read(files, stateDirectory) ?? null;
  const isOfHolder = note !== null && note.process_id === holder?.process_id;
  const { bufferError, ...counts } = await readBuffer(system, options);
  const available = await availableScanners(system, config.scanners.enabled);
  const saved = await STATE_FILE.read(files, stateDirectory, noteDamage("state.json")) ?? null;
  const access = identity && { stateDirectory, agentId: identity.agentId };
  const stop = holder === null ? null : describeStop(system.os, stateDirectory, holder);
  return {
    nowMs: system.clock.nowMs(),
    identity,
    identityError,
    configuredUrl: config.server.url,
    holder,
    last: {
      leftBehind,
      signOfLife: await findSignOfLife(system, stateDirectory, { saved, note }),
      logLine: holder === null ? await readLastLine(system, options) : null,
      bootMs: bootOf(system),
    },
    ...stop !== undefined && { stop },
    state: saved && access ? await withAccessNote(system, access, saved) : saved,
    signing: {
      keys: await loadServerKeys(files, stateDirectory, noteDamage("keys.json")),
      unsigned: config.commands.unsigned,
    },
    ...counts,
    limits: config.buffer,
    disk: {
      note: isOfHolder ? note : null,
      refusal: await findRefusal(system, stateDirectory),
      isFull: isFull(system.machine.disk(stateDirectory)),
      bufferError,
    },
    scannerBreakers: await readSavedBreakers(
      system,
      stateDirectory,
      noteDamage("scanner-breakers.json"),
    ),
    scans: await readLastScans(files, stateDirectory, noteDamage("last-scans.json")),
    scanners: {
      enabled: config.scanners.enabled,
      available: available.map(({ name }) => name),
    },
    damaged,
    hasDrawnMachineId: await hasDrawnId(files, stateDirectory),
  };
}

async function readIdentity(
  system: System,
  { stateDirectory, config }: StatusOptions,
): Promise<Pick<Status, "identity" | "identityError">> {
  try {
    const found = await loadIdentity(system, stateDirectory);
    if (found === undefined) return { identity: null, identityError: null };
    const { agentId, serverUrl, accessToken, intervalMs } = found;
    const path = IDENTITY_FILE.pathIn(stateDirectory);
    const facts = await system.files.inspect("look at the identity", path);
    return {
      identity: {
        // 0: the file system does not say.
        savedAtMs: Math.trunc(facts?.modifiedMs ?? 0) || null,
        agentId,
        serverUrl,
        tokenEndsAtMs: readTokenLife(accessToken)?.endMs ?? null,
        intervalMs: intervalMs ?? config.polling.intervalMs,
      },
      identityError: null,
    };
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return { identity: null, identityError: error.message };
  }
}

/** The newest of what an agent writes while it lives; `saved` is its own view, without a note. */
async function findSignOfLife(
  { files }: System,
  stateDirectory: string,
  { saved, note }: { saved: StoredState | null; note: SavedDiskStatus | null },
): Promise<LastAgent["signOfLife"]> {
  const found = [
    { what: "a check-in", atMs: saved?.lastCheckInAtMs ?? 0 },
    { what: "a note on its disk", atMs: note?.at_ms ?? 0 },
  ];
  // A reset of the breaker without an agent writes the file too, and leaves no next check-in in it.
  if (saved !== null && saved.nextCheckInAtMs !== null) {
    const path = STATE_FILE.pathIn(stateDirectory);
    const facts = await files.inspect("look at the state", path);
    found.push({ what: "a saved state", atMs: Math.trunc(facts?.modifiedMs ?? 0) });
  }
  const newest = found.reduce((one, other) => other.atMs > one.atMs ? other : one);
  return newest.atMs > 0 ? newest : null;
}

/** Longest line of a log that is shown. */
const LONGEST_LINE = 300;

/** A log file may have grown by the lines of one batch beyond its limit. */
const LOG_SLACK_BYTES = 2_097_152;

async function readLastLine(
  { files, os }: System,
  { stateDirectory, config: { log } }: StatusOptions,
): Promise<string | null> {
  if (log.file === null) return null;
  const path = `${stateDirectory}${os === "windows" ? "\\" : "/"}${log.file}`;
  try {
    const maxBytes = log.maxBytes + LOG_SLACK_BYTES;
    const text = await files.readText("read the log", path, { maxBytes });
    const line = text?.trimEnd().split("\n").at(-1) ?? "";
    return line === "" ? null : quoteWords(line, LONGEST_LINE);
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

function bootOf({ machine, clock }: System): number | null {
  const uptimeS = machine.uptimeS();
  return uptimeS === null ? null : clock.nowMs() - uptimeS * 1_000;
}

/** An agent cannot write down that its disk is read-only; opening a file that is there says it. */
async function findRefusal({ files }: System, stateDirectory: string): Promise<string | null> {
  try {
    for (const file of [DISK_STATUS_FILE, IDENTITY_FILE]) {
      const isThere = await files.checkWritable("write to the disk", file.pathIn(stateDirectory));
      if (isThere) break;
    }
    return null;
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}

function isFull(disk: { totalBytes: number; freeBytes: number } | null): boolean {
  if (disk === null) return false;
  return disk.freeBytes <= Math.min(FULL_SHARE * disk.totalBytes, FULL_BYTES);
}

/** Reads the buffer's counts. An unreadable buffer is a part of the status, not an error. */
async function readBuffer(
  system: System,
  { stateDirectory, config }: StatusOptions,
): Promise<Pick<Status, "buffer" | "commands"> & Pick<DiskStatus, "bufferError">> {
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
