/**
 * Receives commands from the server: stores each one before it runs, since RedFlag 0.1.18 never repeats
 * a command. While the disk refuses writes, commands stay in memory and do not run. A command that cannot
 * be stored does not affect the others.
 */

import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import { type CommandRunner, DISK_RETRY_MS } from "./command_runner.ts";

/** What an intake works with. */
export interface IntakeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly runner: CommandRunner;
}

/** The commands of one check-in. */
export interface Received {
  /** Commands to run. */
  readonly commands: readonly ReceivedCommand[];
  /** Commands to report as failed. */
  readonly rejected: readonly RejectedCommand[];
}

/** Limit of commands in memory; the server lets a command without any result time out. */
const MAX_IN_MEMORY = 1_000;

/** Limit of waiting commands in memory; further ones are rejected. */
export const MAX_WAITING = 1_000;

/** Limit of the total length of their parameters, in UTF-16 units. */
export const MAX_WAITING_LENGTH = 8_388_608;

/** A command that is enqueued with this signal does not run. */
const ENDED = AbortSignal.abort(new Error("the agent ends"));

export class CommandIntake {
  readonly #deps: IntakeDeps;
  #unstored: ReceivedCommand[] = [];
  #unstoredRejected: RejectedCommand[] = [];
  #isWaiting = false;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** How many commands are in memory only. */
  get unstored(): number {
    return this.#unstored.length + this.#unstoredRejected.length;
  }

  /** Runs each unknown command as soon as it is on disk: now, or when the disk accepts it. */
  receive(received: Received, signal: AbortSignal): void {
    if (received.commands.length + received.rejected.length === 0) return;
    this.#addUnstored(received);
    // Also while others wait: a disk that works again needs no 10 s more.
    const why = this.#write(signal);
    if (why === null || this.#isWaiting) return;
    this.#deps.log.error("commands wait for the disk", { commands: this.unstored, why });
    this.#isWaiting = true;
    void this.#writeLater(signal).catch((error) => {
      // A shutdown leaves no time for a failing disk.
      if (signal.aborted) return this.end();
      this.#deps.log.error("commands stay in memory until the exit", { why: String(error) });
    }).finally(() => {
      this.#isWaiting = false;
    });
  }

  /**
   * The agent exits: commands that the disk accepts now wait in the journal for the next start; the
   * others are lost, and their ids are logged.
   */
  end(): void {
    if (this.unstored === 0 || this.#write(ENDED) === null) return;
    this.#logLost([...this.#unstored, ...this.#unstoredRejected]);
    this.#unstored = [];
    this.#unstoredRejected = [];
  }

  /** Adds commands to be stored; rejects those beyond the limits, or logs them as lost. */
  #addUnstored({ commands, rejected }: Received): void {
    const { runner } = this.#deps;
    let length = runner.waitingLength + lengthOf(this.#unstored);
    const inMemory = new Set(this.#unstored.map(({ id }) => id));
    for (const command of commands) {
      const { id, type, params } = command;
      // The server repeats what it has not been told of, and it is not told before it is on disk.
      if (inMemory.has(id)) continue;
      const waiting = runner.waiting + this.#unstored.length;
      if (waiting < MAX_WAITING && length + params.length <= MAX_WAITING_LENGTH) {
        length += params.length;
        this.#unstored.push(command);
      } else {
        const why = `${waiting} commands are already waiting`;
        this.#unstoredRejected.push({ id, type, why });
      }
    }
    this.#unstoredRejected.push(...rejected);
    const lost = this.#unstoredRejected.splice(Math.max(0, MAX_IN_MEMORY - this.#unstored.length));
    if (lost.length > 0) this.#logLost(lost);
  }

  async #writeLater(signal: AbortSignal): Promise<void> {
    do await this.#deps.clock.sleep(DISK_RETRY_MS, signal); while (
      this.unstored > 0 && this.#write(signal) !== null
    );
  }

  /** Stores everything. Returns why the disk refuses, or `null` if it does not. */
  #write(signal: AbortSignal): string | null {
    try {
      this.#store(this.#unstored, signal);
      this.#unstored = [];
      this.#deps.runner.reject(this.#unstoredRejected);
      this.#unstoredRejected = [];
      return null;
    } catch (error) {
      if (isDisk(error)) return error.message;
      return this.#writeEach(signal);
    }
  }

  /** Stores commands one by one: a single one may be the reason why all of them were refused. */
  #writeEach(signal: AbortSignal): string | null {
    const { log, runner } = this.#deps;
    let refusal: string | null = null;
    /** Whether the disk refuses a command, so that it remains to be stored. */
    const isRefused = (write: () => void, onFailed: (why: string) => void) => {
      try {
        write();
        return false;
      } catch (error) {
        if (!(error instanceof DatabaseError)) onFailed(String(error));
        else refusal ??= error.message;
        return error instanceof DatabaseError;
      }
    };
    this.#unstored = this.#unstored.filter((command) =>
      isRefused(() => this.#store([command], signal), (why) => {
        const { id, type } = command;
        log.error("command cannot be stored", { id, why });
        this.#unstoredRejected.push({ id, type, why: "the agent could not store it" });
      })
    );
    this.#unstoredRejected = this.#unstoredRejected.filter((command) =>
      isRefused(
        () => runner.reject([command]),
        (why) => log.error("command lost: it cannot be stored", { id: command.id, why }),
      )
    );
    return refusal;
  }

  #store(commands: readonly ReceivedCommand[], signal: AbortSignal): void {
    if (commands.length === 0) return;
    const { journal, runner } = this.#deps;
    const ids = new Set(journal.receive(commands).map(({ id }) => id));
    for (const command of commands) if (ids.delete(command.id)) runner.enqueue(command, signal);
  }

  #logLost(commands: readonly Pick<ReceivedCommand, "id">[]): void {
    const ids = commands.map(({ id }) => id).join(" ");
    this.#deps.log.error("commands lost: the disk accepted no writes", { commands: ids });
  }
}

/** Whether the disk refuses writes, independent of the command. */
function isDisk(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.reason !== "failed";
}

function lengthOf(commands: readonly ReceivedCommand[]): number {
  return commands.reduce((length, { params }) => length + params.length, 0);
}
