/**
 * The demo: the real agent against the reference server, two processes. It enrols, scans this very
 * machine, lives through an outage and recovers. `--keep` leaves both running until Ctrl-C; `--age 0.2`
 * takes a server of 0.2 in place of one of 0.1.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program, script } from "../program.ts";
import { describeLine, readAgentLine, Timeline } from "./timeline.ts";
import { printSummary, type ServerState } from "./summary.ts";

const REGISTRATION_TOKEN = "demo-registration-token";
const OUTAGE_MS = 20_000;

/** Which RedFlag the server is like; it refuses any but 0.1 and 0.2. */
const FLAGS = parseArgs(Deno.args, { string: ["age"], boolean: ["keep"], default: { age: "0.1" } });

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The exit code after SIGHUP, as shells report it. */
const HUNG_UP = 129;

/** Every wait of the demo's ends after this; something is broken then. */
const PATIENCE_MS = 45_000;

/** Shorter than the defaults, so that an outage of 20 s shows what one of hours would. */
const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"

[backoff]
base = "1s"
cap = "5s"

[breaker]
consecutive_failures = 3
min_open = "4s"
max_open = "6s"
`;

const timeline = new Timeline();
const programs: Program[] = [];

/** The exit code once the story is told; with `--keep` it goes on after that. */
let verdict: number | null = null;

async function main(): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-demo-" });
  const stopped = Promise.withResolvers<void>();
  let code = 1;
  const listeners = STOP_SIGNALS.map((signal) => {
    const stop = () => {
      if (signal === "SIGHUP") code = HUNG_UP;
      stopped.resolve();
    };
    return [signal, stop] as const;
  });
  for (const [signal, stop] of listeners) Deno.addSignalListener(signal, stop);
  try {
    const outcome = await Promise.race([play(folder), stopped.promise]) ?? verdict;
    if (outcome !== null) return outcome;
    console.error("\nDemo stopped before its end");
  } catch (error) {
    console.error(`\nDemo failed: ${error instanceof Error ? error.message : error}`);
  } finally {
    for (const [signal, stop] of listeners) Deno.removeSignalListener(signal, stop);
    await Promise.all(programs.map((program) => program.stop("SIGKILL")));
    await Deno.remove(folder, { recursive: true });
  }
  return code;
}

async function play(folder: string): Promise<number> {
  timeline.chapter("The server starts, the agent enrols");
  const server = await startServer(folder, 0, 0);
  const url = `http://127.0.0.1:${server.port}`;
  timeline.say("server", `listens on ${url}`);
  await Deno.writeTextFile(`${folder}/config.toml`, CONFIG);
  const common = ["--config", `${folder}/config.toml`, "--state-dir", `${folder}/state`];
  await pennon(["register", "--server", url, "--token", "-", ...common], REGISTRATION_TOKEN);
  const agent = startAgent(["run", "--log-format", "json", ...common]);
  await soon(agent.waitFor("the start", (line) => line.includes('"agent started"')));

  timeline.chapter("A scan of this machine");
  const scan = await server.ask("commands", { type: "scan_updates" });
  timeline.say("server", `queues scan_updates for the agent's next check-in`);
  const scanned = await untilState(server, (state) => logOf(state, scan.id) !== undefined);
  timeline.say("server", `has the result: ${logOf(scanned, scan.id)?.stdout || "no updates"}`);
  const gaps = logOf(scanned, scan.id)?.stderr;
  if (gaps) timeline.say("agent", `says what is missing: ${gaps}`);

  timeline.chapter(`The server is stopped for ${OUTAGE_MS / 1_000} s, in the middle of a scan`);
  const second = await server.ask("commands", { type: "scan_updates" });
  await soon(agent.waitFor("the scan", (line) => line.includes(second.id)));
  await server.program.stop();
  const downSince = performance.now();
  timeline.say("server", "is stopped; connections are refused from here on");
  await pause(OUTAGE_MS / 2);
  const status = JSON.parse(await pennon(["status", "--json", ...common]));
  timeline.say(
    "demo",
    `status: breaker ${status.connection.breaker}, ${status.buffer.pending} events wait on disk`,
  );
  await pause(OUTAGE_MS - (performance.now() - downSince));
  const returned = await startServer(folder, server.port, server.controlPort);
  timeline.say("server", "is back");
  const recovered = await soon(
    agent.waitFor("the recovery", (line) => line.includes('"connection recovered"')),
  );
  const after = await untilState(returned, (state) => logOf(state, second.id) !== undefined);

  timeline.chapter("Summary");
  const end = JSON.parse(await pennon(["status", "--json", ...common]));
  const isWhole = printSummary({
    state: after,
    status: end,
    recovery: JSON.parse(recovered),
    attempts: agent.lines.map(readAgentLine).filter((line) =>
      typeof line?.["attempt"] === "number"
    ),
    commands: [scan.id, second.id],
    tookS: timeline.elapsedS,
  });
  if (FLAGS["keep"]) {
    console.log(`\nBoth go on until Ctrl-C. State: ${folder}/state, server: ${url}`);
    verdict = isWhole ? 0 : 1;
    await agent.ended;
  }
  await agent.stop();
  await returned.program.stop();
  return isWhole ? 0 : 1;
}

