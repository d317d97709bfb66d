/**
 * The journal on a disk that may refuse, or not be there yet: nothing of it is ever in memory alone,
 * because a command that is not on disk is not run.
 */

import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
import type { CommandJournal, CommandState, JournalEntry } from "./journal.ts";
import type { LastingBuffer } from "./lasting_buffer.ts";

/** Methods throw `DatabaseError` where the disk refuses, but for what can be done without. */
export class LastingJournal implements CommandJournal {
  readonly #buffer: LastingBuffer;

  constructor(buffer: LastingBuffer) {
    this.#buffer = buffer;
  }

  tryWriting(): void {
    this.#buffer.onDisk(({ journal }) => journal.tryWriting());
  }

  receive(commands: readonly ReceivedCommand[]): ReceivedCommand[] {
    return this.#buffer.onDisk(({ journal }) => journal.receive(commands));
  }

  reject(
    commands: readonly RejectedCommand[],
    appendReports: (fresh: readonly RejectedCommand[]) => void,
  ): number {
    return this.#buffer.onDisk(({ journal }) => journal.reject(commands, appendReports));
  }

  start(id: string): void {
    this.#buffer.onDisk(({ journal }) => journal.start(id));
  }

  finish(id: string, appendReport: () => void): void {
    this.#buffer.onDisk(({ journal }) => journal.finish(id, appendReport));
  }

  unfinished(): JournalEntry[] {
    return this.#buffer.onDisk(({ journal }) => journal.unfinished());
  }

  counts(): Readonly<Record<CommandState, number>> {
    return this.#buffer.onDisk(({ journal }) => journal.counts());
  }

  /** Nobody is asked for what cannot be read: the check-in goes on. */
  unconfirmed(): string[] {
    return this.#buffer.onDiskIfAny(({ journal }) => journal.unconfirmed(), []);
  }

  /** What the disk does not take down is sent again. */
  confirm(ids: readonly string[]): number {
    return this.#buffer.onDiskIfAny(({ journal }) => journal.confirm(ids), 0);
  }
}
