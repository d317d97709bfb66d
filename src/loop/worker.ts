/**
 * Runs the journal's commands, one at a time, beside the loop: a slow command never holds up a
 * check-in. What a command leaves to tell is in the buffer before the command counts as done.
 */

import { appendEvents, type EventBuffer, type NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandHandler, CommandOutcome, RunningHandler } from "../buffer/command.ts";
import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import { type NotRun, type ReadableEntry, readEntry } from "./read_entry.ts";

/** What a worker is made of. */
export interface WorkerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly buffer: EventBuffer;
  /** Who runs a type of command; every type has somebody, if only to say no. */
  findHandler(type: string): CommandHandler;
  /** The log that tells the server of a command that went wrong. */
  reportFailure(
    command: Pick<Command, "id" | "type">,
    why: string,
    durationMs: number,
  ): NewEvent;
  /**
   * What a command leaves, completed by what else the server is to be told after it; the last event
   * stays the command's log. Never rejects. @default the events as they are
   */
  completeEvents?(
    command: Command,
    events: readonly NewEvent[],
  ): Promise<readonly NewEvent[]>;
  /** Called when a command that still runs has something to tell. */
  onEarly(): void;
  /** Called when a command is done, with what it leaves for the loop to do. */
  onDone(outcome: CommandOutcome): void;
}

/**
 * Reports of commands that are not run: so many at once, and so many per hour. A server that sends
 * nothing else would fill the buffer with them, and push results out.
 */
const MOST_NOT_RUN_REPORTS = 1_000;
const HOUR_MS = 3_600_000;

/** Between two tries to write where the disk refuses. */
const DISK_AGAIN_MS = 10_000;

