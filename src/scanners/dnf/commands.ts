/** Runs dnf and rpm, each within bounds and again while another dnf holds the lock. */

import { reasonNotRun, ScanError } from "../scanner.ts";
import { CommandError, type RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { dnfFailure, isLocked, tellsOfLock } from "./failure.ts";

/** For each question; they take one to three seconds, and more where more is installed. */
const TIMEOUT_MS = 120_000;
const TIMEOUT_PER_PACKAGE_MS = 50;

/** Fetching package lists waits for mirrors. */
export const FETCH_TIMEOUT_MS = 300_000;

/** How long another dnf may go on, all questions of a scan together, and how often to look. */
const LOCK_PATIENCE_MS = 60_000;
const LOCK_POLL_MS = 5_000;

/** How one program is run. */
export interface DnfRunOptions {
  /** @default 120 s, and more once it is known how much is installed */
  readonly timeoutMs?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Asks; every method throws `ScanError`, and the signal's reason once that is given. */
export class DnfCommands {
  readonly #system: System;
  readonly #signal: AbortSignal;
  #waitedMs = 0;
  #timeoutMs = TIMEOUT_MS;

  constructor(system: System, signal: AbortSignal | undefined) {
    this.#system = system;
    this.#signal = signal ?? new AbortController().signal;
  }

  /** Has the time limits grow with the work. */
  expect(installedPackages: number): void {
    this.#timeoutMs = TIMEOUT_MS + TIMEOUT_PER_PACKAGE_MS * installedPackages;
  }

  /** Runs a program to its end; a code other than 0 is a result. `action` completes "Cannot …". */
  async run(
    action: string,
    argv: readonly string[],
    options: DnfRunOptions = {},
  ): Promise<RunResult> {
    for (;;) {
      const result = await this.#runOnce(action, argv, options);
      if (!isLocked(result) || this.#waitedMs >= LOCK_PATIENCE_MS) return result;
      await this.#system.clock.sleep(LOCK_POLL_MS, this.#signal);
      this.#waitedMs += LOCK_POLL_MS;
    }
  }

  /** What a program answers with one of the codes given. */
  async ask(
    action: string,
    argv: readonly string[],
    codes: readonly number[] = [0],
  ): Promise<string> {
    return answerOf(action, await this.run(action, argv), codes);
  }

  async #runOnce(
    action: string,
    argv: readonly string[],
    { timeoutMs = this.#timeoutMs, ...more }: DnfRunOptions,
  ): Promise<RunResult> {
    try {
      return await this.#system.runCommand(argv, { ...more, timeoutMs, signal: this.#signal });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      const reason = tellsOfLock(cause.stderr) ? "locked" : reasonNotRun(cause);
      throw new ScanError(`Cannot ${action}: ${cause.message}`, { reason, cause });
    }
  }
}

/** What a program said, if it ended with one of `codes` and said no more than is kept. */
export function answerOf(
  action: string,
  result: RunResult,
  codes: readonly number[] = [0],
): string {
  if (!codes.includes(result.code)) throw dnfFailure(action, result);
  if (!result.truncated) return result.stdout;
  throw new ScanError(`Cannot ${action}: the answer is too long`, { reason: "permanent" });
}
