/**
 * The command runner: runs the journal's commands one at a time, beside the loop, so that a slow command
 * never delays a check-in. The events of a command are in the buffer before the command counts as done.
 */

import { appendEvents, type EventBuffer, type NewEvent } from "../buffer/buffer.ts";
import type {
  Command,
  CommandHandler,
  CommandJournal,
  CommandOutcome,
  JournalEntry,
  RunningHandler,
} from "../buffer/journal.ts";
import { type JsonLimits, parseJson } from "../json.ts";
import type { Log } from "../log.ts";
import type { LogMessage } from "../log_messages.ts";
import type { RejectedCommand, StorableCommand } from "../received_command.ts";
import { MOST_PARAMS_BYTES } from "../server/check_in_answer.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";

interface RunnerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: CommandJournal;
  readonly buffer: EventBuffer;
  /** The handler of a type of command; every type has one, at least one that refuses. */
  findHandler(type: string): CommandHandler;
  /** The log event that reports a failed command to the server. */
  reportFailure(command: Pick<Command, "id" | "type">, why: string, durationMs: number): NewEvent;
  /**
   * Completes the events of a command by what else the server has to know after it; the last event
   * remains the command's log. Never rejects. @default the events as they are
   */
  completeEvents?(command: Command, events: readonly NewEvent[]): Promise<readonly NewEvent[]>;
  /** Called when a command that still runs has appended events. */
  onAppend(): void;
  /** Called when a command is done, with its outcome for the loop. */
  onDone(outcome: CommandOutcome): void;
}

/**
 * Limit of reports on commands that do not run, at once and per hour. A server that sends nothing else
 * would fill the buffer with them, which would evict results.
 */
const MAX_NOT_RUN_REPORTS = 1_000;
const HOUR_MS = 3_600_000;

/** Wait before the next write while the disk refuses. */
export const DISK_RETRY_MS = 10_000;

