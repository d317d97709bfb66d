/** The state directory with the agent's buffer and journal: the disk may fail, and the directory vanish. */

import type { EventBuffer } from "../buffer/buffer.ts";
import type { CommandJournal } from "../buffer/journal.ts";
import {
  DirectoryLockedError,
  type DiskCondition,
  StoreSupervisor,
} from "../buffer/store_supervisor.ts";
import { ConfigError } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { type Identity, IdentityError, loadIdentity, saveIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import type { System } from "../system/system.ts";
import { DiskStatusWriter } from "./disk_status.ts";
import { type InstanceLock, LockedError } from "./instance_lock.ts";

interface StateDirectoryDeps {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly limits: Config["buffer"];
  /** `null`: the caller makes sure that no other agent runs. */
  readonly lock: InstanceLock | null;
  /** The identity with the present token, for a directory that was created anew. */
  identity(): Identity;
  /** Saves everything else that belongs in a directory that was created anew. */
  onRecreated(): Promise<void>;
  /** Called when the disk accepts writes again. */
  onRecovered(): void;
}

/** Constructed, then opened. */
export class StateDirectory {
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  readonly #deps: StateDirectoryDeps;
  readonly #supervisor: StoreSupervisor;
  readonly #status: DiskStatusWriter;

  constructor(deps: StateDirectoryDeps) {
    const { system, log, stateDirectory, limits } = deps;
    this.#deps = deps;
    this.#supervisor = new StoreSupervisor({
      system,
      log,
      stateDirectory,
      limits,
      prepareDirectory: () => this.#prepare(),
      onRecovered: () => this.#recover(),
      onRefused: () => void this.#status.update(),
    });
    this.buffer = this.#supervisor.buffer;
    this.journal = this.#supervisor.journal;
    this.#status = new DiskStatusWriter(system, stateDirectory, () => this.#supervisor.condition);
  }

  get condition(): DiskCondition {
    return this.#supervisor.condition;
  }

  /** Opens the buffer on disk. Where the disk refuses, the agent runs without it, and tries again. */
  async open(): Promise<void> {
    await this.#supervisor.open();
    await this.#status.update();
  }

  /** Checks the directory and the buffer in it, and repairs both. */
  async check(): Promise<void> {
    await this.#supervisor.check();
    await this.#status.update();
  }

  close(): void {
    this.#supervisor.close();
  }

  async #prepare(): Promise<void> {
    const { system, stateDirectory, lock, identity, onRecreated } = this.#deps;
    await system.files.makeDirectory("make the state directory", stateDirectory, { mode: 0o700 });
    const { agentId } = identity();
    const found = await this.#findOwner();
    if (found !== null && found !== agentId) {
      throw new DirectoryLockedError(
        `Cannot use "${stateDirectory}": it belongs to agent "${found}" now`,
      );
    }
    try {
      await lock?.renew();
    } catch (error) {
      const isForeign = error instanceof LockedError || error instanceof ConfigError;
      throw isForeign ? new DirectoryLockedError(error.message) : error;
    }
    if (found === null) await saveIdentity(system, stateDirectory, identity());
    await onRecreated();
    void this.#status.rewrite();
  }

  /** The agent whose directory it is. A corrupt identity counts as this agent's: an operator repairs it. */
  async #findOwner(): Promise<string | null> {
    const { system, stateDirectory, identity } = this.#deps;
    try {
      return (await loadIdentity(system, stateDirectory))?.agentId ?? null;
    } catch (error) {
      if (error instanceof IdentityError) return identity().agentId;
      throw error;
    }
  }

  #recover(): void {
    const { lock, log, onRecovered } = this.#deps;
    void this.#status.update();
    lock?.renew().catch((error) =>
      log.error("cannot lock the state directory", { why: error.message })
    );
    onRecovered();
  }
}
