/** An agent and a server that treats it badly, and what has to hold for the agent all the same. */

import { assert, assertEquals } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import { EXECUTABLE, within } from "./harness.ts";
import { RawServer } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

/**
 * Most that the agent may ever have had resident. From source, Deno's own compiler is in the same
 * process.
 */
const MOST_RESIDENT_MB = EXECUTABLE === undefined ? 350 : 150;

/** A program that is asked to stop has ended after this. */
const STOP_MS = 5_000;

/** Time limits of 3 s, and attempts at once. */
export const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"
[http]
timeout = "3s"
connect_timeout = "3s"
health_timeout = "3s"
[backoff]
base = "200ms"
cap = "400ms"
floor = "100ms"
[breaker]
min_open = "1s"
max_open = "1s"
[scanners]
enabled = []
`;

export interface Story {
  readonly server: RawServer;
  readonly agent: Program;
}

/** How an agent is set up. */
export interface HostileOptions {
  /** The text of `config.toml`. */
  readonly config?: string;
  /** Is called before the agent starts, with its state directory. */
  readonly prepare?: (stateDirectory: string, server: RawServer) => Promise<void>;
}

/** Plays a story with an agent that is enrolled and runs. */
export async function withAgent(
  story: (parts: Story) => Promise<void>,
  { config = CONFIG, prepare }: HostileOptions = {},
): Promise<void> {
  await using server = new RawServer();
  const folder = await Deno.makeTempDir({ prefix: "pennon-hostile-" });
  await Deno.writeTextFile(`${folder}/config.toml`, config);
  try {
    const words = ["register", "--server", server.url, "--token", "-"];
    const enrolment = startPennon(folder, words, { input: "a-registration-token" });
    assertEquals((await within(enrolment.ended, "enrolment")).code, 0);
    await prepare?.(`${folder}/state`, server);
    const agent = startPennon(folder, ["run", "--log-format", "json"]);
    try {
      await story({ server, agent });
    } finally {
      await agent.stop("SIGKILL");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The most that a process has ever had resident, in MB. */
async function mostResidentMb(processId: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${processId}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
}

/** Fails if the agent ever had more than it may. */
export async function assertSmall({ agent }: Story): Promise<void> {
  const residentMb = await mostResidentMb(agent.processId);
  assert(residentMb < MOST_RESIDENT_MB, `${residentMb} MB were resident`);
}

/** The agent does what a good answer asks of it. */
export async function assertGoesOn({ server }: Story, id: string): Promise<void> {
  server.commands.push({ id, type: "collect_specs", params: {} });
  const done = () =>
    server.requests.some(({ path, body }) => path.endsWith("/logs") && body.includes(`"${id}"`));
  await server.until(`log of ${id}`, done);
}

export async function assertStops({ agent }: Story): Promise<void> {
  const startMs = performance.now();
  await agent.stop("SIGTERM");
  const tookMs = performance.now() - startMs;
  assert(tookMs < STOP_MS, `it took ${tookMs} ms to stop`);
}
