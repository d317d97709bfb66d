/**
 * The journal of commands: written down before any is run, because the server hands each over only
 * once and never asks again.
 */

import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";

/**
 * How far a command has come. When it is `finished` its report is in the buffer; when nothing of that
 * waits any more, because the server has it or it was set aside, it is `reported`. One whose report a
 * full buffer dropped stays `finished`.
 */
export type CommandState = "received" | "started" | "finished" | "reported";

/** A command in the journal. */
export interface JournalEntry extends ReceivedCommand {
  readonly state: CommandState;
  readonly receivedMs: number;
}

/** The journal. Methods throw `DatabaseError` when the disk refuses. */
export interface CommandJournal {
  /** Writes, and changes nothing: whoever takes commands that come only once asks this before. */
  tryWriting(): void;
  /** Writes commands down, durably; answers those that were not known before. */
  receive(commands: readonly ReceivedCommand[]): ReceivedCommand[];
  /**
   * Stores commands that are not run as finished. Calls `appendReports` with those whose ids were
   * unknown, in the same transaction; returns their number.
   */
  reject(
    commands: readonly RejectedCommand[],
    appendReports: (fresh: readonly RejectedCommand[]) => void,
  ): number;
  /** Notes that it is about to be run; throws if it is finished, or was never received. */
  start(id: string): void;
  /**
   * Marks it finished and runs `appendReport` in the same transaction: both, or neither. Throws if it
   * was finished before, so that nothing is reported twice.
   */
  finish(id: string, appendReport: () => void): void;
  /** Commands that are not finished, oldest first: to be run, or found interrupted. */
  unfinished(): JournalEntry[];
  /** How many commands it remembers, by state. */
  counts(): Readonly<Record<CommandState, number>>;
  /** Ids of finished commands whose log was sent and not answered, oldest first; see `confirm.ts`. */
  unconfirmed(): string[];
  /**
   * The server says that it has these commands' results: their logs are not sent again. An id that
   * was not asked for is passed over. Answers how many logs that were.
   */
  confirm(ids: readonly string[]): number;
}
