/** A reference server and a real `pennon` for a test: the executable if `PENNON_EXECUTABLE` names one. */

import { assertEquals } from "@std/assert";
import { Program, script } from "../../tools/program.ts";
import { type RefserverOptions, startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";

/** The executable under test; without one the same program runs from source. */
export const EXECUTABLE: string | undefined = Deno.env.get("PENNON_EXECUTABLE");

export const TOKEN = "a-registration-token";

// The program under test warns of variables that are no settings of its own.
Deno.env.delete("PENNON_EXECUTABLE");

/** The age of the server for tests that hold for both; those of one age name it themselves. */
export const AGE: "0.1" | "0.2" = Deno.env.get("PENNON_AGE") === "0.2" ? "0.2" : "0.1";
Deno.env.delete("PENNON_AGE");

/** Times so short that a test sees in seconds what takes minutes. */
const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"
[backoff]
base = "400ms"
cap = "1600ms"
floor = "100ms"
[breaker]
consecutive_failures = 3
min_open = "1s"
max_open = "2s"
[scanners]
enabled = ["apt"]
`;

/** Every wait of a test's ends after this: a report that had no answer again waits for a minute. */
export const PATIENCE_MS = 100_000;

/**
 * Starts a server again on a port that it had. While it was closed, the system may have given the port to
 * a connection of another test: this waits until that is closed.
 */
export async function restartRefserver(options: RefserverOptions): Promise<Refserver> {
  const endMs = performance.now() + PATIENCE_MS;
  while (true) {
    try {
      return await startRefserver(options);
    } catch (error) {
      const isInUse = error instanceof Deno.errors.AddrInUse;
      if (!isInUse || performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** What came of a command that ran to its end. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One host and one server, in a folder of their own. */
export class Host {
  readonly server: Refserver;
  readonly folder: string;
  readonly #programs: Program[] = [];

  constructor(server: Refserver, folder: string) {
    this.server = server;
    this.folder = folder;
  }

  get stateDirectory(): string {
    return `${this.folder}/state`;
  }

  /** Runs a command to its end. */
  async pennon(words: readonly string[], input = ""): Promise<Ended> {
    return await runToEnd(
      `pennon ${words.join(" ")}`,
      (onLine) => this.start(words, { input, onLine }),
    );
  }

  /** Starts a command that goes on. */
  start(
    words: readonly string[],
    options: {
      input?: string;
      onLine?: (line: string, stream: "stdout" | "stderr") => void;
      wrap?: readonly [string, ...string[]];
      /** A program of the test's own, from source, in place of `pennon`. */
      instead?: string;
    } = {},
  ): Program {
    const { wrap, instead, ...rest } = options;
    const own = ["--state-dir", this.stateDirectory, "--config", `${this.folder}/config.toml`];
    const command: [string, ...string[]] = instead !== undefined || EXECUTABLE === undefined
      ? script(instead ?? "main.ts", ...words, ...own)
      : [EXECUTABLE, ...words, ...own];
    const program = new Program({ argv: wrap ? [...wrap, ...command] : command, ...rest });
    this.#programs.push(program);
    return program;
  }

  async register(): Promise<void> {
    const words = ["register", "--server", this.server.url, "--token", "-"];
    const { code, err } = await this.pennon(words, TOKEN);
    if (code !== 0) throw new Error(`Cannot register: ${err}`);
  }

  /** The agent, running. */
  run(): Program {
    return this.start(["run", "--log-format", "json", "--log-level", "debug"]);
  }

  /** Waits until the server's state is as wanted. */
  async until(what: string, isReached: (host: Host) => boolean): Promise<void> {
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 50) {
      if (isReached(this)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const said = this.#programs.flatMap(({ lines }) => lines.slice(-20)).join("\n");
    throw new Error(`Cannot go on: still no ${what}\n${said}`);
  }

  /** The log of a command, as the server has it. */
  logOf(commandId: string) {
    return this.server.state().logs.find((log) => log.command_id === commandId);
  }

  checkIns(): number {
    return this.server.state().requests.filter(({ path }) => path.endsWith("/commands")).length;
  }

  /** Ends every program that still runs, as `kill -9` would. */
  async stopAll(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop("SIGKILL")));
  }

  async end(): Promise<void> {
    await this.stopAll();
    await this.server.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Plays a story on a host and a server of its own, and leaves nothing behind. */
export async function onHost(
  story: (host: Host) => Promise<void>,
  options: RefserverOptions & { config?: string } = {},
): Promise<void> {
  const { config = "", ...serverOptions } = options;
  const server = await startRefserver({
    age: AGE,
    registrationTokens: [TOKEN],
    checkInIntervalS: 10,
    limits: { agent: 0, register: 0, public: 0 },
    ...serverOptions,
  });
  // In its first minute a server of 0.2 allows half as much.
  if (options.age === undefined && AGE === "0.2") server.advance(60_000);
  const folder = await Deno.makeTempDir({ prefix: "pennon-e2e-" });
  await Deno.writeTextFile(`${folder}/config.toml`, CONFIG + config);
  const host = new Host(server, folder);
  try {
    await story(host);
  } finally {
    await host.end();
  }
}

/**
 * Plays a story on a host that is enrolled at a server which is no longer young, and whose clock stands still:
 * RedFlag 0.2, which sees nothing to punish.
 */
export function onHost02(story: (host: Host) => Promise<void>): Promise<void> {
  return onHost(async (host) => {
    host.server.advance(60_000);
    await host.register();
    await story(host);
    assertEquals(host.server.state().violations, []);
  }, { age: "0.2" });
}

/** One cycle of the agent: a check-in, its commands, their results. */
export async function once(host: Host): Promise<Ended> {
  return await host.pennon(["run", "--once", "--log-format", "json", "--log-level", "debug"]);
}

/** Waits for the end of a program that `start` starts with this reader of its lines; returns what it printed. */
export async function runToEnd(
  what: string,
  start: (onLine: (line: string, stream: "stdout" | "stderr") => void) => Program,
): Promise<Ended> {
  let out = "";
  let err = "";
  const program = start((line, stream) => {
    if (stream === "stdout") out += `${line}\n`;
    else err += `${line}\n`;
  });
  const { code } = await within(program.ended, what);
  return { code, out, err };
}

/** Rejects if a promise takes longer than a test's patience. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Cannot wait longer for ${what}`)), PATIENCE_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
