/** What running a server's command takes and leaves: types for those who run and who drive. */

import type { NewEvent } from "./buffer.ts";

/** A command to be run. */
export interface Command {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What is left when a command is done; its events are kept before it counts as done. */
export interface CommandOutcome {
  /** The last one is the command's log, which tells the server how it ended. */
  readonly events: readonly NewEvent[];
  /** Rapid polling from now on for so long; 0 ends it, `null` leaves it as it is. */
  readonly rapidPollingMs: number | null;
}

/** One run of a command. */
export interface CommandRun {
  /** Given when the agent stops: the run is to end then. */
  readonly signal: AbortSignal;
  /**
   * Keeps events for delivery while the command still runs. After a crash a repeatable command tells
   * them again. Throws what the buffer throws.
   */
  tellEarly(events: readonly NewEvent[]): void;
}

/** Runs one type of command. It may throw: the command has then failed with that message. */
export interface RunningHandler {
  /** Whether it does no harm to run it again after a crash in the middle of it. */
  readonly repeatable: boolean;
  run(command: Command, run: CommandRun): Promise<CommandOutcome>;
}

/** Refuses one type of command; the reason is all that is reported of it. */
export interface RefusingHandler {
  /** Refusing again does no harm. */
  readonly repeatable: true;
  refusal(command: Command): string;
}

/** What becomes of one type of command. */
export type CommandHandler = RunningHandler | RefusingHandler;
