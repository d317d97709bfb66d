/** Plays one seed: faults and commands by chance, then a quiet time in which all must come right. */

import { LONGEST_RAPID_MS } from "../../src/loop/schedule.ts";
import { seededRandom } from "../fakes/system.ts";
import { drawEpisodes, type Episode, type Fault, FAULTS_02 } from "./episodes.ts";
import { Violation } from "./monitor.ts";
import { Sim } from "./sim.ts";
import type { Age, ServerCommand } from "./sim_commands.ts";
import { ARRIVES, BY_HAND, SIM_MACHINE } from "./sim_host.ts";
import { POISON, type SimServer } from "./sim_server.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** At the end of a run nothing goes wrong any more for so long. */
const QUIET_MS = DAY_MS;

const COMMANDS_PER_DAY = 4;

/** An agent that only an operator could help asks hourly, with its spread and its calls. */
const REBOUND_MS = 1.2 * HOUR_MS + 160_000;

/** Rows that an earlier agent has left at a server of 0.2: packages that wait no more. */
const LEFTOVERS = [["apt", "left-by-another-agent"], ["dnf", "left-by-another-agent"]] as const;

/** What one seed showed. */
export interface SeedResult {
  readonly seed: number;
  /** `null`: every invariant held. */
  readonly violation: string | null;
  readonly age: string;
  readonly sum: string;
  readonly requests: number;
  readonly starts: number;
  /** Requests beyond the server's limits, and rows that it closed by absence. */
  readonly turnedAway: number;
  readonly closed: number;
  readonly faults: readonly Fault[];
  /** The trace's end, of a run that failed. */
  readonly tail: readonly string[];
}

/** The server that a seed has: all of one age, or, by turns, today's and yesterday's. */
export type AgeChoice = Age | "both";

/** Of the seeds of 0.2, one in so many begins with a server of 0.1, which becomes one of 0.2. */
const UPGRADES_EVERY = 5;

/** What is known of a seed before it is played. */
interface Plan {
  readonly age: Age;
  /** When the server becomes one of 0.2, and when an administrator then binds the agent. */
  readonly upgrade: { readonly atMs: number; readonly boundMs: number } | null;
}

function planOf(seed: number, endMs: number, choice: AgeChoice): Plan {
  const age = choice !== "both" ? choice : seed % 2 === 1 ? "0.2" : "0.1";
  if (age === "0.1" || Math.floor(seed / 2) % UPGRADES_EVERY !== 0) return { age, upgrade: null };
  const random = seededRandom(seed + 1_000_000);
  const atMs = (0.2 + 0.3 * random()) * endMs;
  const boundMs = atMs + Math.min(4 * DAY_MS, (0.1 + 0.8 * random()) * (endMs - atMs));
  return { age: "0.1", upgrade: { atMs, boundMs } };
}

/** Runs `days` of virtual time; never throws. */
export async function runSeed(
  seed: number,
  days: number,
  choice: AgeChoice = "both",
): Promise<SeedResult> {
  const faultsEndMs = Math.max(DAY_MS / 2, days * DAY_MS - QUIET_MS);
  const plan = planOf(seed, faultsEndMs, choice);
  const sim = new Sim(seed, plan.age);
  const episodes = drawEpisodes(sim.random, faultsEndMs);
  if (plan.age === "0.2" || plan.upgrade !== null) {
    episodes.push(...drawEpisodes(sim.random, faultsEndMs, FAULTS_02));
  }
  let violation: string | null = null;
  try {
    const commands = planCommands(sim, faultsEndMs);
    planOperators(sim, faultsEndMs);
    if (plan.upgrade !== null) planUpgrade(sim, plan.upgrade, episodes);
    sim.plan(episodes);
    await sim.begin();
    await sim.run(faultsEndMs);
    sim.trace.note("--- all is well from here on");
    await comeRight(sim, faultsEndMs, commands);
  } catch (error) {
    violation = error instanceof Violation ? error.message : `${(error as Error).stack}`;
  }
  const result = {
    seed,
    violation,
    age: plan.upgrade === null ? plan.age : "0.1, then 0.2",
    sum: sim.trace.sum,
    requests: sim.requests,
    starts: sim.starts,
    turnedAway: sim.server.turnedAway,
    closed: sim.server.packages.counts.closed,
    faults: [...new Set(episodes.map(({ fault }) => fault))],
    tail: violation === null ? [] : sim.trace.lines,
  };
  sim.close();
  return result;
}

