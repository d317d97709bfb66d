/** What the tests on outages share: short times, the bound they lead to, and what must not get lost. */

import { assert, assertEquals } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import type { RefserverState } from "../../tools/refserver/server.ts";
import type { Host } from "./harness.ts";

/** Limits of an agent in these tests, in ms. */
export const TIMEOUT_MS = 2_000;
export const RAPID_MS = 1_000;

/** Half of `breaker.min_open`: the shortest time that an open breaker refuses. */
const SHORTEST_OPEN_MS = 500;

/** `breaker.consecutive_failures`. */
const FAILURES = 3;

/** As the harness has it, with time limits and rapid polling as short. */
export const OUTAGE_CONFIG = `
[http]
connect_timeout = "1s"
timeout = "2s"
health_timeout = "1s"
[polling]
interval = "10s"
rapid_interval = "1s"
start_spread = "0s"
[backoff]
base = "400ms"
cap = "1600ms"
floor = "100ms"
[breaker]
consecutive_failures = 3
min_open = "1s"
max_open = "2s"
probe_timeout = "2s"
[scanners]
enabled = ["apt"]
`;

/** One line of the agent's log, which is JSON. */
export interface Told {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** The lines of an agent's log that say `message`, from the line `from` on. */
export function told(agent: Program, message: string, from = 0): Told[] {
  return agent.lines.slice(from)
    .filter((line) => line.startsWith("{"))
    .map((line): Told => JSON.parse(line))
    .filter((line) => line.message === message);
}

/** The lines of an agent's log on calls that failed, whatever the kind of failure. */
export function failedAttempts(agent: Program): Told[] {
  return agent.lines.filter((line) => line.startsWith("{"))
    .map((line): Told => JSON.parse(line))
    .filter((line) => typeof line["attempt"] === "number");
}

/**
 * How often an agent may try in an outage at most: failures until the breaker opens, then one probe
 * after each time that it is open, and the one that had begun before.
 */
export function mostAttempts(outageMs: number): number {
  return FAILURES + Math.ceil(outageMs / SHORTEST_OPEN_MS) + 1;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** An agent that polls rapidly, and has said so. */
export async function runRapidly(
  host: Host,
  options: {
    config?: string;
    wrap?: readonly [string, ...string[]];
    /** `false`: an old server, which has no route for host facts. @default true */
    takesFacts?: boolean;
  } = {},
): Promise<Program> {
  const { config = "", takesFacts = true, ...rest } = options;
  await Deno.writeTextFile(`${host.folder}/config.toml`, OUTAGE_CONFIG + config);
  const id = host.server.queueCommand({
    type: "enable_heartbeat",
    params: { duration_minutes: 10 },
  });
  const agent = host.start(["run", "--log-format", "json", "--log-level", "debug"], rest);
  await host.until("word of rapid polling", () => host.logOf(id) !== undefined);
  if (takesFacts) {
    await host.until("host facts", () => host.server.state().systemInfo.length > 0);
  }
  return agent;
}

/** A command whose result has left the agent, and will never be answered: it is still to be told. */
export async function holdUpResult(host: Host): Promise<string> {
  await host.server.setFault({ mode: "hang", path: "/logs$" });
  const id = host.server.queueCommand({ type: "collect_specs" });
  await host.until("report that hangs", () => isReportHeldUp(host.server.state()));
  return id;
}

export function isReportHeldUp({ requests }: RefserverState): boolean {
  return requests.some(({ path, fault }) => path.endsWith("/logs") && fault === "hang");
}

/** How often the agent has begun a command. */
export function timesBegun(agent: Program, commandId: string): number {
  return told(agent, "command started").filter(({ id }) => id === commandId).length;
}

/** Stops the agent, and asserts that all it kept was delivered and the server wronged in nothing. */
export async function assertNothingLost(host: Host, agent: Program): Promise<void> {
  await agent.stop("SIGTERM");
  assertEquals((await agent.ended).code, 0);
  const { out } = await host.pennon(["status", "--json"]);
  assertAllDelivered(out);
  assertEquals(host.server.state().violations, []);
}

/** Asserts of what `status --json` printed that nothing waits, and nothing was given up. */
export function assertAllDelivered(status: string): void {
  const { buffer } = JSON.parse(status);
  assert(buffer.appended > 0, "nothing was ever kept");
  const { pending, dead_lettered, delivered } = buffer;
  assertEquals({ pending, dead_lettered, delivered }, {
    pending: 0,
    dead_lettered: 0,
    delivered: buffer.appended,
  });
}
