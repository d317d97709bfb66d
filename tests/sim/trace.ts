/** What a run tells of itself: its last lines, and a sum over all of them that two equal runs share. */

import type { Log, LogFields } from "../../src/log.ts";

/** Lines kept for a failure's report. */
const KEPT = 80;

export class Trace implements Log {
  readonly #elapsedMs: () => number;
  #lines: string[] = [];
  #sum = 0x811c9dc5;
  /** How often each message was told. */
  readonly told = new Map<string, number>();
  /** Called for each line of the agent's log. */
  onMessage: (message: string, fields: LogFields) => void = () => {};

  constructor(elapsedMs: () => number) {
    this.#elapsedMs = elapsedMs;
  }

  /** A sum over everything that happened, and when. */
  get sum(): string {
    return (this.#sum >>> 0).toString(16).padStart(8, "0");
  }

  get lines(): readonly string[] {
    return this.#lines.slice(-KEPT);
  }

  note(what: string): void {
    const line = `${describeInstant(this.#elapsedMs())}  ${what}`;
    for (let index = 0; index < line.length; index++) {
      this.#sum = Math.imul(this.#sum ^ line.charCodeAt(index), 0x01000193);
    }
    this.#lines.push(line);
    if (this.#lines.length > 2 * KEPT) this.#lines = this.#lines.slice(-KEPT);
  }

  debug(_message: string): void {}
  info(message: string, fields?: LogFields): void {
    this.#tell("info", message, fields);
  }
  warning(message: string, fields?: LogFields): void {
    this.#tell("warning", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#tell("error", message, fields);
  }

  #tell(level: string, message: string, fields: LogFields = {}): void {
    this.told.set(message, (this.told.get(message) ?? 0) + 1);
    const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");
    this.note(`${level} ${message} ${words.slice(0, 200)}`);
    this.onMessage(message, fields);
  }
}

/** "12d 03:04:05.678". */
export function describeInstant(ms: number): string {
  const pad = (value: number, width = 2) => String(Math.floor(value)).padStart(width, "0");
  const days = pad(ms / 86_400_000);
  return `${days}d ${pad((ms / 3_600_000) % 24)}:${pad((ms / 60_000) % 60)}:${
    pad((ms / 1_000) % 60)
  }.${pad(ms % 1_000, 3)}`;
}