/** The server becomes one of 0.2, which has never heard of this machine, until an administrator says so. */
function planUpgrade(
  sim: Sim,
  { atMs, boundMs }: { atMs: number; boundMs: number },
  episodes: readonly Episode[],
): void {
  const { clock, server, trace } = sim;
  clock.inWorld(atMs, () => {
    trace.note("--- the server is of 0.2");
    server.upgrade();
  });
  clock.inWorld(boundMs, () => {
    trace.note("--- an administrator binds the agent");
    server.machineId = SIM_MACHINE;
  });
  const backMs = boundMs + REBOUND_MS;
  const isDisturbed = episodes.some(({ fromMs, toMs }) =>
    fromMs < backMs && toMs > boundMs - 2 * HOUR_MS
  );
  if (isDisturbed) return;
  clock.inWorld(backMs, () => {
    const state = sim.agent?.loop.state;
    const sinceMs = clock.monotonicMs() - (state?.lastCheckInAtMs ?? -Infinity);
    if (sinceMs > REBOUND_MS) sim.fail("an agent that was bound is not back in its stated time");
  });
}

/** The command that a draw stands for, at a server of the moment's age. */
function commandOf({ age }: SimServer, draw: number, number: number): ServerCommand {
  const id = (kind: string) => `${kind}-${number}`;
  if (draw < 0.4) return scanOf(age, id("scan"), draw / 0.4);
  if (draw < 0.5) {
    // At 0.2 nobody sends the first of them any more, and the second is one that no agent of ours runs.
    const type = age === "0.1" ? "collect_specs" : "scan_pacman";
    return { id: id("specs"), type, params: {} };
  }
  if (draw < 0.6) {
    // "Permanent" too, and one that overlaps another.
    const duration_minutes = Math.ceil((draw - 0.5) * 900) - 10;
    return { id: id("rapid"), type: "enable_heartbeat", params: { duration_minutes } };
  }
  if (draw < 0.65) return { id: id("calm"), type: "disable_heartbeat", params: {} };
  if (draw < 0.7) return { id: id("unknown"), type: "brew_coffee", params: {} };
  const isPoison = draw > 0.97;
  return { id: id(isPoison ? POISON : "install"), type: "install_updates", params: {} };
}

/** A scan: of everything, or of one subsystem, as the scheduler and the dashboard's button ask for it. */
function scanOf(age: Age, id: string, draw: number): ServerCommand {
  if (age === "0.1" || draw < 0.1) return { id, type: "scan_updates", params: {} };
  const subsystem = draw < 0.55 ? "apt" : "dnf";
  const params = [{}, { subsystem }, null][Math.floor(draw * 30) % 3]!;
  return { id, type: `scan_${subsystem}`, params };
}

/** Commands at random instants, and scans in the quiet time, which close the scanners' breakers. */
function planCommands(sim: Sim, endMs: number): string[] {
  const { random, clock, server } = sim;
  const ids: string[] = [];
  const queue = (command: ServerCommand) => {
    // The scheduler makes no second scan of a kind while one waits.
    if (server.age === "0.2" && server.commands.isPending(command.type)) return;
    sim.queue(command);
    ids.push(command.id);
  };
  const count = Math.round(COMMANDS_PER_DAY * endMs / DAY_MS);
  for (let number = 0; number < count; number++) {
    const draw = random();
    clock.inWorld(random() * endMs, () => queue(commandOf(server, draw, number)));
  }
  for (let atMs = endMs + HOUR_MS; atMs < endMs + QUIET_MS; atMs += 2 * HOUR_MS) {
    const id = (part: string) => `quiet-${part}${atMs}`;
    clock.inWorld(atMs, () => {
      if (server.age === "0.1") return queue(scanOf("0.1", id(""), 0));
      queue(scanOf("0.2", id("apt-"), 0.2));
      queue(scanOf("0.2", id("dnf-"), 0.7));
    });
  }
  return ids;
}

/** Approvals now and then, a package that is installed by hand, a new update; rows of an earlier agent. */
function planOperators(sim: Sim, endMs: number): void {
  const { clock, random, server } = sim;
  if (server.age === "0.2") {
    for (const [type, name] of LEFTOVERS) {
      server.packages.addLeftover(type, name);
      sim.withdrawn.add(`${type}/${name}`);
    }
  }
  for (let atMs = random() * DAY_MS; atMs < endMs; atMs += 2 * random() * DAY_MS) {
    const index = Math.floor(random() * 1_000);
    clock.inWorld(atMs, () => server.packages.approve(index));
  }
  const arriving = `dnf/${ARRIVES}`;
  sim.withdrawn.add(arriving);
  clock.inWorld(random() * endMs, () => {
    sim.trace.note(`--- ${ARRIVES} has an update`);
    sim.withdrawn.delete(arriving);
  });
  clock.inWorld(random() * endMs, () => {
    sim.trace.note(`--- ${BY_HAND} is installed by hand`);
    sim.withdrawn.add(`dnf/${BY_HAND}`);
  });
}

