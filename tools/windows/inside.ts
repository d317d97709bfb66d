/**
 * Runs programs in the Windows place, in namespaces of their own: with the last process there go all
 * others, and every mount, however this process ends.
 */

import { fileURLToPath } from "node:url";

/** The project's folder, on this host. */
export const PROJECT: string = fileURLToPath(new URL("../../", import.meta.url));

const ENTER = fileURLToPath(new URL("enter.sh", import.meta.url));

/** A program that was started there. */
export interface Inside {
  readonly argv: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
  /** Its output goes here instead of to ours. */
  readonly logFile?: string;
  readonly timeoutMs: number;
}

/** Programs that are running there, to be ended with us. */
const running = new Set<Deno.ChildProcess>();

/** Runs `program` in the place at `root`, to its end or its time's; answers its exit code. */
export async function runInside(root: string, program: Inside): Promise<number> {
  return await runAlone(["/bin/sh", ENTER, root, PROJECT, ...program.argv], program);
}

/** Runs a program of this host in namespaces of its own, where it may mount what it likes. */
export async function runAlone(argv: readonly string[], program: Inside): Promise<number> {
  const log = program.logFile
    ? await Deno.open(program.logFile, { write: true, create: true, append: true })
    : undefined;
  const child = new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "--kill-child", ...argv],
    clearEnv: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...program.environment },
    stdin: "null",
    stdout: log ? "piped" : "inherit",
    stderr: log ? "piped" : "inherit",
  }).spawn();
  running.add(child);
  const timer = setTimeout(() => kill(child), program.timeoutMs);
  try {
    if (log) {
      await Promise.all([
        child.stdout.pipeTo(log.writable, { preventClose: true }),
        drain(child.stderr, log),
      ]);
    }
    return (await child.status).code;
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

/** Ends all that runs there, now. */
export function endAllInside(): void {
  for (const child of running) kill(child);
}

async function drain(stream: ReadableStream<Uint8Array>, log: Deno.FsFile): Promise<void> {
  for await (const chunk of stream) await log.write(chunk);
}

/** Kills `unshare`, and the kernel what it started. */
function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}
