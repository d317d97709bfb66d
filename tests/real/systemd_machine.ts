/** A Debian that boots with its own systemd in a container, on an overlay that goes with it. */

import { Program } from "../../tools/program.ts";
import { until } from "./until.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Where it finds the executable under test. */
const PROGRAM = "/usr/local/bin/pennon";
const BOOT_MS = 60_000;

/** The result of a program in the machine, or on this host. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(argv: readonly string[]): Promise<Outcome> {
  const [program = "", ...args] = argv;
  const { code, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

async function mustRun(argv: readonly string[]): Promise<string> {
  const { code, out, err } = await run(argv);
  if (code !== 0) throw new Error(`Cannot run ${argv.join(" ")}: ${code}: ${err}`);
  return out;
}

/** Disposing of it ends the machine and removes what it wrote. */
export class Machine implements AsyncDisposable {
  /** Its root directory, as this host sees it. */
  readonly root: string;
  readonly #folder: string;
  readonly #executable: string | null;
  #nspawn: Program | undefined;
  #leader = "";

  private constructor(folder: string, executable: string | null) {
    this.#folder = folder;
    this.#executable = executable;
    this.root = `${folder}/root`;
  }

  /**
   * A machine on the Debian in `lower` that has not booted yet, with the agent's executable in it;
   * `null`: a package brings it.
   */
  static async create(lower: string, executable: string | null): Promise<Machine> {
    const folder = await Deno.makeTempDir({ prefix: "pennon-systemd-", dir: "/var/tmp" });
    const machine = new Machine(folder, executable);
    // 0755, whatever the umask: the root of a system.
    for (const name of ["upper", "work", "root"]) {
      await Deno.mkdir(`${folder}/${name}`);
      await Deno.chmod(`${folder}/${name}`, 0o755);
    }
    const layers = `lowerdir=${lower},upperdir=${folder}/upper,workdir=${folder}/work`;
    await mustRun(["mount", "-t", "overlay", "overlay", "-o", layers, machine.root]);
    // What Debian does at midnight, or a quarter of an hour after the boot, is no part of any test.
    await Deno.symlink("/dev/null", `${machine.root}/etc/systemd/system/timers.target`);
    if (executable !== null) await Deno.writeTextFile(`${machine.root}${PROGRAM}`, "");
    return machine;
  }

  /** Resolves when systemd says that it runs; how long that took, in ms. */
  async boot(): Promise<number> {
    const startMs = performance.now();
    const options = ["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"];
    this.#nspawn = new Program({
      argv: [
        // It ends with the test, however that ends.
        ...["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "-D", this.root] as const,
        ...options,
        `--machine=pennon-${crypto.randomUUID().slice(0, 8)}`,
        ...this.#executable === null ? [] : [`--bind-ro=${this.#executable}:${PROGRAM}`],
      ],
    });
    const nspawn = String(this.#nspawn.processId);
    this.#leader = await until("leader", async () => {
      const { out } = await run(["pgrep", "-P", nspawn]);
      return out.trim().split("\n")[0] || undefined;
    }, BOOT_MS);
    await until("boot", async () => {
      const { out } = await this.run("systemctl", "is-system-running");
      return /^(running|degraded)$/m.test(out);
    }, BOOT_MS);
    return performance.now() - startMs;
  }

  /** Runs a program as its root, with the environment of a login. */
  async run(...argv: readonly string[]): Promise<Outcome> {
    const enter = ["nsenter", "-t", this.#leader, "-a", "-r", "-w"];
    return await run([...enter, "env", "-i", `PATH=${PATH}`, "HOME=/root", ...argv]);
  }

  /** As `run()`, for a program that must succeed; answers what it printed. */
  async ask(...argv: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(...argv);
    if (code !== 0) throw new Error(`Cannot run ${argv.join(" ")}: ${code}: ${out}${err}`);
    return out;
  }

  /** A property of the agent's unit. */
  async property(name: string): Promise<string> {
    return (await this.ask("systemctl", "show", "pennon", "--value", "-p", name)).trim();
  }

  async powerOff(): Promise<void> {
    if (this.#nspawn === undefined) return;
    await this.run("systemctl", "poweroff");
    const timer = setTimeout(() => this.#nspawn?.stop("SIGKILL"), 20_000);
    await this.#nspawn.ended;
    clearTimeout(timer);
    this.#nspawn = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerOff();
    await run(["umount", this.root]);
    await Deno.remove(this.#folder, { recursive: true });
  }
}
