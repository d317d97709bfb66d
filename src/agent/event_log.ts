/**
 * Writes errors of the running agent, and a health that becomes FAILED, to the Event Log of Windows
 * (`log.event_log`): through `eventcreate.exe`, one process per event, beside the agent's work. Decision
 * 0046 has the reasons.
 */

import { HourlyLimit } from "../hourly_limit.ts";
import { cleanFields, type Log, type LogFields, type LogLevel, observeLog } from "../log.ts";
import { codeOf } from "../log_messages.ts";
import { quoteWords, type Secrets } from "../redact.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { windowsDirectory } from "../windows_directory.ts";
import type { AgentHealth } from "./health.ts";

interface EventLogDeps {
  readonly system: System;
  readonly log: Log;
  readonly secrets: Secrets;
  /** Throws `FileError`. */
  health(): Promise<AgentHealth>;
}

/** The source of the events, which `eventcreate` registers at the first. */
const SOURCE = "Pennon";

/** `eventcreate` takes ids from 1 to 1000. A number never changes its meaning. */
const EVENTS = {
  error: { id: 1, type: "ERROR" },
  failed: { id: 2, type: "ERROR" },
  well: { id: 3, type: "INFORMATION" },
} as const;

interface WindowsEvent {
  readonly kind: keyof typeof EVENTS;
  readonly text: string;
}

/** Each is a process; further ones are counted. */
const MOST_PER_HOUR = 30;
const MOST_WAITING = 20;

/** Longest description, and longest text in it, in characters. */
const LONGEST_DESCRIPTION = 1_500;
const LONGEST_TEXT = 500;

/** On one event; on those that wait when the agent stops. */
const TIMEOUT_MS = 10_000;
const STOP_MS = 1_000;

/** Between two looks at the health. */
const LOOK_EVERY_MS = 60_000;

/** Constructed, logged to, and run beside the agent. */
export class EventLog {
  /** The log, whose errors are written. */
  readonly log: Log;
  readonly #deps: EventLogDeps;
  readonly #limit: HourlyLimit;
  readonly #end = new AbortController();
  #waiting: WindowsEvent[] = [];
  #dropped = 0;
  #isRefused = false;
  #isFailed = false;
  /** `null`: nothing is being written. */
  #work: Promise<void> | null = null;

  constructor(deps: EventLogDeps) {
    this.#deps = deps;
    this.#limit = new HourlyLimit(deps.system.clock, MOST_PER_HOUR);
    this.log = observeLog(deps.log, (level, message, fields) => this.#take(level, message, fields));
  }

  /** Looks at the health until `signal` is aborted; what waits then has a second. Never throws because of a disk. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps.system;
    while (await clock.sleep(LOOK_EVERY_MS, signal).then(() => true, () => false)) {
      await this.#look();
    }
    const cancel = clock.after(STOP_MS, () => this.#end.abort());
    await this.#work;
    cancel();
    this.#end.abort();
  }

  async #look(): Promise<void> {
    let health: AgentHealth;
    try {
      health = await this.#deps.health();
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      return; // The log and the status say what is wrong with the disk.
    }
    const isFailed = health.level === "failed";
    if (isFailed === this.#isFailed) return;
    this.#isFailed = isFailed;
    const words = health.reasons.filter(({ level }) => level === "failed").map(({ words }) =>
      words
    );
    if (isFailed) this.#enqueue("failed", `health FAILED: ${words.join("; ")}`);
    else this.#enqueue("well", `health no longer FAILED: ${health.level.toUpperCase()}`);
  }

  #take(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (level !== "error") return;
    const shown = Object.entries(cleanFields(fields, this.#deps.secrets))
      .map(([name, value]) => `; ${name}: ${quoteWords(String(value), LONGEST_TEXT)}`);
    this.#enqueue("error", `${message} (${codeOf(message) ?? "-"})${shown.join("")}`);
  }

  #enqueue(kind: WindowsEvent["kind"], text: string): void {
    if (this.#end.signal.aborted) return;
    if (this.#waiting.length >= MOST_WAITING || !this.#limit.take()) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push({ kind, text });
    this.#work ??= this.#writeAll().finally(() => this.#work = null);
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event === undefined || this.#end.signal.aborted) return;
      const dropped = this.#dropped;
      this.#dropped = 0;
      const why = await this.#write(event, dropped);
      if (why !== null) this.#dropped += dropped + 1;
      if (why !== null && !this.#isRefused) {
        this.#deps.log.warning("event log not written", { why: quoteWords(why, LONGEST_TEXT) });
      }
      this.#isRefused = why !== null;
    }
  }

  /** Why the event could not be written; `null`: it was. */
  async #write({ kind, text }: WindowsEvent, dropped: number): Promise<string | null> {
    const { system } = this.#deps;
    const directory = windowsDirectory(system);
    if (directory === undefined) return "SystemRoot names no directory of Windows";
    const { id, type } = EVENTS[kind];
    const counted = dropped === 0 ? "" : `; events not written before: ${dropped}`;
    try {
      const { code, stdout, stderr } = await system.runCommand([
        `${directory}\\System32\\eventcreate.exe`,
        ...["/l", "APPLICATION", "/so", SOURCE, "/t", type, "/id", String(id)],
        ...["/d", describe(text) + counted],
      ], { timeoutMs: TIMEOUT_MS, maxOutputBytes: 4_096, signal: this.#end.signal });
      return code === 0 ? null : `exit ${code}: ${stderr}${stdout}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

/**
 * The description as an argument that `eventcreate` reads as one, however it reads quotation marks: on one
 * line, and without them. It begins with a message of the log, so that it is no option.
 */
function describe(text: string): string {
  return quoteWords(text, LONGEST_DESCRIPTION).replaceAll('"', "'").replace(/\\+$/, "");
}
