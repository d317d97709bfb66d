/**
 * A log file that rotates: for hosts without a journal. Lines are written one batch after the other, so
 * that a slow disk never holds up who logs.
 */

import { FileError, type Files } from "./system/files.ts";

/** Where the lines go, and how much of them stays. */
export interface LogFileOptions {
  readonly path: string;
  /** A file that has reached this size is renamed to `path.1`, and a new one begun. */
  readonly maxBytes: number;
  /** How many renamed files stay: `path.1` is the newest. */
  readonly oldFiles: number;
}

/** Lines that wait for the disk; further ones are counted and dropped. In characters (UTF-16). */
const MOST_PENDING = 1_048_576;

/** For its user alone: lines name hosts and packages. */
const MODE = 0o600;

/** Constructed, written to, and flushed at the end. A file that cannot be written loses lines only. */
export class LogFile {
  readonly #files: Pick<Files, "appendText" | "rename" | "remove" | "inspect">;
  readonly #options: LogFileOptions;
  #pending: string[] = [];
  #pendingLength = 0;
  /** Lines that the disk refused, and those that came when too many were waiting. */
  #refused = 0;
  #overflowed = 0;
  /** `null`: nothing is being written. */
  #work: Promise<void> | null = null;

  constructor(
    files: Pick<Files, "appendText" | "rename" | "remove" | "inspect">,
    options: LogFileOptions,
  ) {
    this.#files = files;
    this.#options = options;
  }

  /** Writes a line, soon. */
  write(line: string): void {
    if (this.#pendingLength + line.length > MOST_PENDING) {
      this.#overflowed += 1;
      return;
    }
    this.#pending.push(line);
    this.#pendingLength += line.length;
    this.#work ??= this.#writeAll().finally(() => this.#work = null);
  }

  /** Resolves when all lines so far are written, or lost; never rejects. */
  async flush(): Promise<void> {
    await this.#work;
  }

  async #writeAll(): Promise<void> {
    // Lets the lines of one step come together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const lines = this.#pending;
      const overflowed = this.#overflowed;
      this.#pending = [];
      this.#pendingLength = 0;
      this.#overflowed = 0;
      const batch = [...describeLost(this.#refused), ...lines, ...describeLost(overflowed)];
      try {
        await this.#append(`${batch.join("\n")}\n`);
        this.#refused = 0;
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        // There is no other place to say so; the next batch that can be written counts them.
        this.#refused += lines.length + overflowed;
      }
    }
  }

  async #append(text: string): Promise<void> {
    const { path, maxBytes } = this.#options;
    const options = { mode: MODE };
    const sizeBytes = await this.#files.appendText("write the log", path, text, options);
    if (sizeBytes >= maxBytes) await this.#rotate();
  }

  async #rotate(): Promise<void> {
    const { path, oldFiles } = this.#options;
    const name = (age: number) => age === 0 ? path : `${path}.${age}`;
    if (oldFiles === 0) return await this.#files.remove("remove the old log", path);
    for (let age = oldFiles - 1; age >= 0; age--) {
      if (await this.#files.inspect("look at the old log", name(age)) === undefined) continue;
      await this.#files.rename("rotate the log", name(age), name(age + 1));
    }
  }
}

function describeLost(count: number): string[] {
  return count === 0 ? [] : [`(${count} log lines are missing here)`];
}
