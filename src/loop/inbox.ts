/**
 * Receives commands from the server: stores each one before it is run, since the server never repeats
 * a command. While the disk refuses writes, commands are held in memory and not run. A command that
 * cannot be stored does not affect the others.
 */

import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
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

/** The commands of one check-in. */
export interface Received {
  /** Commands to run. */
  readonly commands: readonly ReceivedCommand[];
  /** Commands to report as failed. */
  readonly rejected: readonly RejectedCommand[];
}

/** Between two tries to write where the disk refuses. */
const DISK_AGAIN_MS = 10_000;

/** More than this are not held; the server times a command out of which nothing is heard. */
const MOST_HELD = 1_000;

/** Commands that wait to be run, in memory; further ones are rejected. */
export const MOST_WAITING = 1_000;

/** Total length of their parameters, in UTF-16 units. */
export const LONGEST_WAITING = 8_388_608;

/** Begins nothing that is taken with it. */
const ENDED = AbortSignal.abort(new Error("the agent ends"));

export class Inbox {
  readonly #parts: InboxParts;
  #held: ReceivedCommand[] = [];
  #heldRejected: RejectedCommand[] = [];
  #isWaiting = false;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** How many commands are in memory alone. */
  get held(): number {
    return this.#held.length + this.#heldRejected.length;
  }

  /** Has each command run that was not known, once it is on disk: now, or when it can be. */
  receive(received: Received, signal: AbortSignal): void {
    if (received.commands.length + received.rejected.length === 0) return;
    this.#hold(received);
    // Also while others wait: what is well by now needs no 10 s more.
    const why = this.#write(signal);
    if (why === null || this.#isWaiting) return;
    this.#parts.log.error("commands wait for the disk", { commands: this.held, why });
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
    if (this.held === 0 || this.#write(ENDED) === null) return;
    this.#tellLost([...this.#held, ...this.#heldRejected]);
    this.#held = [];
    this.#heldRejected = [];
  }

  /** Holds commands until they are stored; rejects those beyond the limits, or logs them as lost. */
  #hold({ commands, rejected }: Received): void {
    const { worker } = this.#parts;
    let length = worker.waitingLength + lengthOf(this.#held);
    for (const command of commands) {
      const { id, type, params } = command;
      const waiting = worker.waiting + this.#held.length;
      if (waiting < MOST_WAITING && length + params.length <= LONGEST_WAITING) {
        length += params.length;
        this.#held.push(command);
      } else {
        const why = `${waiting} commands are already waiting`;
        this.#heldRejected.push({ id, type, why });
      }
    }
    this.#heldRejected.push(...rejected);
    const lost = this.#heldRejected.splice(Math.max(0, MOST_HELD - this.#held.length));
    if (lost.length > 0) this.#tellLost(lost);
  }

  async #writeLater(signal: AbortSignal): Promise<void> {
    do await this.#parts.clock.sleep(DISK_AGAIN_MS, signal); while (
      this.held > 0 && this.#write(signal) !== null
    );
  }

  /** Why the disk refuses; `null`: it does not. */
  #write(signal: AbortSignal): string | null {
    try {
      this.#store(this.#held, signal);
      this.#held = [];
      this.#parts.worker.reject(this.#heldRejected);
      this.#heldRejected = [];
      return null;
    } catch (error) {
      if (isDisk(error)) return error.message;
      return this.#writeEach(signal);
    }
  }

  /** Stores commands one by one: a single one may be the reason why all of them were refused. */
  #writeEach(signal: AbortSignal): string | null {
    const { log, worker } = this.#parts;
    let refusal: string | null = null;
    this.#held = this.#held.filter((command) => {
      try {
        this.#store([command], signal);
        return false;
      } catch (error) {
        if (error instanceof DatabaseError) {
          refusal ??= error.message;
          return true;
        }
        const { id, type } = command;
        log.error("command cannot be stored", { id, why: String(error) });
        this.#heldRejected.push({ id, type, why: "the agent could not store it" });
        return false;
      }
    });
    this.#heldRejected = this.#heldRejected.filter((command) => {
      try {
        worker.reject([command]);
        return false;
      } catch (error) {
        if (error instanceof DatabaseError) {
          refusal ??= error.message;
          return true;
        }
        log.error("command lost, it cannot be stored", { id: command.id, why: String(error) });
        return false;
      }
    });
    return refusal;
  }

  #store(commands: readonly ReceivedCommand[], signal: AbortSignal): void {
    if (commands.length === 0) return;
    const { journal, worker } = this.#parts;
    const ids = new Set(journal.receive(commands).map(({ id }) => id));
    for (const command of commands) if (ids.delete(command.id)) worker.take(command, signal);
  }

  #tellLost(commands: readonly Pick<ReceivedCommand, "id">[]): void {
    const ids = commands.map(({ id }) => id).join(" ");
    this.#parts.log.error("commands lost, the disk took none", { commands: ids });
  }
}

/** Whether the disk refuses writes, independent of the command. */
function isDisk(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.reason !== "failed";
}

function lengthOf(commands: readonly ReceivedCommand[]): number {
  return commands.reduce((length, { params }) => length + params.length, 0);
}
