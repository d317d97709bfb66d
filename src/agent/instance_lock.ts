/** The instance lock: one agent per state directory. A second agent gets a `LockedError`. */

import * as v from "valibot";
import { ConfigError } from "../config.ts";
import { checkStateDirectory } from "../trusted_path.ts";
import { JsonFile } from "../json_file.ts";
import { LABEL } from "../service/launchd.ts";
import { SERVICE_STATE_DIRECTORY } from "../service/systemd.ts";
import { TASK } from "../service/task.ts";
import { FileError, type FileLock } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** Another agent has locked the state directory. */
export class LockedError extends Error {
  override readonly name = "LockedError";
}

const holder = v.object({
  process_id: v.number(),
  since_ms: v.number(),
  manager: v.optional(v.nullable(v.picklist(["systemd"])), null),
});

/** The process that holds the lock; `null` where the disk refused its entry. */
export interface LockHolder {
  readonly process_id: number | null;
  readonly since_ms: number | null;
  /** The service manager that started it; `null`: unknown, or none. */
  readonly manager: "systemd" | null;
}

const LOCK = "agent.lock";

const HOLDER = new JsonFile({
  name: "agent.json",
  what: "the lock holder",
  schema: "pennon.lock-holder/1",
  value: holder,
  keys: { since_ms: "since_at" },
  earlier: { schema: undefined },
});

/** The file always has one length, so that an agent on a full disk can overwrite it in place. */
const HOLDER_LENGTH = 160;

/**
 * How often a lock is tried before the agent believes that another one has it, and the pause in between:
 * `findLockHolder` of a `pennon status` has it for microseconds.
 */
const LOCK_TRIES = 11;
const LOCK_PAUSE_MS = 20;

interface LockOptions {
  /**
   * Called where the disk refuses the directory or its lock: there is no lock then, but the agent
   * runs. @default the error is thrown
   */
  onRefused?(why: FileError): void;
}

/**
 * Locks the state directory, and makes it if there is none. The lock ends with the process, however
 * that ends. `action` completes "Cannot ...". Throws `LockedError` naming the other agent, `ConfigError`
 * if the directory is open to other users, or `FileError`.
 */
export async function acquireInstanceLock(
  system: System,
  stateDirectory: string,
  action: string,
  options: LockOptions = {},
): Promise<InstanceLock> {
  const lock = new InstanceLock(system, { stateDirectory, action });
  try {
    await lock.renew();
  } catch (error) {
    if (!(error instanceof FileError) || options.onRefused === undefined) throw error;
    options.onRefused(error);
  }
  return lock;
}

/** A lock on the state directory, from `acquireInstanceLock`. */
export class InstanceLock {
  readonly #system: System;
  readonly #stateDirectory: string;
  readonly #action: string;
  #lock: FileLock | null = null;
  /** Which file is locked, so that `renew` detects a directory that was created anew. */
  #identity: string | null = null;
  #isHolderSaved = false;

  constructor(
    system: System,
    { stateDirectory, action }: { stateDirectory: string; action: string },
  ) {
    this.#system = system;
    this.#stateDirectory = stateDirectory;
    this.#action = action;
  }

