/**
 * The journal on a disk that may refuse, or not be there yet: nothing of it is ever in memory alone,
 * because a command that is not on disk is not run.
 */

import type { CommandJournal, JournalEntry, ReceivedCommand } from "./journal.ts";
import type { LastingBuffer } from "./lasting_buffer.ts";

/** Every method throws `DatabaseError` where the disk refuses. */
export class LastingJournal implements CommandJournal {
  readonly #buffer: LastingBuffer;

  constructor(buffer: LastingBuffer) {
    this.#buffer = buffer;
  }

  receive(commands: readonly ReceivedCommand[]): ReceivedCommand[] {
    return this.#buffer.onDisk(({ journal }) => journal.receive(commands));
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
}
