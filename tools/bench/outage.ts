/**
 * `deno task bench:outage`: how soon real agents in rapid polling are back after their server was
 * killed, and after its database was away, and what they sent into the outage.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program, script } from "../program.ts";
import type { RefserverState } from "../refserver/server.ts";
import { type OutageRow, outageText } from "./outage_figures.ts";
import { median, percentileOf } from "./statistics.ts";

const TOKEN = "bench-registration-token";

/** After the end of an outage; who is not back by then never is. */
const PATIENCE_MS = 120_000;

interface Options {
  readonly executable: string;
  readonly agents: number;
  readonly killMs: number;
  readonly databaseMs: number;
}

/** The reference server as a process that can be killed and started again on what it had stored. */
class Server {
  #program: Program | null = null;
  #control = "";
  port = 0;

  constructor(readonly folder: string) {}

  async start(): Promise<void> {
    const program = new Program({
      argv: script(
        "tools/refserver/main.ts",
        ...["--registration-token", TOKEN, "--data", `${this.folder}/server.sqlite`],
        ...["--port", String(this.port), "--limit-register", "0", "--limit-public", "0"],
      ),
    });
    const ready = await program.waitFor("the server", (line) => line.startsWith("{"));
    const { port, controlPort } = JSON.parse(ready);
    this.#program = program;
    this.port = port;
    this.#control = `http://127.0.0.1:${controlPort}/debug`;
  }

  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
    this.#program = null;
  }

  async state(): Promise<RefserverState> {
    return await (await fetch(`${this.#control}/state`)).json();
  }

  async ask(what: string, body: unknown): Promise<void> {
    const answer = await fetch(`${this.#control}/${what}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`Cannot ask for ${what}: ${await answer.text()}`);
    await answer.body?.cancel();
  }
}

/** What one line of an agent's log says. */
interface Told {
  readonly atMs: number;
  readonly message: string;
  readonly attempts?: number;
}

/** One agent, and what it has logged. */
class Agent {
  readonly #folder: string;
  readonly #executable: string;
  readonly #told: Told[] = [];
  #program: Program | null = null;

  constructor(executable: string, folder: string) {
    this.#executable = executable;
    this.#folder = folder;
  }

  async register(url: string): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true });
    await Deno.writeTextFile(
      `${this.#folder}/config.toml`,
      '[polling]\nstart_spread = "5s"\n[scanners]\nenabled = []\n',
    );
    const program = this.#start(["register", "--server", url, "--token", "-"], TOKEN);
    const { code } = await program.ended;
    if (code !== 0) throw new Error(`Cannot register: ${program.lines.join(" ")}`);
  }

  run(): void {
    this.#program = this.#start(["run", "--log-format", "json"], "");
  }

  async stop(): Promise<void> {
    await this.#program?.stop("SIGTERM");
  }

  /** The recovery logged first after an instant. */
  recoveredAfter(ms: number): Told | undefined {
    return this.#told.find(({ atMs, message }) => atMs >= ms && message === "connection recovered");
  }

  #start(words: readonly string[], input: string): Program {
    const own = ["--state-dir", `${this.#folder}/state`, "--config", `${this.#folder}/config.toml`];
    return new Program({
      argv: [this.#executable, ...words, ...own],
      input,
      onLine: (line) => {
        if (line.startsWith("{")) this.#told.push({ ...JSON.parse(line), atMs: Date.now() });
      },
    });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  const folder = await Deno.makeTempDir({ prefix: "pennon-outage-" });
  const server = new Server(folder);
  const agents = Array.from(
    { length: options.agents },
    (_, number) => new Agent(options.executable, `${folder}/agent-${number}`),
  );
  try {
    await server.start();
    const url = `http://127.0.0.1:${server.port}`;
    for (const agent of agents) await agent.register(url);
    for (const { id } of (await server.state()).agents) {
      const command = { type: "enable_heartbeat", params: { duration_minutes: -1 } };
      await server.ask("commands", { agent_id: id, ...command });
    }
    for (const agent of agents) agent.run();
    await until(async () => (await server.state()).logs.length >= agents.length, "heartbeats");
    console.log(outageText("server killed", await killed(server, agents, options.killMs)));
    await pause(15_000);
    console.log(outageText("database away", await broken(server, agents, options.databaseMs)));
    const { violations } = await server.state();
    if (violations.length > 0) console.log(`violations: ${JSON.stringify(violations)}`);
    return 0;
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    await server.kill();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A connection that is refused is one attempt: nothing of it can be counted but by the agent. */
async function killed(server: Server, agents: Agent[], ms: number): Promise<OutageRow> {
  await pause(10_000);
  const fromMs = Date.now();
  await server.kill();
  await pause(ms);
  await server.start();
  const back = await allBack(agents, fromMs);
  const requests = back.map(({ attempts }) => attempts ?? 0);
  return { ms, ...figures(back, fromMs + ms), requests, healths: null };
}

async function broken(server: Server, agents: Agent[], ms: number): Promise<OutageRow> {
  await server.ask("reset-requests", {});
  const fromMs = Date.now();
  await server.ask("fault", { mode: "database_down" });
  await pause(ms);
  const { requests: seen, agents: known } = await server.state();
  const endMs = Date.now();
  await server.ask("fault", { mode: "none" });
  const back = await allBack(agents, fromMs);
  const requests = known.map(({ id }) => seen.filter(({ path }) => path.includes(id)).length);
  const healths = seen.filter(({ path }) => path === "/health").length;
  return { ms, ...figures(back, endMs), requests, healths };
}

async function allBack(agents: Agent[], fromMs: number): Promise<Told[]> {
  const back = () => agents.flatMap((agent) => agent.recoveredAfter(fromMs) ?? []);
  await until(() => Promise.resolve(back().length === agents.length), "recoveries");
  return back();
}

function figures(back: readonly Told[], endMs: number) {
  const backS = back.map(({ atMs }) => (atMs - endMs) / 1_000);
  return { backS, median: median(backS), p90: percentileOf(backS, 0.9) };
}

function readOptions(args: readonly string[]): Options {
  const flags = parseArgs([...args], {
    string: ["executable", "agents", "kill-s", "database-s"],
    default: {
      "executable": "dist/pennon-linux-x64",
      "agents": "5",
      "kill-s": "300",
      "database-s": "100",
    },
  });
  return {
    executable: String(flags["executable"]),
    agents: Number(flags.agents),
    killMs: Number(flags["kill-s"]) * 1_000,
    databaseMs: Number(flags["database-s"]) * 1_000,
  };
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const untilMs = Date.now() + PATIENCE_MS;
  while (!await isSo()) {
    if (Date.now() > untilMs) throw new Error(`Cannot go on: no ${what} within ${PATIENCE_MS} ms`);
    await pause(100);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
