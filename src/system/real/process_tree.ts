/** Ends a child on Windows with all that it started: there are no process groups, but a tree. */

import { commandEnvironment, systemRoot } from "./command_environment.ts";

/**
 * For Windows' own program to end them all. It walks the tree once; on a busy machine that takes a
 * second or two.
 */
const TASKKILL_MS = 5_000;

/**
 * Ends `child` and its descendants, or at least `child`, and then returns, in bounded time.
 *
 * The tree is known by who started whom, and is lost with its root, so the children go first or at
 * once: https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/taskkill.
 * One whose parent has ended before is in no tree any more, and stays.
 */
export async function killTree(child: Deno.ChildProcess): Promise<void> {
  await runTaskkill(child.pid);
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

async function runTaskkill(processId: number): Promise<void> {
  try {
    const taskkill = new Deno.Command(`${systemRoot()}\\System32\\taskkill.exe`, {
      args: ["/T", "/F", "/PID", String(processId)],
      clearEnv: true,
      env: commandEnvironment(),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const { promise: tooLong, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, TASKKILL_MS);
    await Promise.race([taskkill.status, tooLong]);
    clearTimeout(timer);
    taskkill.unref();
  } catch {
    // Absent, or not ours to run: then the child alone is ended.
  }
}
