/** The agent's buffer and journal on a disk that may fail, in a state folder that may vanish. */

import type { DiskCondition } from "../buffer/disk_condition.ts";
import { DiskKeeper, FolderHeldError } from "../buffer/disk_keeper.ts";
import type { EventBuffer } from "../buffer/buffer.ts";
import type { CommandJournal } from "../buffer/journal.ts";
import { LastingBuffer } from "../buffer/lasting_buffer.ts";
import { LastingJournal } from "../buffer/lasting_journal.ts";
import { type Config, ConfigError } from "../config.ts";
import { type Identity, IdentityError, loadIdentity, saveIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import type { System } from "../system/system.ts";
import { DiskStatusFile } from "./disk_status.ts";
import { type InstanceLock, LockedError } from "./instance_lock.ts";

/** What a store is made from. */
export interface StateStoreParts {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly limits: Config["buffer"];
  /** `null`: whoever runs this keeps others out. */
  readonly hold: InstanceLock | null;
  /** The agent with its present token, for a folder that has lost it. */
  identity(): Identity;
  /** The folder was made anew: all else that is kept in it is to be saved. */
  onNewFolder(): Promise<void>;
  /** The disk takes writes again. */
  onBack(): void;
}

export class StateStore {
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  readonly #parts: StateStoreParts;
  readonly #keeper: DiskKeeper;
  readonly #note: DiskStatusFile;

  constructor(parts: StateStoreParts) {
    const { system, log, stateDirectory, limits } = parts;
    this.#parts = parts;
    this.#keeper = new DiskKeeper({
      system,
      log,
      stateDirectory,
      limits,
      prepareFolder: () => this.#prepareFolder(),
      onBack: () => this.#comeBack(),
      onTrouble: () => void this.#note.update(),
    });
    const buffer = new LastingBuffer(this.#keeper);
    this.buffer = buffer;
    this.journal = new LastingJournal(buffer);
    this.#note = new DiskStatusFile(system, stateDirectory, () => this.#keeper.condition);
  }

  get condition(): DiskCondition {
    return this.#keeper.condition;
  }

  /** Opens what is on disk, or goes on without and tries again by itself. */
  async open(): Promise<void> {
    await this.#keeper.open();
    await this.#note.update();
  }

  /** Looks whether the state directory and the buffer in it are as they should be, and sees to both. */
  async look(): Promise<void> {
    await this.#keeper.look();
    await this.#note.update();
  }

  close(): void {
    this.#keeper.close();
  }

  async #prepareFolder(): Promise<void> {
    const { system, stateDirectory, hold, identity, onNewFolder } = this.#parts;
    await system.files.makeDirectory("make the state directory", stateDirectory, { mode: 0o700 });
    const { agentId } = identity();
    const found = await this.#agentThere();
    if (found !== null && found !== agentId) {
      throw new FolderHeldError(`Cannot use "${stateDirectory}": it is agent "${found}"'s now`);
    }
    try {
      await hold?.renew();
    } catch (error) {
      const isOthers = error instanceof LockedError || error instanceof ConfigError;
      throw isOthers ? new FolderHeldError(error.message) : error;
    }
    if (found === null) await saveIdentity(system, stateDirectory, identity());
    await onNewFolder();
    void this.#note.rewrite();
  }

  /** Whose the folder is; one that is damaged is this agent's, and a person's to mend. */
  async #agentThere(): Promise<string | null> {
    const { system, stateDirectory, identity } = this.#parts;
    try {
      return (await loadIdentity(system, stateDirectory))?.agentId ?? null;
    } catch (error) {
      if (error instanceof IdentityError) return identity().agentId;
      throw error;
    }
  }

  #comeBack(): void {
    const { hold, log, onBack } = this.#parts;
    void this.#note.update();
    hold?.renew().catch((error) =>
      log.error("cannot lock the state directory", { why: error.message })
    );
    onBack();
  }
}
