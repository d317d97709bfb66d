/**
 * Runs programs in namespaces of their own: with the last process there go all others, and every
 * mount, however this process ends.
 */

/** How a program is run so. */
export interface AloneOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Its output goes here instead of to ours. */
  readonly logFile?: string;
  readonly timeoutMs: number;
}

/** Programs that are running there, to be ended with us. */
const running = new Set<Deno.ChildProcess>();

/**
 * Runs a program of this host in namespaces of its own, where it may mount what it likes, to its end or
 * its time's; answers its exit code.
 */
export async function runAlone(
  argv: readonly string[],
  { environment, logFile, timeoutMs }: AloneOptions,
): Promise<number> {
  const log = logFile
    ? await Deno.open(logFile, { write: true, create: true, append: true })
    : undefined;
  const child = new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "--kill-child", ...argv],
    clearEnv: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...environment },
    stdin: "null",
    stdout: log ? "piped" : "inherit",
    stderr: log ? "piped" : "inherit",
  }).spawn();
  running.add(child);
  const timer = setTimeout(() => kill(child), timeoutMs);
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
export function endAllAlone(): void {
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
