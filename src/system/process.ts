/** The port that runs other programs: an argument list, never a shell. */

import { ReasonedError } from "./reasoned_error.ts";

/** Limits and environment of one run. */
export interface RunOptions {
  /** Then the program is ended with the processes it started: TERM, then KILL; on Windows at once. */
  readonly timeoutMs: number;
  /** Captured of stdout and of stderr, each; the rest is read and dropped. @default 16 MiB */
  readonly maxOutputBytes?: number;
  /** Added to the fixed environment: `PATH`, `HOME`, `LC_ALL=C.UTF-8`, and Windows' own variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends the program as the time limit does. @default only the time limit does */
  readonly signal?: AbortSignal;
}

/** The result of a program that ended by itself. */
export interface RunResult {
  /** 128 + the signal's number if a signal ended it. Windows: an HRESULT is `code >>> 0`. */
  readonly code: number;
  /** From UTF-8, up to `maxOutputBytes`. */
  readonly stdout: string;
  /** As `stdout`. */
  readonly stderr: string;
  /** Whether output was dropped at `maxOutputBytes`. */
  readonly truncated: boolean;
}

/** `denied`: no permission to run it. `timeout`, `aborted`: this process ended it. */
export type CommandErrorReason = "not_found" | "denied" | "timeout" | "aborted" | "failed";

/** A program could not be started, or did not end by itself. */
export class CommandError extends ReasonedError<CommandErrorReason> {
  /** Precedes the message in stack traces. */
  override readonly name = "CommandError";
  /** What it wrote to stderr until it was ended: this may explain what it was waiting for. */
  readonly stderr: string;

  /** `stderr` defaults to an empty text. */
  constructor(
    message: string,
    options: { reason: CommandErrorReason; cause?: unknown; stderr?: string },
  ) {
    super(message, options);
    this.stderr = options.stderr ?? "";
  }
}

/**
 * Runs `argv[0]`, an absolute path, with the rest as its arguments; stdin is empty. A non-zero exit code
 * is a result, not an error.
 *
 * @throws {CommandError}
 */
export type RunCommand = (argv: readonly string[], options: RunOptions) => Promise<RunResult>;
