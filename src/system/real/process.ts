/** Runs another program to its end, or ends it: it and what it started, within bounds. */

import { CommandError, type CommandErrorReason, type RunOptions } from "../process.ts";
import type { RunCommand, RunResult } from "../process.ts";
import { CapturedOutput } from "./captured_output.ts";
import { commandEnvironment, systemRoot } from "./command_environment.ts";
import { signalGroup } from "./process_group.ts";
import { killTree } from "./process_tree.ts";

/** Kept of each stream unless the caller says otherwise. */
const DEFAULT_MAX_OUTPUT_BYTES = 16_777_216;

/** Between asking a program to end and ending it. */
const TERM_GRACE_MS = 2_000;

/** For what is still on its way, once there is nothing more to be done about a program. */
const LAST_WORDS_MS = 1_000;

const isWindows = Deno.build.os === "windows";

/** A program that was started. */
interface Run {
  readonly child: Deno.ChildProcess;
  readonly stdout: CapturedOutput;
  readonly stderr: CapturedOutput;
}

/**
 * Runs a program in a process group of its own, so that ending it ends its children too; on Windows,
 * which has no such groups, it is ended with the processes that descend from it.
 *
 * A program that ends by itself has ended, even if something that it left behind (a service that it
 * started) still holds its output open: that is listened to for a second and then left alone.
 */
export const runRealCommand: RunCommand = async (argv, options) => {
  if (options.signal?.aborted) throw refusal(argv, "aborted", "asked to stop");
  const run = start(argv, options);
  const stop = stopRequest(options);
  try {
    const first = await Promise.race([run.child.status, stop.asked]);
    if (typeof first !== "string") return await resultOf(run, first);
    await end(run);
    const fact = first === "timeout" ? `no end within ${options.timeoutMs} ms` : "asked to stop";
    throw refusal(argv, first, fact, { stderr: run.stderr.text() });
  } finally {
    stop.forget();
    run.stdout.close();
    run.stderr.close();
  }
};

function start(argv: readonly string[], options: RunOptions): Run {
  const [program = "", ...args] = argv;
  if (!isAbsolute(program)) throw refusal(argv, "failed", "not an absolute path");
  if (argv.some((word) => word.includes("\0"))) throw refusal(argv, "failed", "a NUL in a word");
  try {
    const child = new Deno.Command(program, {
      args,
      // A folder that nobody can take away; elsewhere than the agent's own, which may be gone, or,
      // on Windows, hold a library that the program would load.
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
    throw refusal(argv, startFailure(cause), fact, { cause });
  }
}

function startFailure(error: unknown): CommandErrorReason {
  if (error instanceof Deno.errors.NotFound) return "not_found";
  if (error instanceof Deno.errors.NotADirectory) return "not_found";
  if (error instanceof Deno.errors.PermissionDenied) return "denied";
  if (error instanceof Deno.errors.NotCapable) return "denied";
  return isWindows ? windowsStartFailure(String(error)) : "failed";
}

/**
 * Deno tells of a start on Windows in words only: its own for a program that is not there, and
 * Windows' number for anything else. Refused (5), needs another's rights (740), or forbidden by a
 * policy (1260): https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes.
 */
function windowsStartFailure(message: string): CommandErrorReason {
  if (/: File not found$|\(os error [23]\)/.test(message)) return "not_found";
  return /\(os error (5|740|1260)\)/.test(message) ? "denied" : "failed";
}

/** A promise of the reason to end the program before its time, and a way to forget about it. */
function stopRequest(options: RunOptions) {
  const { promise: asked, resolve } = Promise.withResolvers<"timeout" | "aborted">();
  const timer = setTimeout(() => resolve("timeout"), options.timeoutMs);
  const abort = () => resolve("aborted");
  options.signal?.addEventListener("abort", abort);
  function forget() {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
  return { asked, forget };
}

async function resultOf(run: Run, status: Deno.CommandStatus): Promise<RunResult> {
  await atMost(outputEnded(run), LAST_WORDS_MS);
  return {
    // Deno has it that way already: 128 + the signal's number.
    code: status.code,
    stdout: run.stdout.text(),
    stderr: run.stderr.text(),
    truncated: run.stdout.truncated || run.stderr.truncated,
  };
}

/** Ends the program and what it started. Returns even if the kernel will not let them go. */
async function end(run: Run): Promise<void> {
  const gone = Promise.all([run.child.status, outputEnded(run)]);
  if (isWindows) {
    // A program without a window cannot be asked to end there.
    await killTree(run.child);
  } else {
    await signalGroup(run.child, "SIGTERM");
    await atMost(gone, TERM_GRACE_MS);
    await signalGroup(run.child, "SIGKILL");
  }
  await atMost(gone, LAST_WORDS_MS);
  run.child.unref();
}

function outputEnded(run: Run): Promise<unknown> {
  return Promise.all([run.stdout.ended, run.stderr.ended]);
}

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, over]);
  clearTimeout(timer);
}

function isAbsolute(path: string): boolean {
  return isWindows ? /^[A-Za-z]:[\\/]/.test(path) : path.startsWith("/");
}

function refusal(
  argv: readonly string[],
  reason: CommandErrorReason,
  fact: string,
  known: { cause?: unknown; stderr?: string } = {},
): CommandError {
  return new CommandError(`Cannot run "${argv[0] ?? ""}": ${fact}`, { reason, ...known });
}