export class Worker {
  readonly #parts: WorkerParts;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #waitingLength = 0;
  /** Ids of the commands that wait or run. */
  readonly #taken = new Set<string>();
  readonly #stuck = Promise.withResolvers<"stuck">();
  #reportsLeft = MOST_NOT_RUN_REPORTS;
  #reportsLeftMs: number;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.#reportsLeftMs = parts.clock.monotonicMs();
  }

  /** How many commands are waiting or running. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Total length of their parameters in memory, in UTF-16 units. */
  get waitingLength(): number {
    return this.#waitingLength;
  }

  /** Resolves when all that was taken in so far is done. */
  get idle(): Promise<void> {
    return this.#queue;
  }

  /** Resolves then, or as soon as a command has had to wait for the disk. */
  idleOrStuck(): Promise<"idle" | "stuck"> {
    return Promise.race([this.#queue.then(() => "idle" as const), this.#stuck.promise]);
  }

  /**
   * Takes up what an earlier process left: what was begun is repeated only if that is safe. Where the
   * disk does not tell, it is asked again until it does.
   */
  resume(signal: AbortSignal): void {
    if (!this.#resumeNow(signal)) void this.#resumeLater(signal).catch(() => {});
  }

  #resumeNow(signal: AbortSignal): boolean {
    try {
      for (const entry of this.#parts.journal.unfinished()) {
        this.#enqueue({ ...entry, isFresh: false }, signal);
      }
      return true;
    } catch (error) {
      if (error instanceof DatabaseError) return false;
      throw error;
    }
  }

  async #resumeLater(signal: AbortSignal): Promise<void> {
    do await this.#parts.clock.sleep(DISK_AGAIN_MS, signal); while (!this.#resumeNow(signal));
  }

  /** Queues a command that is in the journal; one that is queued already, or runs, is passed over. */
  take(command: ReceivedCommand, signal: AbortSignal): void {
    this.#enqueue({ ...command, state: "received", isFresh: true }, signal);
  }

  /**
   * Stores commands that are not run as finished, each with a report of the reason. Ids that are known
   * are ignored, and beyond `MOST_NOT_RUN_REPORTS` only the log has them. Throws `DatabaseError`
   * without any effect.
   */
  reject(commands: readonly RejectedCommand[]): void {
    if (commands.length === 0) return;
    const { log, journal, reportFailure, onEarly } = this.#parts;
    const reports = this.#reportsNow();
    const count = journal.reject(commands, (fresh, queue) => {
      const events = fresh.slice(0, reports)
        .map((command) => reportFailure(command, `not run: ${command.why}`, 0));
      appendEvents(queue, log, events);
    });
    const [first] = commands;
    if (count === 0 || first === undefined) return;
    this.#reportsLeft -= Math.min(count, reports);
    log.warning("commands rejected", { commands: count, first: first.id, why: first.why });
    if (count > reports) this.#logUnreported(count - reports, first.id);
    onEarly();
  }

  /** How many commands that are not run may be reported now. */
  #reportsNow(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const more = (nowMs - this.#reportsLeftMs) / HOUR_MS * MOST_NOT_RUN_REPORTS;
    this.#reportsLeft = Math.min(MOST_NOT_RUN_REPORTS, this.#reportsLeft + more);
    this.#reportsLeftMs = nowMs;
    return Math.floor(this.#reportsLeft);
  }

  #logUnreported(commands: number, id: string): void {
    this.#parts.log.error("commands not reported, too many of them are not run", { commands, id });
  }

  #enqueue(entry: ReadableEntry, signal: AbortSignal): void {
    const { id, type, params } = entry;
    if (this.#taken.has(id)) return;
    this.#taken.add(id);
    this.#waiting += 1;
    this.#waitingLength += params.length;
    this.#queue = this.#queue.then(() => this.#take(entry, signal)).catch((error) => {
      // Only the disk can bring us here; the journal still has the command, for the next start.
      this.#parts.log.error("command left for the next start", {
        command: type,
        why: messageOf(error),
      });
    }).finally(() => {
      this.#waiting -= 1;
      this.#waitingLength -= params.length;
      this.#taken.delete(id);
    });
  }

  /** Parameters are parsed here, not earlier, so that a long queue is not parsed in one stretch. */
  async #take(entry: ReadableEntry, signal: AbortSignal): Promise<void> {
    // Each takes a few writes to the disk: a row of them must not hold up signals and timers.
    await this.#parts.clock.turn();
    if (signal.aborted) return; // It stays in the journal, not begun.
    const handler = this.#parts.findHandler(entry.type);
    const { command, notRun } = readEntry(entry, handler);
    if (notRun !== null) return await this.#reportNotRun(command, notRun, signal);
    if ("refusal" in handler) {
      const refused = { message: "command not run", why: handler.refusal(command) };
      return await this.#reportNotRun(command, refused, signal);
    }
    await this.#run(command, handler, signal);
  }

  async #run(command: Command, handler: RunningHandler, signal: AbortSignal): Promise<void> {
    const { clock, log, journal } = this.#parts;
    const startedMs = clock.monotonicMs();
    log.info("command started", { command: command.type, id: command.id });
    await this.#persist(command, signal, () => journal.start(command.id));
    const outcome = await this.#handle(command, handler, { startedMs, signal });
    if (outcome === null) return;
    const events = await this.#complete(command, outcome.events);
    const finish = () => journal.finish(command.id, (queue) => appendEvents(queue, log, events));
    await this.#persist(command, signal, finish);
    log.info("command finished", {
      command: command.type,
      id: command.id,
      took_ms: Math.round(clock.monotonicMs() - startedMs),
      events: events.length,
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
        this.#stuck.resolve("stuck");
        await clock.sleep(DISK_AGAIN_MS, signal);
      }
    }
  }

  /** The outcome, or `null` if we were stopped in the middle of it. */
  async #handle(
    command: Command,
    handler: RunningHandler,
    run: { startedMs: number; signal: AbortSignal },
  ): Promise<CommandOutcome | null> {
    const { clock, log, buffer, reportFailure } = this.#parts;
    try {
      return await handler.run(command, {
        signal: run.signal,
        appendEarly: (events) => {
          appendEvents(buffer, log, events);
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

  async #complete(command: Command, events: readonly NewEvent[]): Promise<readonly NewEvent[]> {
    return await this.#parts.completeEvents?.(command, events) ?? events;
  }

  async #reportNotRun(
    command: Command,
    { message, why }: NotRun,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, journal, reportFailure } = this.#parts;
    log.warning(message, { command: command.type, id: command.id, why });
    const isReported = this.#reportsNow() > 0;
    const events = isReported
      ? await this.#complete(command, [reportFailure(command, why, 0)])
      : [];
    await this.#persist(
      command,
      signal,
      () => journal.finish(command.id, (queue) => appendEvents(queue, log, events)),
    );
    if (isReported) this.#reportsLeft -= 1;
    else this.#logUnreported(1, command.id);
    this.#parts.onEarly();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
