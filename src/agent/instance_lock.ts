/** Holds the state folder for one agent: a second one is told who has it. */

import * as v from "valibot";
import { ConfigError } from "../config.ts";
import { checkStateDirectory } from "../config/trusted.ts";
import { decodeJson } from "../json.ts";
import { FileError, type FileLock } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** A hold on the state folder. */
export interface Hold {
  /**
   * Takes the folder again if it is another one by now. Throws `HeldError`, `ConfigError` if it is open
   * to other users, or `FileError`.
   */
  renew(): Promise<void>;
  release(): Promise<void>;
}

/** Another agent has the state folder. */
export class HeldError extends Error {
  override readonly name = "HeldError";
}

const holder = v.object({ process_id: v.number(), since_ms: v.number() });

/** Who holds a state folder, by its own word; `null` where the disk did not take that. */
export interface Holder {
  readonly process_id: number | null;
  readonly since_ms: number | null;
}

const LOCK = "agent.lock";
const HOLDER = "agent.json";

/** The word is always as long, so that a full disk takes a new one in the place of an old one. */
const HOLDER_LENGTH = 100;

/** How to hold it. */
export interface HoldOptions {
  /**
   * Called where the disk refuses the folder or its lock: there is no hold then, but the agent goes
   * on. @default it is thrown
   */
  onRefused?(why: FileError): void;
}

/**
 * Takes the state folder, which it makes if there is none; ends with the process, however that ends.
 * `action` completes "Cannot …". Throws `HeldError` naming the other agent, `ConfigError` if the folder is
 * open to other users, or `FileError`.
 */
export async function holdState(
  system: System,
  stateDirectory: string,
  action: string,
  options: HoldOptions = {},
): Promise<Hold> {
  const hold = new StateHold(system, { stateDirectory, action });
  try {
    await hold.renew();
  } catch (error) {
    if (!(error instanceof FileError) || options.onRefused === undefined) throw error;
    options.onRefused(error);
  }
  return hold;
}

class StateHold implements Hold {
  readonly #system: System;
  readonly #stateDirectory: string;
  readonly #action: string;
  #lock: FileLock | null = null;
  /** Which file the lock is, so that a folder that was made anew is noticed. */
  #identity: string | null = null;
  #isTold = false;

  constructor(
    system: System,
    { stateDirectory, action }: { stateDirectory: string; action: string },
  ) {
    this.#system = system;
    this.#stateDirectory = stateDirectory;
    this.#action = action;
  }

  async renew(): Promise<void> {
    const { files } = this.#system;
    const path = `${this.#stateDirectory}/${LOCK}`;
    await files.makeDirectory("make the state folder", this.#stateDirectory, { mode: 0o700 });
    // It may have been made by another user since it was last looked at.
    const { errors } = await checkStateDirectory(this.#system, this.#stateDirectory);
    if (errors.length > 0) throw new ConfigError(errors);
    const found = await files.inspect("look at the lock", path);
    if (this.#lock !== null && found !== undefined && found.identity === this.#identity) {
      return await this.#tell();
    }
    const lock = await files.lock("lock the state folder", path);
    if (lock === undefined) throw await this.#heldByOther();
    this.#lock?.release();
    this.#lock = lock;
    this.#identity = (await files.inspect("look at the lock", path))?.identity ?? null;
    this.#isTold = false;
    await this.#tell();
  }

  async release(): Promise<void> {
    const path = `${this.#stateDirectory}/${HOLDER}`;
    if (this.#lock === null) return;
    // Only a word for `status`; the lock is what counts, so a full disk must not stop us here.
    await this.#system.files.remove("tell who runs", path).catch(() => {});
    this.#lock.release();
    this.#lock = null;
  }

  async #heldByOther(): Promise<HeldError> {
    const other = await readHolder(this.#system, this.#stateDirectory).catch(() => undefined);
    const who = other ? `process ${other.process_id}` : "another process";
    return new HeldError(
      `Cannot ${this.#action}: ${who} already runs an agent on "${this.#stateDirectory}". ` +
        `Next: stop it, or give this one a folder of its own with "--state-dir"`,
    );
  }

  /** Only a word for `status` and for who comes second: a disk that refuses it stops nobody. */
  async #tell(): Promise<void> {
    if (this.#isTold) return;
    const { files, clock, processId } = this.#system;
    const told: Holder = { process_id: processId, since_ms: clock.nowMs() };
    const path = `${this.#stateDirectory}/${HOLDER}`;
    const text = `${JSON.stringify(told).padEnd(HOLDER_LENGTH)}\n`;
    try {
      await files.writeText("tell who runs", path, text, { mode: 0o600 });
      this.#isTold = true;
    } catch {
      await files.overwriteText("tell who runs", path, text).catch(() => {});
    }
  }
}

/** Who runs an agent on a folder; `undefined` if nobody does. Throws `FileError`. */
export async function findHolder(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<Holder | undefined> {
  const path = `${stateDirectory}/${LOCK}`;
  // Looking at a lock that is not there would make it.
  if (await files.inspect("look for the lock", path) === undefined) return undefined;
  const told = await readHolder({ files }, stateDirectory);
  try {
    // An agent that was killed leaves its word behind, but not its lock.
    const lock = await files.lock("look at the lock", path);
    lock?.release();
    return lock === undefined ? told ?? { process_id: null, since_ms: null } : undefined;
  } catch (error) {
    // On a read-only disk nothing can be locked, and the word is all there is.
    if (error instanceof FileError) return told;
    throw error;
  }
}

async function readHolder(
  system: Pick<System, "files">,
  stateDirectory: string,
): Promise<Holder | undefined> {
  const text = await system.files.readText("read who runs", `${stateDirectory}/${HOLDER}`);
  if (text === undefined) return undefined;
  const read = decodeJson(holder, text);
  return read.ok ? read.value : undefined; // A half-written word is none.
}
