/** A program of the demo's, running: its lines as they come, and its end. */

/** How to start one. */
export interface ProgramOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its stdin, which is then closed. */
  readonly input?: string;
  onLine?(line: string, stream: "stdout" | "stderr"): void;
}

const ROOT = new URL("../../", import.meta.url);

/** A child process that is always ended before the demo is. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<Deno.CommandStatus>;
  #waiters: { matches: (line: string) => boolean; resolve: (line: string) => void }[] = [];

  constructor(options: ProgramOptions) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "-A", ...options.args],
      cwd: ROOT,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = ["stdout", "stderr"] as const;
    const reading = read.map((stream) => this.#read(stream, options.onLine));
    this.#ended = Promise.all([this.#child.status, ...reading]).then(([status]) => status);
    this.#feed(options.input ?? "");
  }

  /** Everything printed so far. */
  get lines(): readonly string[] {
    return this.#lines;
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