interface DemoServer {
  readonly program: Program;
  readonly port: number;
  readonly controlPort: number;
  /** Asks the control port; answers its JSON. */
  ask(what: string, body: unknown): Promise<{ id: string }>;
  state(): Promise<ServerState>;
}

async function startServer(
  folder: string,
  port: number,
  controlPort: number,
): Promise<DemoServer> {
  const program = start(script(
    "tools/refserver/main.ts",
    ...["--registration-token", REGISTRATION_TOKEN, "--age", String(FLAGS["age"])],
    ...["--port", String(port), "--control-port", String(controlPort)],
    ...["--data", `${folder}/server.sqlite`, "--check-in-interval-s", "10"],
  ));
  const ready = JSON.parse(
    await soon(program.waitFor("the server", (line) => line.startsWith("{"))),
  );
  const control = `http://127.0.0.1:${ready.controlPort}/debug`;
  return {
    program,
    port: ready.port,
    controlPort: ready.controlPort,
    async ask(what, body) {
      const answer = await fetch(`${control}/${what}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return await answer.json();
    },
    state: async () => await (await fetch(`${control}/state`)).json(),
  };
}

function startAgent(words: string[]): Program {
  return start(script("main.ts", ...words), (line) => {
    const told = readAgentLine(line);
    timeline.say("agent", told ? describeLine(told) : line);
  });
}

/** Runs a command of the agent's to its end; answers its stdout. */
async function pennon(words: string[], input = ""): Promise<string> {
  let out = "";
  const program = new Program({
    argv: script("main.ts", ...words),
    input,
    onLine: (line, stream) => {
      if (stream === "stdout") out += `${line}\n`;
    },
  });
  programs.push(program);
  const { code } = await soon(program.ended);
  if (code !== 0) throw new Error(`pennon ${words[0]} exited ${code}\n${program.lines.join("\n")}`);
  if (words[0] === "register") timeline.say("agent", out.trim());
  return out;
}

function start(argv: [string, ...string[]], onLine?: (line: string) => void): Program {
  const program = new Program({ argv, ...(onLine && { onLine }) });
  programs.push(program);
  return program;
}

/** Asks the server for its state, twice a second, until it is as wanted. */
async function untilState(
  server: DemoServer,
  isReached: (state: ServerState) => boolean,
): Promise<ServerState> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 500) {
    const state = await server.state();
    if (isReached(state)) return state;
    await pause(500);
  }
  throw new Error(`the server still waits for the agent after ${PATIENCE_MS / 1_000} s`);
}

function logOf(state: ServerState, commandId: string) {
  return state.logs.find((log) => log.command_id === commandId);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

async function soon<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`nothing for ${PATIENCE_MS / 1_000} s`)),
    PATIENCE_MS,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

if (import.meta.main) Deno.exit(await main());
