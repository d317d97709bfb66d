/** Running another program, as a port: an argument list, never a shell. */

/** Bounds on one run. */
export interface RunOptions {
  /** After this the program is ended with what it started: TERM, then KILL; on Windows at once. */
  readonly timeoutMs: number;
  /** Kept of stdout and of stderr, each; the rest is read and dropped. @default 16 MiB */
  readonly maxOutputBytes?: number;
  /** Added to the fixed environment (`PATH`, `HOME`, `LC_ALL=C.UTF-8`, and nothing else; on Windows its folders too). */
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** How a program ended by itself, whatever it said. */
export interface RunResult {
  /**
   * The exit code; 128 + the signal's number where a signal ended it. On Windows an HRESULT comes as
   * a negative number: `code >>> 0` is what its tables have.
   */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether output was dropped at `maxOutputBytes`. */
  readonly truncated: boolean;
}

/** `not_found`: no such program. `denied`: not ours to run. `timeout`, `aborted`: ended by us. */
export type CommandErrorReason =
  | "not_found"
  | "denied"
  | "timeout"
  | "aborted"
  | "failed";

/** A program that could not be run to its own end. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly reason: CommandErrorReason;
  /** What it had said on stderr until it was ended: what it was waiting for, perhaps. */
  readonly stderr: string;

  constructor(
    message: string,
    options: { reason: CommandErrorReason; cause?: unknown; stderr?: string },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
    this.stderr = options.stderr ?? "";
  }
}

/**
 * Runs `argv[0]`, an absolute path, with the rest as its arguments; stdin is empty. Throws
 * `CommandError` if it could not be run to its end: a non-zero code is a result, not an error.
 */
export type RunCommand = (
  argv: readonly string[],
  options: RunOptions,
) => Promise<RunResult>;