export class CommandRunner {
  readonly #deps: RunnerDeps;
  #queue: Promise<void> = Promise.resolve();
  #waitingLength = 0;
  /** Ids of the commands that wait or run. */
  readonly #enqueued = new Set<string>();
  readonly #stuck = Promise.withResolvers<"stuck">();
  #reportsLeft = MAX_NOT_RUN_REPORTS;
  #reportsLeftMs: number;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#reportsLeftMs = deps.clock.monotonicMs();
  }

  /** How many commands are waiting or running. */
  get waiting(): number {
    return this.#enqueued.size;
  }

  /** Total length of their parameters in memory, in UTF-16 units. */
  get waitingLength(): number {
    return this.#waitingLength;
  }

  /** Resolves when all commands enqueued so far are done. */
  get idle(): Promise<void> {
    return this.#queue;
  }

  /** The same, or resolves as soon as a command has to wait for the disk. */
  idleOrStuck(): Promise<"idle" | "stuck"> {
    return Promise.race([this.#queue.then(() => "idle" as const), this.#stuck.promise]);
  }

  /**
   * Resumes the commands of an earlier process: one that had begun is repeated only if that is safe.
   * While the disk refuses to read, it tries again.
   */
  resume(signal: AbortSignal): void {
    if (this.#resumeNow(signal)) return;
    const { clock } = this.#deps;
    const retry = async () => {
      do await clock.sleep(DISK_RETRY_MS, signal); while (!this.#resumeNow(signal));
    };
    void retry().catch(() => {});
  }

  #resumeNow(signal: AbortSignal): boolean {
    try {
      for (const entry of this.#deps.journal.unfinished()) {
        this.#add({ ...entry, isFresh: false }, signal);
      }
      return true;
    } catch (error) {
      if (error instanceof DatabaseError) return false;
      throw error;
    }
  }

  /** Enqueues a command that is in the journal; one that already waits or runs is ignored. */
  enqueue(command: StorableCommand, signal: AbortSignal): void {
    this.#add({ ...command, state: "received", isFresh: true }, signal);
  }

  /**
   * Stores commands that do not run as finished, each with a report of the reason. Known ids are
   * ignored, and beyond `MAX_NOT_RUN_REPORTS` only the log has them. Throws `DatabaseError`
   * without any effect.
   */
  reject(commands: readonly RejectedCommand[]): void {
    if (commands.length === 0) return;
    const { log, journal, reportFailure, onAppend } = this.#deps;
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
    onAppend();
  }

  /** How many commands that do not run may be reported now. */
  #reportsNow(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    const more = (nowMs - this.#reportsLeftMs) / HOUR_MS * MAX_NOT_RUN_REPORTS;
    this.#reportsLeft = Math.min(MAX_NOT_RUN_REPORTS, this.#reportsLeft + more);
    this.#reportsLeftMs = nowMs;
    return Math.floor(this.#reportsLeft);
  }

  #logUnreported(commands: number, id: string): void {
    this.#deps.log.error("commands not reported: too many of them do not run", { commands, id });
  }

  #add(entry: ReadableEntry, signal: AbortSignal): void {
    const { id, type, params } = entry;
    if (this.#enqueued.has(id)) return;
    this.#enqueued.add(id);
    this.#waitingLength += params.length;
    this.#queue = this.#queue.then(() => this.#execute(entry, signal)).catch((error) => {
      // Only the disk can cause this; the journal still has the command, for the next start.
      this.#deps.log.error("command left for the next start", {
        command: type,
        why: messageOf(error),
      });
    }).finally(() => {
      this.#waitingLength -= params.length;
      this.#enqueued.delete(id);
    });
  }

  /** Parses the parameters here, not earlier, so that a long queue is not parsed in one go. */
  async #execute(entry: ReadableEntry, signal: AbortSignal): Promise<void> {
    // Each takes a few writes to the disk: a series of them must not delay signals and timers.
    await this.#deps.clock.turn();
    if (signal.aborted) return; // It stays in the journal and has not begun.
    const handler = this.#deps.findHandler(entry.type);
    const { command, notRun } = readEntry(entry, handler);
    if (notRun !== null) return await this.#reportNotRun(command, notRun, signal);
    if ("refusal" in handler) {
      const refused: NotRun = { message: "command not run", why: handler.refusal(command) };
      return await this.#reportNotRun(command, refused, signal);
    }
    await this.#run(command, handler, signal);
  }

  async #run(command: Command, handler: RunningHandler, signal: AbortSignal): Promise<void> {
    const { clock, log, journal } = this.#deps;
    const startedMs = clock.monotonicMs();
    log.info("command started", { command: command.type, id: command.id });
    await this.#persist(command, signal, () => journal.start(command.id));
    const outcome = await this.#handle(command, handler, { startedMs, signal });
    if (outcome === null) return;
    const events = await this.#complete(command, outcome.events);
    await this.#finish(command, events, signal);
    const { failure = null } = outcome;
    const fields = {
      command: command.type,
      id: command.id,
      result: failure === null ? "success" : "failed",
      ...failure !== null && { why: failure },
      took_ms: Math.round(clock.monotonicMs() - startedMs),
      events: events.length,
    };
    if (failure === null) log.info("command finished", fields);
    else log.warning("command finished", fields);
    this.#deps.onDone(outcome);
  }

  /** Appends the events of a command and finishes it, in one step. */
  async #finish(command: Command, events: readonly NewEvent[], signal: AbortSignal): Promise<void> {
    const { log, journal } = this.#deps;
    const finish = () => journal.finish(command.id, (queue) => appendEvents(queue, log, events));
    await this.#persist(command, signal, finish);
  }

  /**
   * Writes to the journal until the disk accepts it: a disk that is full for an hour must not lose the
   * result of a command. Throws if the agent stops, or if the error is not the disk's.
   */
  async #persist(command: Command, signal: AbortSignal, write: () => void): Promise<void> {
    const { clock, log } = this.#deps;
    for (let tries = 0;; tries++) {
      try {
        return write();
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        const fields = { command: command.type, id: command.id, why: error.message };
        if (tries === 0) log.error("command waits for the disk", fields);
        this.#stuck.resolve("stuck");
        await clock.sleep(DISK_RETRY_MS, signal);
      }
    }
  }

  /** The outcome, or `null` if the agent stops in the middle of it. */
  async #handle(
    command: Command,
    handler: RunningHandler,
    run: { startedMs: number; signal: AbortSignal },
  ): Promise<CommandOutcome | null> {
    const { clock, log, buffer, reportFailure } = this.#deps;
    try {
      return await handler.run(command, {
        signal: run.signal,
        appendEarly: (events) => {
          appendEvents(buffer, log, events);
          if (events.length > 0) this.#deps.onAppend();
        },
      });
    } catch (error) {
      if (run.signal.aborted) return null;
      const why = messageOf(error);
      const event = reportFailure(command, why, clock.monotonicMs() - run.startedMs);
      return { events: [event], rapidPollingMs: null, failure: why };
    }
  }

  async #complete(command: Command, events: readonly NewEvent[]): Promise<readonly NewEvent[]> {
    return await this.#deps.completeEvents?.(command, events) ?? events;
  }

  async #reportNotRun(
    command: Command,
    { message, why }: NotRun,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, reportFailure } = this.#deps;
    log.warning(message, { command: command.type, id: command.id, result: "failed", why });
    const isReported = this.#reportsNow() > 0;
    const events = isReported
      ? await this.#complete(command, [reportFailure(command, why, 0)])
      : [];
    await this.#finish(command, events, signal);
    if (isReported) this.#reportsLeft -= 1;
    else this.#logUnreported(1, command.id);
    this.#deps.onAppend();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a command does not run: the log message, and the reason in the report. */
interface NotRun {
  readonly message: LogMessage;
  readonly why: string;
}

/** A journal entry. A fresh one was received by this process, so the disk cannot have corrupted it. */
interface ReadableEntry extends Pick<JournalEntry, "id" | "type" | "params" | "state"> {
  readonly isFresh: boolean;
}

const INTERRUPTED: NotRun = {
  message: "command was interrupted",
  why: "interrupted: the agent stopped in the middle of it",
};

/** SQLite's integrity check does not read texts. */
const CORRUPT: NotRun = {
  message: "command is corrupt on disk",
  why: "not run: its journal entry is corrupt on disk",
};

/** Limits of a command's parameters; the largest legitimate ones are lists of package names. */
const PARAMS_LIMITS: JsonLimits = { maxLength: MOST_PARAMS_BYTES, maxDepth: 16, maxValues: 5_000 };

/** The command of an unfinished entry, and why it does not run; `null`: it runs. */
export function readEntry(
  { id, type, params: text, state, isFresh }: ReadableEntry,
  { repeatable }: Pick<CommandHandler, "repeatable">,
): { command: Command; notRun: NotRun | null } {
  const parsed = parseJson(text, PARAMS_LIMITS);
  if (parsed.ok && (parsed.value === null || isParams(parsed.value))) {
    const notRun = state === "started" && !repeatable ? INTERRUPTED : null;
    return { command: { id, type, params: parsed.value ?? {} }, notRun };
  }
  const why = parsed.ok ? "it is not an object" : parsed.why;
  const unusable: NotRun = {
    message: "command not run",
    why: `not run: its params are invalid: ${why}`,
  };
  return { command: { id, type, params: {} }, notRun: isFresh ? unusable : CORRUPT };
}

function isParams(value: unknown): value is Command["params"] {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
