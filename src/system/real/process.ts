/** Runs another program to its end, or ends it with the processes that it started; within limits. */

import {
  CommandError,
  type CommandErrorReason,
  type RunCommand,
  type RunOptions,
  type RunResult,
} from "../process.ts";
import { commandEnvironment, isWindows, SILENT, systemRoot } from "./environment.ts";
import { isAbsence } from "./regular_file.ts";

/** Captured of stdout and of stderr, each. */
const DEFAULT_MAX_OUTPUT_BYTES = 16_777_216;

/** Between asking a program to end and killing it. */
const TERM_GRACE_MS = 2_000;

/** For output that is still on its way when a program has ended or was killed. */
const OUTPUT_GRACE_MS = 1_000;

/** `taskkill` walks the process tree once; on a busy machine that takes a second or two. */
const TASKKILL_MS = 5_000;

/** The capacity of a pipe on Linux, and so the most that one read returns. */
const READ_BYTES = 65_536;

/** Reads of a stream without a pause: most programs write no more, and end without waiting for one. */
const PROMPT_READS = 8;

/** The pause before each further read; a pipe that was full is read at once. */
const COLLECT_MS = 4;

/** Initial buffer for output; most programs write less. */
const FIRST_CAPACITY_BYTES = 16_384;

interface Run {
  readonly child: Deno.ChildProcess;
  readonly stdout: CapturedOutput;
  readonly stderr: CapturedOutput;
}

/**
 * Runs a program in a process group of its own, so that ending it ends its children too; on Windows,
 * which has no such groups, it is ended with the processes that descend from it.
 *
 * The run is over when the program has ended, even if a process that it left behind (a service that it
 * started) still holds its output open: such output is read for one more second.
 */
export const runRealCommand: RunCommand = async (argv, options) => {
  if (options.signal?.aborted) throw commandError(argv, "aborted", "asked to stop");
  const run = start(argv, options);
  const stop = stopRequest(options);
  try {
    const first = await Promise.race([run.child.status, stop.asked]);
    if (typeof first !== "string") return await resultOf(run, first);
    await terminate(run);
    const fact = first === "timeout" ? `no end within ${options.timeoutMs} ms` : "asked to stop";
    throw commandError(argv, first, fact, { stderr: run.stderr.text() });
  } finally {
    stop.cancel();
    run.stdout.close();
    run.stderr.close();
  }
};

