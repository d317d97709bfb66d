/** A server's command, and the handlers that run it: types for the command runner and the handlers. */

import type { NewEvent } from "./buffer.ts";

/** A command to run. */
export interface Command {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What a finished command leaves; its events are appended before it counts as finished. */
export interface CommandOutcome {
  /** The last one is the command's log, which reports to the server how it ended. */
  readonly events: readonly NewEvent[];
  /** Rapid polling from now on for so long; 0 ends it, `null` leaves it as it is. */
  readonly rapidPollingMs: number | null;
}

/** One run of a command. */
export interface CommandRun {
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal;
  /**
   * Appends events while the command still runs. After a crash a repeatable command appends them
   * again. Throws what the buffer throws.
   */
  appendEarly(events: readonly NewEvent[]): void;
}

/** Runs one type of command. It may throw: the command has then failed with that message. */
export interface RunningHandler {
  /** Whether it does no harm to run it again after a crash in the middle of it. */
  readonly repeatable: boolean;
  run(command: Command, run: CommandRun): Promise<CommandOutcome>;
}

/** Refuses one type of command; the reason is all that is reported of it. */
interface RefusingHandler {
  /** Refusing again does no harm. */
  readonly repeatable: true;
  refusal(command: Command): string;
}

/** Handles one type of command. */
export type CommandHandler = RunningHandler | RefusingHandler;
