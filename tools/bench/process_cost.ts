/** What a process has cost so far, as the Linux kernel counts it in `/proc`. */

/** One look at a process. */
export interface ProcessCost {
  /** When it was taken, on a clock that never goes back. */
  readonly atMs: number;
  /** User and system time of all its threads, and of the children that it has waited for. */
  readonly cpuMs: number;
  /** Its own memory (RssAnon): what nobody else has a copy of. */
  readonly ownBytes: number;
  /** With the pages of its executable, which the system may drop and share. */
  readonly residentBytes: number;
}

/** The kernel counts in hundredths of a second here, whatever it runs at (USER_HZ). */
const TICK_MS = 10;

/** Looks at a process; rejects if it is gone, or this is no Linux. */
export async function costOf(processId: number): Promise<ProcessCost> {
  const stat = await Deno.readTextFile(`/proc/${processId}/stat`);
  const status = await Deno.readTextFile(`/proc/${processId}/status`);
  // The second field is a name in brackets, which may hold anything: count from behind it. It is
  // followed by field 3; utime, stime, cutime and cstime are fields 14 to 17 (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + field, 0);
  return {
    atMs: performance.now(),
    cpuMs: ticks * TICK_MS,
    ownBytes: bytesOf(status, "RssAnon"),
    residentBytes: bytesOf(status, "VmRSS"),
  };
}

/** CPU time of the threads that a process has now, in ms; exact, unlike `costOf`'s. */
export async function threadsCpuMs(processId: number): Promise<number> {
  let ns = 0;
  for await (const { name } of Deno.readDir(`/proc/${processId}/task`)) {
    const times = await Deno.readTextFile(`/proc/${processId}/task/${name}/schedstat`);
    ns += Number(times.split(" ")[0]);
  }
  return ns / 1e6;
}

/** How often the threads of a process have given up their core to wait for something. */
export async function wakeUps(processId: number): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(`/proc/${processId}/task`)) {
    const status = await Deno.readTextFile(`/proc/${processId}/task/${name}/status`);
    count += Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1] ?? NaN);
  }
  return count;
}

/** Part of one core that was used between two looks, in percent. */
export function cpuPercent(before: ProcessCost, after: ProcessCost): number {
  return 100 * (after.cpuMs - before.cpuMs) / (after.atMs - before.atMs);
}

function bytesOf(status: string, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`Cannot measure: the kernel tells no ${name}`);
  return Number(kibibytes) * 1_024;
}
