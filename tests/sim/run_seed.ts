/** Plays one seed: faults and commands by chance, then a quiet time in which all must come right. */

import { LONGEST_RAPID_MS } from "../../src/loop/schedule.ts";
import { drawEpisodes, type Fault } from "./episodes.ts";
import { Violation } from "./monitor.ts";
import { Sim } from "./sim.ts";
import { POISON, type ServerCommand } from "./sim_server.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** At the end of a run nothing goes wrong any more for so long. */
const QUIET_MS = DAY_MS;

const COMMANDS_PER_DAY = 4;

/** What one seed showed. */
export interface SeedResult {
  readonly seed: number;
  /** `null`: every invariant held. */
  readonly violation: string | null;
  readonly sum: string;
  readonly requests: number;
  readonly starts: number;
  readonly faults: readonly Fault[];
  /** The trace's end, of a run that failed. */
  readonly tail: readonly string[];
}

/** Runs `days` of virtual time; never throws. */
export async function runSeed(seed: number, days: number): Promise<SeedResult> {
  const sim = new Sim(seed);
  const faultsEndMs = Math.max(DAY_MS / 2, days * DAY_MS - QUIET_MS);
  const episodes = drawEpisodes(sim.random, faultsEndMs);
  let violation: string | null = null;
  try {
    const commands = planCommands(sim, faultsEndMs);
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
    sum: sim.trace.sum,
    requests: sim.requests,
    starts: sim.starts,
    faults: [...new Set(episodes.map(({ fault }) => fault))],
    tail: violation === null ? [] : sim.trace.lines,
  };
  sim.close();
  return result;
}

/** Commands at random instants, and scans in the quiet time, which close the scanners' breakers. */
function planCommands(sim: Sim, endMs: number): ServerCommand[] {
  const { random, clock } = sim;
  const count = Math.round(COMMANDS_PER_DAY * endMs / DAY_MS);
  const drawn = Array.from({ length: count }, (_, number): ServerCommand => {
    const id = (kind: string) => `${kind}-${number}`;
    const draw = random();
    if (draw < 0.4) return { id: id("scan"), type: "scan_updates", params: {} };
    if (draw < 0.5) return { id: id("specs"), type: "collect_specs", params: {} };
    if (draw < 0.6) {
      // "Permanent" too, and one that overlaps another.
      const duration_minutes = Math.ceil(random() * 90) - 10;
      return { id: id("rapid"), type: "enable_heartbeat", params: { duration_minutes } };
    }
    if (draw < 0.65) return { id: id("calm"), type: "disable_heartbeat", params: {} };
    if (draw < 0.7) return { id: id("unknown"), type: "brew_coffee", params: {} };
    const isPoison = draw > 0.97;
    return { id: id(isPoison ? POISON : "install"), type: "install_updates", params: {} };
  });
  for (const command of drawn) clock.inWorld(random() * endMs, () => sim.queue(command));
  for (let atMs = endMs + HOUR_MS; atMs < endMs + QUIET_MS; atMs += 2 * HOUR_MS) {
    const scan = { id: `quiet-${atMs}`, type: "scan_updates", params: {} };
    clock.inWorld(atMs, () => sim.queue(scan));
    drawn.push(scan);
  }
  return drawn;
}

/** Liveness: what must be so some time after the last fault. */
async function comeRight(sim: Sim, sinceMs: number, commands: ServerCommand[]): Promise<void> {
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

async function checkEnd(sim: Sim, commands: ServerCommand[]): Promise<void> {
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
  for (const { id } of commands) {
    if (!sim.taken.has(id) || unfinished.some((entry) => entry.id === id)) continue;
    const isTold = sim.server.logged.has(id) || kept.has(id);
    if (!isTold && !evicted) throw new Violation(`nothing is told of command ${id}`);
  }
  if (!evicted) checkLastScan(sim);
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
    action === "scan_updates" && result === "success"
  );
  for (const { command_id } of scanned) {
    if (!withItems.has(command_id)) throw new Violation(`scan ${command_id} moved no last scan`);
  }
}
