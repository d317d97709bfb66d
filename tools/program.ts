/** A program of the demo's or a test's, running: its lines as they come, and its end. */

import { fileURLToPath } from "node:url";

/** How to start one. */
export interface ProgramOptions {
  /** The program's file, and its arguments. */
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its stdin, which is then closed; `null`: nothing, and it stays open. */
  readonly input?: string | null;
  onLine?(line: string, stream: "stdout" | "stderr"): void;
}

const ROOT = new URL("../", import.meta.url);

/** The command that runs a script of this repository, on the very Deno that runs us. */
export function script(path: string, ...args: string[]): [string, ...string[]] {
  const flags = ["run", "--quiet", "--no-prompt", "--frozen", "-A"];
  return [Deno.execPath(), ...flags, fileURLToPath(new URL(path, ROOT)), ...args];
}

/** A child process; whoever starts it stops it. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<Deno.CommandStatus>;
  #waiters: { matches: (line: string) => boolean; resolve: (line: string) => void }[] = [];

  constructor(options: ProgramOptions) {
    const [file, ...args] = options.argv;
    this.#child = new Deno.Command(file, {
      args,
      cwd: ROOT,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = ["stdout", "stderr"] as const;
    const reading = read.map((stream) => this.#read(stream, options.onLine));
    this.#ended = Promise.all([this.#child.status, ...reading]).then(([status]) => status);
    if (options.input !== null) this.#feed(options.input ?? "");
    else this.#ended.finally(() => this.#child.stdin.close().catch(() => {}));
  }

  /** Everything printed so far, both streams. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get processId(): number {
    return this.#child.pid;
  }

  get ended(): Promise<Deno.CommandStatus> {
    return this.#ended;
  }

  /** The first line that matches, printed already or yet to come; rejects if it ends without one. */
  async waitFor(what: string, matches: (line: string) => boolean): Promise<string> {
    const known = this.#lines.find(matches);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiters.push({ matches, resolve });
    const early = this.#ended.then(({ code }) => {
      const tail = this.#lines.slice(-5).join("\n");
      throw new Error(`Cannot wait for ${what}: the program ended with ${code}\n${tail}`);
    });
    early.catch(() => {}); // It matters only while it is waited for.
    return await Promise.race([promise, early]);
  }

  /** Asks it to stop, as Ctrl-C or systemd would, and waits until it has. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await this.#ended;
  }

  async #feed(input: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
    } catch {
      // It did not want its input.
    }
  }

  async #read(
    stream: "stdout" | "stderr",
    onLine: ProgramOptions["onLine"],
  ): Promise<void> {
    let rest = "";
    for await (const text of this.#child[stream].pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        this.#lines.push(line);
        onLine?.(line, stream);
        for (const waiter of this.#waiters) if (waiter.matches(line)) waiter.resolve(line);
      }
    }
  }
}
