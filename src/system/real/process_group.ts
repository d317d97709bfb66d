/**
 * Sends a signal to a child and to all that it started, with the permissions that there are. On
 * Windows `real/process_tree.ts` does that.
 */

/**
 * Sends `signal` to the process group that `child` leads; one that is gone already is no error.
 *
 * `Deno.kill` wants the right to run anything at all, which the executable does not have. There the
 * system's `kill` does it, one of the few programs it may run; where that is absent, the signal
 * reaches the child alone.
 */
export async function signalGroup(
  child: Deno.ChildProcess,
  signal: "SIGTERM" | "SIGKILL",
): Promise<void> {
  try {
    Deno.kill(-child.pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) return;
    if (!await runKill(child.pid, signal)) signalChild(child, signal);
  }
}

/**
 * Whether it was sent; `false` too where the group is gone. The signal comes first and as an option of
 * its own: after `-s KILL`, procps' program takes the group's `-N` for a signal where there is one of
 * that number, and sends nothing.
 */
async function runKill(groupId: number, signal: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("/bin/kill", {
      args: [`-${signal.slice("SIG".length)}`, "--", `-${groupId}`],
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
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
