/** The agent under measurement: a real one, polling rapidly against a reference server of its own. */

import { Program, script } from "../program.ts";
import { startRefserver } from "../refserver/refserver.ts";
import type { Refserver } from "../refserver/server.ts";

const REGISTRATION_TOKEN = "bench-registration-token";

/** Every wait ends so long after the last sign of life; something is broken then. */
const PATIENCE_MS = 30_000;

/** How an agent is started. */
export interface BenchAgentOptions {
  /** `null`: the program from source. */
  readonly executable: string | null;
  /** Between two check-ins, as the configuration has it: `5s`. */
  readonly rapidInterval: string;
}

export class BenchAgent implements AsyncDisposable {
  readonly #server: Refserver;
  readonly #folder: string;
  readonly #options: BenchAgentOptions;
  #program: Program | undefined;

  private constructor(server: Refserver, folder: string, options: BenchAgentOptions) {
    this.#server = server;
    this.#folder = folder;
    this.#options = options;
  }

  /** One that is registered, polls rapidly and has told its first facts. */
  static async start(options: BenchAgentOptions): Promise<BenchAgent> {
    const server = await startRefserver({
      registrationTokens: [REGISTRATION_TOKEN],
      limits: { agent: 0, register: 0, public: 0 },
    });
    const folder = await Deno.makeTempDir({ prefix: "pennon-bench-" });
    const agent = new BenchAgent(server, folder, options);
    try {
      await agent.#begin();
      return agent;
    } catch (error) {
      await agent[Symbol.asyncDispose]();
      throw error;
    }
  }

  get processId(): number {
    if (!this.#program) throw new Error("Cannot measure: no agent was started");
    return this.#program.processId;
  }

  /** Where its server listens. */
  get serverUrl(): string {
    return this.#server.url;
  }

  /** How often it has checked in. */
  get checkIns(): number {
    const { requests } = this.#server.state();
    return requests.filter(({ path }) => path.endsWith("/commands")).length;
  }

  /** Waits until it has checked in so often. */
  async untilCheckIns(count: number): Promise<void> {
    let known = this.checkIns;
    for (let waitedMs = 0; known < count; waitedMs += 250) {
      if (waitedMs >= PATIENCE_MS) throw this.#stuck(`${count} check-ins`);
      await pause(250);
      const now = this.checkIns;
      if (now > known) waitedMs = 0;
      known = now;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.stop("SIGKILL");
    await this.#server.close();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #begin(): Promise<void> {
    const { rapidInterval } = this.#options;
    const config = `[polling]\nrapid_interval = "${rapidInterval}"\nstart_spread = "0s"\n`;
    await Deno.writeTextFile(`${this.#folder}/config.toml`, config);
    const words = ["register", "--server", this.#server.url, "--token", "-"];
    const registering = this.#pennon(words, REGISTRATION_TOKEN);
    const { code } = await registering.ended;
    if (code !== 0) throw new Error(`Cannot register: ${registering.lines.join("\n")}`);
    const params = { duration_minutes: 60 };
    const id = this.#server.queueCommand({ type: "enable_heartbeat", params });
    this.#program = this.#pennon(["run"]);
    const isSettled = () => {
      const { logs, systemInfo } = this.#server.state();
      return systemInfo.length > 0 && logs.some(({ command_id }) => command_id === id);
    };
    for (let waitedMs = 0; !isSettled(); waitedMs += 100) {
      if (waitedMs >= PATIENCE_MS) throw this.#stuck("word of rapid polling");
      await pause(100);
    }
  }

  #pennon(words: readonly string[], input = ""): Program {
    const { executable } = this.#options;
    const folder = this.#folder;
    const own = ["--state-dir", `${folder}/state`, "--config", `${folder}/config.toml`];
    const argv: [string, ...string[]] = executable === null
      ? script("main.ts", ...words, ...own)
      : [executable, ...words, ...own];
    return new Program({ argv, input });
  }

  #stuck(what: string): Error {
    const said = this.#program?.lines.slice(-5).join("\n") ?? "";
    return new Error(`Cannot measure: still no ${what}\n${said}`);
  }
}

/** The executable as the build made it; `null`: there is none yet. */
export async function findExecutable(): Promise<string | null> {
  const { pathname } = new URL("../../dist/pennon-linux-x64", import.meta.url);
  try {
    await Deno.stat(pathname);
    return pathname;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
