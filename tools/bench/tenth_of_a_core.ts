/** A control group of the kernel's that may use a tenth of one core, for what is started in it. */

const PERIOD_US = 100_000;

/** The group, with the file that processes are put into; it goes when it is disposed. */
export class TenthOfACore implements Disposable {
  readonly #path: string;
  /** Whoever writes its process id here is in the group. */
  readonly processes: string;

  private constructor(path: string, processes: string) {
    this.#path = path;
    this.processes = processes;
  }

  /** `null` where no such group can be made: no root's rights, or no controller for the CPU. */
  static make(): TenthOfACore | null {
    const name = `pennon-bench-${Deno.pid}`;
    const quota = `${PERIOD_US / 10}`;
    for (const root of ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"]) {
      const path = `${root}/${name}`;
      try {
        Deno.mkdirSync(path);
        const group = new TenthOfACore(path, `${path}/cgroup.procs`);
        if (root.endsWith("/cpu")) {
          Deno.writeTextFileSync(`${path}/cpu.cfs_period_us`, `${PERIOD_US}`);
          Deno.writeTextFileSync(`${path}/cpu.cfs_quota_us`, quota);
        } else Deno.writeTextFileSync(`${path}/cpu.max`, `${quota} ${PERIOD_US}`);
        return group;
      } catch {
        try {
          Deno.removeSync(path);
        } catch {
          // It was not made.
        }
      }
    }
    return null;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#path);
  }
}