/** Liveness: what must be so some time after the last fault. */
async function comeRight(sim: Sim, sinceMs: number, commands: readonly string[]): Promise<void> {
  const { clock, trace } = sim;
  const operatorAction = sim.agent?.loop.state.connection.operatorAction ?? null;
  const spreadMs = operatorAction ? 1.2 * HOUR_MS : 0;
  const asked = longestAsked(sim);
  const deadlineMs = sinceMs + 300_000 + 1.6 * 300_000 + 160_000 + spreadMs + asked;
  await sim.run(deadlineMs);
  const state = sim.agent?.loop.state;
  if (!state) throw new Violation("the agent does not run");
  const lastMs = state.lastCheckInAtMs ?? -Infinity;
  if (clock.monotonicMs() - lastMs > deadlineMs - sinceMs) throw new Violation("not connected");
  if (state.connection.breaker.state !== "closed") throw new Violation("the breaker is not closed");
  const { buffer } = await sim.inspect();
  const waiting = buffer.counts().pending;
  trace.note(`connected, ${waiting} events wait`);
  await sim.run(clock.trueMs + waiting / 30 * MINUTE_MS * 1.2 + 300_000 + 300_000);
  const left = buffer.list({ state: "pending" })
    .filter(({ createdMs, body }) => !body.includes(POISON) && createdMs < clock.nowMs() - HOUR_MS);
  if (left.length > 0) throw new Violation(`${left.length} events are not delivered`);
  await sim.run(sinceMs + QUIET_MS);
  await checkEnd(sim, commands);
}

/** A wait that the server itself has asked for is not the agent's. */
function longestAsked(sim: Sim): number {
  const state = sim.agent?.loop.state;
  if (!state) return 1_200_000;
  const { paths } = state.connection;
  const nowMs = sim.clock.monotonicMs();
  return Math.max(0, paths.check_in.notBeforeMs - nowMs, paths.delivery.notBeforeMs - nowMs);
}

async function checkEnd(sim: Sim, commands: readonly string[]): Promise<void> {
  const { buffer, database, journal } = await sim.inspect();
  const text = sim.disk.texts.get("/var/lib/pennon/scanner-breakers.json") ?? "{}";
  const breakers: Record<string, { state: string }> = JSON.parse(text).breakers ?? {};
  for (const [name, { state }] of Object.entries(breakers)) {
    if (state !== "closed") throw new Violation(`the breaker of ${name} is ${state}`);
  }
  const unfinished = journal.unfinished();
  const old = database.all(
    "SELECT id FROM commands WHERE state IN ('received', 'started') AND received_ms < ?",
    sim.clock.nowMs() - 2 * HOUR_MS,
  );
  if (old.length > 0) throw new Violation(`command ${old[0]?.id} was begun and never finished`);
  const kept = new Set(buffer.list().map(({ commandId }) => commandId));
  const evicted = Object.values(buffer.counts().evicted).some((count) => count > 0);
  for (const id of commands) {
    if (!sim.commands.taken.has(id) || unfinished.some((entry) => entry.id === id)) continue;
    const isTold = sim.server.told.has(id) || sim.server.confirmed.has(id) || kept.has(id);
    if (!isTold && !evicted) throw new Violation(`nothing is told of command ${id}`);
  }
  if (!evicted) {
    checkPiled(sim, new Set(buffer.list().map(({ body }) => body)));
    checkLastScan(sim);
  }
  checkRows(sim);
  for (const event of buffer.list({ state: "dead_lettered" })) {
    const refusals = sim.server.refusals.get(event.body) ?? 0;
    if (refusals < event.attempts) {
      throw new Violation(
        `event ${event.id} was dead-lettered after ${refusals} refusals of its own`,
      );
    }
  }
  const rapidMs = (sim.agent?.loop.state.rapidUntilMs ?? 0) - sim.clock.monotonicMs();
  if (rapidMs > LONGEST_RAPID_MS) throw new Violation("rapid polling without an end");
}

/** What was in the buffer has arrived, whatever the server said in the meantime. */
function checkPiled({ piled, server }: Sim, kept: ReadonlySet<string>): void {
  const lost = piled.filter((body) => !server.stored.has(body) && !kept.has(body)).length;
  if (lost > 0) throw new Violation(`${lost} events of the backlog did not arrive`);
}

/** What waits no more is closed by a server that can do so, after a quiet day with whole scans. */
function checkRows({ server, withdrawn }: Sim): void {
  if (server.age !== "0.2") return;
  const open = server.packages.rows().find(({ type, name, state }) =>
    withdrawn.has(`${type}/${name}`) && state !== "installed"
  );
  if (open) throw new Violation(`${open.name} (${open.type}) waits no more, and is ${open.state}`);
}

/** Each scan of the quiet time that succeeded has moved the dashboard's last scan: an item came with it. */
function checkLastScan(sim: Sim): void {
  const reports = [...sim.server.stored.keys()].filter((body) =>
    body.includes('"command_id":"quiet-')
  )
    .map((body) => JSON.parse(body) as Record<string, unknown>);
  const withItems = new Set(
    reports.filter(({ updates }) => Array.isArray(updates) && updates.length > 0)
      .map(({ command_id }) => command_id),
  );
  const scanned = reports.filter(({ action, result }) =>
    String(action).startsWith("scan_") && result === "success"
  );
  for (const { command_id } of scanned) {
    if (!withItems.has(command_id)) throw new Violation(`scan ${command_id} moved no last scan`);
  }
}
