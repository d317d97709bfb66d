/**
 * Runs the journal's commands, one at a time, beside the loop: a slow command never holds up a
 * check-in. What a command leaves to tell is in the buffer before the command counts as done.
 */

import type { EventBuffer, NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandHandler, CommandOutcome } from "../buffer/command.ts";
import type { CommandJournal, JournalEntry } from "../buffer/journal.ts";
import { keep } from "../buffer/keep.ts";
import type { Log } from "../log.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";

/** What a worker is made of. */
export interface WorkerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly buffer: EventBuffer;
  /** Who runs a type of command; every type has somebody, if only to say no. */
  findHandler(type: string): CommandHandler;
  /** The log that tells the server of a command that went wrong. */
  reportFailure(command: Command, why: string, durationMs: number): NewEvent;
  /** Called when a command that still runs has something to tell. */
  onEarly(): void;
  /** Called when a command is done, with what it leaves for the loop to do. */
  onDone(outcome: CommandOutcome): void;
}

/** Between two tries to write where the disk refuses. */
const DISK_AGAIN_MS = 10_000;

export class Worker {
  readonly #parts: WorkerParts;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** How many commands are waiting or running. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when all that was taken in so far is done. */
  get idle(): Promise<void> {
    return this.#queue;
  }

  /** Takes up what an earlier process left: what was begun is repeated only if that is safe. */
  resume(signal: AbortSignal): void {
    for (const entry of this.#parts.journal.unfinished()) {
      const isInterrupted = entry.state === "started" &&
        !this.#parts.findHandler(entry.type).repeatable;
      if (isInterrupted) this.#reportInterrupted(entry);
      else this.take(toCommand(entry), signal);
    }
  }

  /** Queues a command that is in the journal. */
  take(command: Command, signal: AbortSignal): void {
    this.#waiting += 1;
    this.#queue = this.#queue.then(() => this.#run(command, signal)).catch((error) => {
      // Only the disk can bring us here; the journal still has the command, for the next start.
      this.#parts.log.error("command left for the next start", {
        command: command.type,
        why: messageOf(error),
      });
    }).finally(() => {
      this.#waiting -= 1;
    });
  }

  async #run(command: Command, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return; // It stays in the journal, not begun.
    const { clock, log, journal, buffer } = this.#parts;
    const startedMs = clock.monotonicMs();
    log.info("command started", { command: command.type, id: command.id });
    await this.#persist(command, signal, () => journal.start(command.id));
    const outcome = await this.#handle(command, { startedMs, signal });
    if (outcome === null) return;
    const finish = () => journal.finish(command.id, () => keep(buffer, log, outcome.events));
    await this.#persist(command, signal, finish);
    log.info("command finished", {
      command: command.type,
      id: command.id,
      took_ms: Math.round(clock.monotonicMs() - startedMs),
      events: outcome.events.length,
    });
    this.#parts.onDone(outcome);
  }

  /**
   * Writes to the journal, and again until the disk takes it: a command's result is not to be lost to
   * a disk that is full for an hour. Throws if it is to stop, or if the disk is not what is wrong.
   */
  async #persist(command: Command, signal: AbortSignal, write: () => void): Promise<void> {
    const { clock, log } = this.#parts;
    for (let tries = 0;; tries++) {
      try {
        return write();
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        const fields = { command: command.type, id: command.id, why: error.message };
        if (tries === 0) log.error("command waits for the disk", fields);
        await clock.sleep(DISK_AGAIN_MS, signal);
      }
    }
  }

  /** The outcome, or `null` if we were stopped in the middle of it. */
  async #handle(
    command: Command,
    run: { startedMs: number; signal: AbortSignal },
  ): Promise<CommandOutcome | null> {
    const { clock, log, buffer, findHandler, reportFailure } = this.#parts;
    try {
      return await findHandler(command.type).run(command, {
        signal: run.signal,
        tellEarly: (events) => {
          keep(buffer, log, events);
          if (events.length > 0) this.#parts.onEarly();
        },
      });
    } catch (error) {
      if (run.signal.aborted) return null;
      const why = messageOf(error);
      log.error("command failed", { command: command.type, id: command.id, why });
      const event = reportFailure(command, why, clock.monotonicMs() - run.startedMs);
      return { events: [event], rapidPollingMs: null };
    }
  }

  #reportInterrupted(entry: JournalEntry): void {
    const { log, journal, buffer, reportFailure } = this.#parts;
    const why = "interrupted: the agent stopped in the middle of it";
    log.warning("command was interrupted", { command: entry.type, id: entry.id });
    const event = reportFailure(toCommand(entry), why, 0);
    journal.finish(entry.id, () => keep(buffer, log, [event]));
  }
}

function toCommand(entry: JournalEntry): Command {
  return { id: entry.id, type: entry.type, params: JSON.parse(entry.params) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
