/** One run: a fleet under one policy lives through one scenario, from event to event. */

import { Calendar, SLICE_MS } from "./calendar.ts";
import { agentIds, seededRandom } from "./chance.ts";
import type { Behaviour, Policy } from "./policy.ts";
import type { Scenario } from "./scenario.ts";
import type { Random } from "../../src/system/system.ts";
import { HEALTH_WORK, type Outcome, ServerQueue } from "./server_queue.ts";
import { Tally } from "./tally.ts";

/** A run: everything that decides what comes out of it. */
export interface Setup {
  readonly agents: number;
  readonly seed: number;
  /** Check-ins a second. */
  readonly capacity: number;
  readonly policy: Policy;
  readonly scenario: Scenario;
  /** Of a fleet that polls normally, the first so many are in rapid polling. @default 0 */
  readonly watched?: number;
}

/** After the outage a run lasts no longer than this, whoever is not back. */
const LONGEST_TAIL_MS = 2 * 3_600_000;

/**
 * A request is so long on its way at most. With none of this, agents that wait whole seconds would
 * meet a full queue in the same order, again and again, and the last of them would never be served.
 */
const LONGEST_WAY_MS = 20;

/** A run is over two periods after so many of the touched are back. */
const ENOUGH_BACK = 0.999;

/** Lives through it. The same setup gives the same tally. */
export function simulate(setup: Setup): Tally {
  const { policy, scenario: { outage, isRapid } } = setup;
  const periodMs = policy.periodMs(isRapid);
  const deadFromMs = wholeSeconds(Math.max(outage.leadMs, 2 * periodMs));
  const deadUntilMs = deadFromMs + outage.ms;
  const longestMs = deadUntilMs + LONGEST_TAIL_MS;
  const tally = new Tally({ agents: setup.agents, deadFromMs, deadUntilMs, longestMs });
  const run = new Run(setup, tally);
  let endMs = longestMs;
  for (let nowMs = 0; nowMs < endMs; nowMs += SLICE_MS) {
    if (nowMs === deadFromMs && setup.scenario.cut === "together") run.cutTogether();
    run.slice(nowMs);
    const isBack = nowMs >= deadUntilMs && tally.touchedBack >= ENOUGH_BACK * tally.touched;
    if (isBack && endMs === longestMs) {
      const twoMoreMs = wholeSeconds(nowMs + 2 * periodMs);
      endMs = Math.min(longestMs, Math.max(twoMoreMs, deadUntilMs + outage.tailMs));
    }
  }
  tally.endMs = endMs;
  return tally;
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000) * 1_000;
}

class Run {
  readonly #calendar: Calendar;
  readonly #random: Random;
  readonly #behaviour: Behaviour;
  readonly #server: ServerQueue;
  readonly #tally: Tally;
  readonly #isDatabase: boolean;
  readonly #taken: Int32Array;
  /** 1: the agent's health check went well, its check-in comes next. */
  readonly #isHealthKnown: Uint8Array;

  constructor(setup: Setup, tally: Tally) {
    const { agents, policy, capacity, scenario: { isRapid, outage }, watched = 0 } = setup;
    this.#isDatabase = outage.isDatabase ?? false;
    const random = seededRandom(setup.seed);
    const ids = agentIds(agents, random);
    this.#random = random;
    this.#tally = tally;
    this.#calendar = new Calendar(agents);
    this.#taken = new Int32Array(agents);
    this.#isHealthKnown = new Uint8Array(agents);
    this.#server = new ServerQueue({ capacity, ...tally.options });
    this.#behaviour = policy.start({ agents, isRapid, ids, random, watched });
    for (let agent = 0; agent < agents; agent++) {
      const periodMs = policy.periodMs(isRapid || agent < watched);
      this.#calendar.put(agent, random() * periodMs);
    }
  }

  /** All that happens in the slice of time that begins now. */
  slice(nowMs: number): void {
    const { deadFromMs, deadUntilMs } = this.#tally.options;
    const isDead = nowMs >= deadFromMs && nowMs < deadUntilMs;
    const slice = Math.round(nowMs / SLICE_MS);
    // Again and again: what happens may have its sequel in the same slice.
    for (;;) {
      const count = this.#calendar.take(slice, this.#taken);
      if (count === 0) return;
      if (count > 1 && !isDead) this.#sort(count); // A dead server treats all alike.
      for (let index = 0; index < count; index++) this.#attempt(this.#taken[index]!);
    }
  }

  /** Brings every agent's next attempt forward to the instant the outage begins. */
  cutTogether(): void {
    const { deadFromMs, agents } = this.#tally.options;
    const dueMs = Array.from({ length: agents }, (_, agent) => this.#calendar.atMs(agent));
    this.#calendar.clear();
    for (let agent = 0; agent < agents; agent++) {
      // A request that was under way is cut off already, and counts as the attempt.
      const isCut = this.#tally.dead[agent]! > 0;
      this.#calendar.put(agent, isCut ? dueMs[agent]! : deadFromMs);
    }
  }

  #attempt(agent: number): void {
    const atMs = this.#calendar.atMs(agent);
    if (this.#isHealthKnown[agent] === 0) {
      const limitMs = this.#behaviour.begin(agent, atMs);
      if (limitMs > 0) return this.#askHealth(agent, limitMs);
    }
    this.#isHealthKnown[agent] = 0;
    this.#tally.countCheckIn(atMs);
    const limitMs = this.#behaviour.checkInLimitMs(agent);
    const outcome = this.#server.take(atMs, 1, limitMs);
    const { endMs } = this.#server;
    if (outcome !== "answered") return this.#fail(agent, outcome);
    this.#tally.succeed(agent, endMs);
    this.#send(agent, this.#behaviour.afterSuccess(agent, endMs));
  }

  #askHealth(agent: number, limitMs: number): void {
    const atMs = this.#calendar.atMs(agent);
    this.#tally.countHealth(atMs);
    const outcome = this.#server.take(atMs, HEALTH_WORK, limitMs);
    // Without its database the server is healthy all the same.
    const isWell = outcome === "answered" || outcome === "dead" && this.#isDatabase;
    if (!isWell) return this.#fail(agent, outcome);
    this.#isHealthKnown[agent] = 1;
    this.#send(agent, this.#server.endMs);
  }

  #fail(agent: number, outcome: Exclude<Outcome, "answered">): void {
    const { endMs } = this.#server;
    this.#tally.fail(agent, outcome, endMs);
    const isAnswered = outcome === "dead" && this.#isDatabase;
    this.#send(agent, this.#behaviour.afterFailure(agent, endMs, isAnswered));
  }

  /** The agent sends its next request at that instant; the server has it a little later. */
  #send(agent: number, atMs: number): void {
    this.#calendar.put(agent, atMs + LONGEST_WAY_MS * this.#random());
  }

  #sort(count: number): void {
    const calendar = this.#calendar;
    this.#taken.subarray(0, count).sort((a, b) => calendar.atMs(a) - calendar.atMs(b) || a - b);
  }
}