  /**
   * Locks the directory again if it was created anew. Throws `LockedError`, `ConfigError` if the
   * directory is open to other users, or `FileError`.
   */
  async renew(): Promise<void> {
    const { files } = this.#system;
    const path = `${this.#stateDirectory}/${LOCK}`;
    await files.makeDirectory("make the state directory", this.#stateDirectory, { mode: 0o700 });
    // Another user may have made it since the last check.
    const { errors } = await checkStateDirectory(this.#system, this.#stateDirectory);
    if (errors.length > 0) throw new ConfigError(errors);
    const found = await files.inspect("look at the lock", path);
    if (this.#lock !== null && found !== undefined && found.identity === this.#identity) {
      return await this.#saveHolder();
    }
    const lock = await this.#lockFile(path);
    if (lock === undefined) throw await this.#lockedError();
    this.#lock?.release();
    this.#lock = lock;
    this.#identity = (await files.inspect("look at the lock", path))?.identity ?? null;
    this.#isHolderSaved = false;
    await this.#saveHolder();
  }

  /** `undefined`: another process has had the lock for as long as this takes. */
  async #lockFile(path: string): Promise<FileLock | undefined> {
    const { files, clock } = this.#system;
    const never = new AbortController().signal;
    for (let tries = 1;; tries++) {
      const lock = await files.lock("lock the state directory", path);
      if (lock !== undefined || tries === LOCK_TRIES) return lock;
      await clock.sleep(LOCK_PAUSE_MS, never);
    }
  }

  async release(): Promise<void> {
    if (this.#lock === null) return;
    // Only the lock counts, and the file is information for `status`: a full disk is no error here.
    await HOLDER.remove(this.#system.files, this.#stateDirectory).catch(() => {});
    this.#lock.release();
    this.#lock = null;
  }

  async #lockedError(): Promise<LockedError> {
    const other = await HOLDER.read(this.#system.files, this.#stateDirectory).catch(() =>
      undefined
    );
    const who = other ? `process ${other.process_id}` : "another process";
    const stop = other && describeStop(this.#system.os, this.#stateDirectory, other);
    return new LockedError(
      `Cannot ${this.#action}: ${who} already runs an agent on "${this.#stateDirectory}". ` +
        `Next: stop it${stop ? ` (${stop})` : ""}, or give this one a directory of its own with ` +
        '"--state-dir"',
    );
  }

  /** Information for `status` and for a second agent: a disk that refuses it is no error. */
  async #saveHolder(): Promise<void> {
    if (this.#isHolderSaved) return;
    const { files } = this.#system;
    const path = HOLDER.pathIn(this.#stateDirectory);
    const json = HOLDER.encode(thisHolder(this.#system));
    const text = `${json.trimEnd().padEnd(HOLDER_LENGTH)}\n`;
    try {
      await files.writeText("save the lock holder", path, text, { mode: 0o600 });
      this.#isHolderSaved = true;
    } catch {
      await files.overwriteText("save the lock holder", path, text).catch(() => {});
    }
  }
}

/** This process as the holder of a lock, from now on. */
export function thisHolder(
  system: Pick<System, "processId" | "clock" | "readEnvironment">,
): v.InferOutput<typeof holder> {
  return {
    process_id: system.processId,
    since_ms: system.clock.nowMs(),
    manager: system.readEnvironment("NOTIFY_SOCKET") === undefined ? null : "systemd",
  };
}

/** Who has a directory's lock, or had it to the end of its process. */
export interface LockState {
  /** `null`: none. */
  readonly holder: LockHolder | null;
  /** The process that ended without releasing its lock, as one that is killed; `null`: none is known. */
  readonly leftBehind: LockHolder | null;
}

/**
 * Looks at a directory's lock. Reads only: it takes no lock that can refuse an agent's start, and creates
 * nothing. Throws `FileError`.
 */
export async function readLock(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<LockState> {
  const saved = await HOLDER.read(files, stateDirectory) ?? null;
  // An agent that was killed leaves its entry behind, but not its lock.
  const isHeld = await files.isLocked("look at the lock", `${stateDirectory}/${LOCK}`);
  return isHeld
    ? { holder: saved ?? { process_id: null, since_ms: null, manager: null }, leftBehind: null }
    : { holder: null, leftBehind: saved };
}

/** The process that holds a directory's lock, as `readLock()` finds it; `undefined`: none. */
export async function findLockHolder(
  system: Pick<System, "files">,
  stateDirectory: string,
): Promise<LockHolder | undefined> {
  return (await readLock(system, stateDirectory)).holder ?? undefined;
}

/** The command that stops an agent, for advice; `undefined`: its process is unknown. */
export function describeStop(
  os: System["os"],
  stateDirectory: string,
  { process_id, manager }: LockHolder,
): string | undefined {
  if (process_id === null) return undefined;
  if (manager === "systemd") {
    return stateDirectory === SERVICE_STATE_DIRECTORY
      ? `the service, process ${process_id}: \`sudo systemctl stop pennon\``
      : `process ${process_id}, in the unit that \`systemctl status ${process_id}\` names`;
  }
  switch (os) {
    case "linux":
      return `\`kill ${process_id}\``;
    case "macos":
      return `process ${process_id}; as a service: \`sudo launchctl bootout system/${LABEL}\``;
    case "windows":
      return `process ${process_id}; as a service: \`schtasks /end /tn ${TASK}\``;
  }
}