function start(argv: readonly string[], options: RunOptions): Run {
  const [program = "", ...args] = argv;
  const isAbsolute = isWindows ? /^[A-Za-z]:[\\/]/.test(program) : program.startsWith("/");
  if (!isAbsolute) throw commandError(argv, "failed", "not an absolute path");
  if (argv.some((word) => word.includes("\0"))) {
    throw commandError(argv, "failed", "a NUL in a word");
  }
  try {
    const child = new Deno.Command(program, {
      args,
      // A directory that always exists. The agent's own may have been removed, or contain a library
      // that the program would load on Windows.
      ...(isWindows ? { cwd: `${systemRoot()}\\System32` } : { cwd: "/", detached: true }),
      clearEnv: true,
      env: { ...commandEnvironment(), ...options.environment },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const maxBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
    return {
      child,
      stdout: new CapturedOutput(child.stdout, maxBytes),
      stderr: new CapturedOutput(child.stderr, maxBytes),
    };
  } catch (cause) {
    const fact = cause instanceof Error ? cause.message : String(cause);
    throw commandError(argv, startFailure(cause), fact, { cause });
  }
}

function startFailure(error: unknown): CommandErrorReason {
  if (isAbsence(error)) return "not_found";
  if (error instanceof Deno.errors.PermissionDenied) return "denied";
  if (error instanceof Deno.errors.NotCapable) return "denied";
  return isWindows ? windowsStartFailure(String(error)) : "failed";
}

/**
 * On Windows, Deno reports a failed start in words only: its own for a missing program, and Windows'
 * number for anything else. Denied are: access denied (5), elevation required (740), and blocked by a
 * policy (1260): https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes.
 */
function windowsStartFailure(message: string): CommandErrorReason {
  if (/: File not found$|\(os error [23]\)/.test(message)) return "not_found";
  return /\(os error (5|740|1260)\)/.test(message) ? "denied" : "failed";
}

/** A promise of the reason to end the program early, and a function that cancels the waiting. */
function stopRequest(options: RunOptions) {
  const { promise: asked, resolve } = Promise.withResolvers<"timeout" | "aborted">();
  const timer = setTimeout(() => resolve("timeout"), options.timeoutMs);
  const abort = () => resolve("aborted");
  options.signal?.addEventListener("abort", abort);
  function cancel() {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
  return { asked, cancel };
}

async function resultOf(run: Run, status: Deno.CommandStatus): Promise<RunResult> {
  await waitAtMost(outputEnded(run), OUTPUT_GRACE_MS);
  return {
    // Deno reports 128 + the signal's number, as the port does.
    code: status.code,
    stdout: run.stdout.text(),
    stderr: run.stderr.text(),
    truncated: run.stdout.truncated || run.stderr.truncated,
  };
}

/** Ends the program and what it started. Returns in bounded time, even if the kernel keeps them. */
async function terminate(run: Run): Promise<void> {
  const ended = Promise.all([run.child.status, outputEnded(run)]);
  if (isWindows) {
    // Windows cannot ask a program without a window to end.
    await killTree(run.child.pid);
    signalChild(run.child, "SIGKILL");
  } else {
    await signalGroup(run.child, "SIGTERM");
    await waitAtMost(ended, TERM_GRACE_MS);
    await signalGroup(run.child, "SIGKILL");
  }
  await waitAtMost(ended, OUTPUT_GRACE_MS);
  run.child.unref();
}

function outputEnded(run: Run): Promise<unknown> {
  return Promise.all([run.stdout.ended, run.stderr.ended]);
}

async function waitAtMost(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}

function commandError(
  argv: readonly string[],
  reason: CommandErrorReason,
  fact: string,
  known: { cause?: unknown; stderr?: string } = {},
): CommandError {
  return new CommandError(`Cannot run "${argv[0] ?? ""}": ${fact}`, { reason, ...known });
}

/**
 * Sends `signal` to the process group that `child` leads; a group that has ended is no error.
 *
 * `Deno.kill` requires the permission to run any program, which the executable does not have. It uses
 * the system's `kill`, one of the few programs that it may run; where that is absent, the signal
 * reaches the child alone.
 */
async function signalGroup(child: Deno.ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  try {
    Deno.kill(-child.pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) return;
    if (!await runKill(child.pid, signal)) signalChild(child, signal);
  }
}

/**
 * Whether the signal was sent; `false` too if the group has ended. The signal is the first argument, as
 * an option of its own: after `-s KILL`, procps' program takes the group's `-N` for a signal if one has
 * that number, and sends nothing.
 */
async function runKill(groupId: number, signal: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("/bin/kill", {
      args: [`-${signal.slice("SIG".length)}`, "--", `-${groupId}`],
      ...SILENT,
    }).output();
    return success;
  } catch {
    return false;
  }
}

function signalChild(child: Deno.ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    child.kill(signal);
  } catch {
    // It ended before the signal came.
  }
}

/**
 * On Windows, ends the process and its descendants, where `taskkill` can; returns in bounded time.
 *
 * The tree is known by parent process ids and is lost with its root, so the children are ended first
 * or together: https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/taskkill.
 * A process whose parent has ended before belongs to no tree, and stays.
 */
async function killTree(processId: number): Promise<void> {
  try {
    const taskkill = new Deno.Command(`${systemRoot()}\\System32\\taskkill.exe`, {
      args: ["/T", "/F", "/PID", String(processId)],
      ...SILENT,
      env: commandEnvironment(),
    }).spawn();
    await waitAtMost(taskkill.status, TASKKILL_MS);
    taskkill.unref();
  } catch {
    // It is absent or must not be run: the child alone is ended.
  }
}

/** One output stream of a running program: reads all of it, so that it never blocks the program. */
export class CapturedOutput {
  /** Resolves when the stream has ended or was closed; never rejects. */
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #maxBytes: number;
  #bytes = new Uint8Array(FIRST_CAPACITY_BYTES);
  #sizeBytes = 0;
  #truncated = false;

  /** Stores the first `maxBytes` and drops the rest. */
  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#maxBytes = maxBytes;
    this.ended = this.#read();
  }

  /** Whether output was dropped. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** What was stored, as UTF-8; an invalid byte becomes U+FFFD. */
  text(): string {
    return new TextDecoder().decode(this.#bytes.subarray(0, this.#sizeBytes));
  }

  /** Stops reading. */
  close(): void {
    this.#reader.cancel().catch(() => {});
  }

  /**
   * Lends one buffer to all reads: a program may write a million lines, each in a piece. A read costs as
   * much CPU for a line as for a full pipe, so after the first few it lets the pipe collect lines.
   */
  async #read(): Promise<void> {
    try {
      let buffer = new Uint8Array(READ_BYTES);
      for (let reads = 1;; reads += 1) {
        const { value, done } = await this.#reader.read(buffer);
        if (done) return;
        this.#append(value);
        buffer = new Uint8Array(value.buffer);
        if (reads >= PROMPT_READS && value.length < READ_BYTES) {
          await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
        }
      }
    } catch {
      // A pipe that breaks has ended.
    }
  }

  #append(piece: Uint8Array): void {
    const fitting = piece.subarray(0, this.#maxBytes - this.#sizeBytes);
    if (fitting.length < piece.length) this.#truncated = true;
    const sizeBytes = this.#sizeBytes + fitting.length;
    if (sizeBytes > this.#bytes.length) this.#grow(sizeBytes);
    this.#bytes.set(fitting, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  #grow(leastBytes: number): void {
    const larger = new Uint8Array(Math.max(leastBytes, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#sizeBytes));
    this.#bytes = larger;
  }
}
