/**
 * Takes in the commands that the server hands over: on disk before anything else, since it never
 * hands one over twice. While the disk refuses they are held in memory, and not run.
 */

import type { Command } from "../buffer/command.ts";
import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import type { Worker } from "./worker.ts";

/** What an inbox needs. */
export interface InboxParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly worker: Worker;
}

/** Between two tries to write where the disk refuses. */
const DISK_AGAIN_MS = 10_000;

/** More than this are not held; the server times a command out of which nothing is heard. */
const MOST_HELD = 1_000;

/** Begins nothing that is taken with it. */
const ENDED = AbortSignal.abort(new Error("the agent ends"));

export class Inbox {
  readonly #parts: InboxParts;
  #held: Command[] = [];
  #isWaiting = false;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** How many commands are in memory alone. */
  get held(): number {
    return this.#held.length;
  }

  /** Has each command run that was not known, once it is on disk: now, or when it can be. */
  receive(commands: readonly Command[], signal: AbortSignal): void {
    if (commands.length === 0) return;
    const room = MOST_HELD - this.#held.length;
    if (commands.length > room) this.#tellLost(commands.slice(room));
    this.#held.push(...commands.slice(0, room));
    // Also while others wait: what is well by now needs no 10 s more.
    const why = this.#write(signal);
    if (why === null || this.#isWaiting) return;
    this.#parts.log.error("commands wait for the disk", { commands: this.#held.length, why });
    this.#isWaiting = true;
    void this.#writeLater(signal).catch((error) => {
      // Whoever is to stop has no more time for a sick disk.
      if (signal.aborted) return this.end();
      this.#parts.log.error("commands are left to the end", { why: String(error) });
    }).finally(() => {
      this.#isWaiting = false;
    });
  }

  /**
   * The agent ends: what the disk takes now waits in the journal for the next start, and what it does
   * not is lost, and told by its ids.
   */
  end(): void {
    if (this.#held.length === 0 || this.#write(ENDED) === null) return;
    this.#tellLost(this.#held);
    this.#held = [];
  }

  async #writeLater(signal: AbortSignal): Promise<void> {
    do await this.#parts.clock.sleep(DISK_AGAIN_MS, signal); while (
      this.#held.length > 0 && this.#write(signal) !== null
    );
  }

  /** Why the disk refuses; `null`: it does not. */
  #write(signal: AbortSignal): string | null {
    const { journal, worker } = this.#parts;
    try {
      const fresh = journal.receive(
        this.#held.map(({ id, type, params }) => ({ id, type, params: JSON.stringify(params) })),
      );
      const ids = new Set(fresh.map(({ id }) => id));
      const commands = this.#held.filter(({ id }) => ids.delete(id));
      this.#held = [];
      for (const command of commands) worker.take(command, signal);
      return null;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return error.message;
    }
  }

  #tellLost(commands: readonly Command[]): void {
    const ids = commands.map(({ id }) => id).join(" ");
    this.#parts.log.error("commands lost, the disk took none", { commands: ids });
  }
}
