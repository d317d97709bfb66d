/** The reference server in a process of its own, which a test can freeze; and commands against it. */

import { Program, script } from "../../tools/program.ts";
import type { RefserverState } from "../../tools/refserver/server.ts";
import { AGE, EXECUTABLE, PATIENCE_MS, TOKEN, within } from "./harness.ts";
import { pause } from "./outage.ts";

export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #program: Program;
  readonly #control: string;

  private constructor(program: Program, ready: { port: number; controlPort: number }) {
    this.#program = program;
    this.url = `http://127.0.0.1:${ready.port}`;
    this.#control = `http://127.0.0.1:${ready.controlPort}/debug`;
  }

  static async start(): Promise<ServerProcess> {
    const program = new Program({
      argv: script(
        "tools/refserver/main.ts",
        ...["--age", AGE, "--registration-token", TOKEN, "--check-in-interval-s", "10"],
        ...["--limit-agent", "0", "--limit-register", "0", "--limit-public", "0"],
      ),
    });
    const first = program.waitFor("the server", (line) => line.startsWith("{"));
    return new ServerProcess(program, JSON.parse(await within(first, "the server")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop("SIGKILL");
  }

  /** From here on the kernel takes connections and bytes, and nobody answers. */
  freeze(): void {
    Deno.kill(this.#program.processId, "SIGSTOP");
  }

  thaw(): void {
    Deno.kill(this.#program.processId, "SIGCONT");
  }

  async state(): Promise<RefserverState> {
    return await (await fetch(`${this.#control}/state`)).json();
  }

  /** Sets a fault, queues a command: a POST to the control port, and what it answers. */
  async ask(what: string, body: unknown = {}): Promise<{ id: string }> {
    const answer = await fetch(`${this.#control}/${what}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    return await answer.json();
  }

  /** Waits until its state is as wanted, and answers it. */
  async until(
    what: string,
    isReached: (state: RefserverState) => boolean,
  ): Promise<RefserverState> {
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 50) {
      const state = await this.state();
      if (isReached(state)) return state;
      await pause(50);
    }
    throw new Error(`Cannot go on: still no ${what}`);
  }
}

/** Starts a command of the program under test on a folder of its own. */
export function startPennon(
  folder: string,
  words: readonly string[],
  options: { input?: string | null; wrap?: readonly [string, ...string[]] } = {},
): Program {
  const { wrap, ...rest } = options;
  const own = ["--state-dir", `${folder}/state`, "--config", `${folder}/config.toml`];
  const argv: [string, ...string[]] = EXECUTABLE === undefined
    ? script("main.ts", ...words, ...own)
    : [EXECUTABLE, ...words, ...own];
  return new Program({ argv: wrap ? [...wrap, ...argv] : argv, ...rest });
}
