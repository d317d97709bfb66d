/** The storm: one state folder, one server, and an agent that is killed over and over. */

import type { BufferLimits } from "../../src/buffer/buffer.ts";
import type { StorableCommand } from "../../src/received_command.ts";
import type { Random } from "../../src/system/system.ts";
import { seededRandom } from "../../tools/fleet/chance.ts";
import type { LoggedRequest, RequestStage } from "../../tools/refserver/request_log.ts";
import { type Host, onHost } from "../e2e/harness.ts";
import { copyBuffer, findHits, type Hit } from "./autopsy.ts";
import { drawEvents, feed } from "./feed.ts";
import { Life, STARTED } from "./life.ts";
import { MARKED, MARKS } from "./marking_agent.ts";
import type { Variant } from "./options.ts";
import type { DoubleStart, LifeRecord, StormRecord } from "./record.ts";
import { drawStrike, type Strike } from "./strike.ts";
import { settledComplaints } from "./verdict.ts";
import { drawFault } from "./weather.ts";
import { placeWitness, readTestimony, type Testimony } from "./witness.ts";

/** For a life that is to end in another way. */
const NEVER: Strike = { kind: "line", message: "", nth: Infinity, afterMs: 0 };

/** How one storm is played. */
export interface StormPlan {
  readonly kills: number;
  readonly seed: number;
  readonly variant: Exclude<Variant, "damaged">;
}

/** One kill, for the figures. */
export interface Kill {
  readonly strike: Strike["kind"];
  /** Whether it came at the instant that was drawn, not at the end of the longest life. */
  readonly isStruck: boolean;
  readonly hits: ReadonlySet<Hit>;
}

/** A storm that is over. */
export interface Storm {
  /** As it stood after the last kill. */
  readonly atLastKill: StormRecord;
  /** After one more life, with a server that is well, which ended by itself. */
  readonly afterwards: StormRecord;
  readonly kills: readonly Kill[];
}

/** Commands that are handed over before the server goes, and written down while it is away. */
const STASH = 200;

/** The last life goes on until nothing waits any more that a server takes; looked at so often. */
const CALM_STEP_MS = 500;
const LONGEST_CALM_MS = 150_000;
const LONGEST_DRAIN_MS = 1_200_000;

/**
 * Every so many lives the agent has a real scanner, and is killed in the middle of a scan; else a
 * scan is over at once. Its package manager outlives it, which is why it is seldom done.
 */
const SCAN_EVERY = 50;
const FIRST_SCAN = 15;
const LONGEST_SCAN_MS = 2_000;

const MAX_ATTEMPTS = 2;

const configOf = (limits: BufferLimits, scanners: string) => `
[http]
connect_timeout = "1s"
timeout = "2s"
health_timeout = "1s"
[polling]
interval = "10s"
rapid_interval = "100ms"
start_spread = "0s"
[backoff]
base = "100ms"
cap = "400ms"
floor = "20ms"
[breaker]
consecutive_failures = 5
min_open = "1s"
max_open = "1s"
probe_timeout = "2s"
[buffer]
max_events = ${limits.maxEvents}
max_attempts = ${limits.maxAttempts}
[scanners]
enabled = [${scanners}]
`;

/** Plays one storm and answers with all that is known of it. */
export async function playStorm(plan: StormPlan, tell: (line: string) => void): Promise<Storm> {
  const stage: Stage = { onRequest: null };
  const result: { storm: Storm | null } = { storm: null };
  await onHost(async (host) => {
    result.storm = await new Player(plan, host, { stage, tell }).play();
  }, {
    random: seededRandom(plan.seed + 1),
    onStage: (request, at) => stage.onRequest?.(request, at),
  });
  if (result.storm === null) throw new Error("Cannot judge the storm: it did not end");
  return result.storm;
}

/** Where the server, which is there first, finds who listens. */
interface Stage {
  onRequest: ((request: LoggedRequest, at: RequestStage) => void) | null;
}

class Player {
  readonly #plan: StormPlan;
  readonly #host: Host;
  readonly #random: Random;
  readonly #stage: Stage;
  readonly #tell: (line: string) => void;
  readonly #limits: BufferLimits;
  readonly #lives: LifeRecord[] = [];
  readonly #kills: Kill[] = [];
  readonly #fed: string[] = [];
  readonly #neverTaken = new Set<string>();
  readonly #writtenDown: string[] = [];
  readonly #doubleStarts: DoubleStart[] = [];
  readonly #sentTwice = new Set<string>();
  #stash: StorableCommand[] = [];

  constructor(
    plan: StormPlan,
    host: Host,
    parts: { stage: Stage; tell: (line: string) => void },
  ) {
    this.#plan = plan;
    this.#host = host;
    this.#random = seededRandom(plan.seed);
    this.#stage = parts.stage;
    this.#tell = parts.tell;
    const maxEvents = plan.variant === "full" ? 100 : 50_000;
    this.#limits = { maxEvents, maxBytes: 67_108_864, maxAttempts: MAX_ATTEMPTS };
  }

  get #program(): { instead?: string } {
    return this.#plan.variant === "once" ? { instead: "tests/storm/marking_agent.ts" } : {};
  }

  get #scratch(): string {
    return `${this.#host.folder}/scratch`;
  }

  get #bufferPath(): string {
    return `${this.#host.stateDirectory}/buffer.sqlite`;
  }

  async play(): Promise<Storm> {
    const { kills, variant } = this.#plan;
    await this.#prepare();
    for (let number = 0; number < kills; number++) {
      const isDown = variant === "down" && number < kills / 2;
      if (variant === "down" && number === Math.ceil(kills / 2)) await this.#writeStash(Infinity);
      await this.#host.server.setFault(isDown ? { mode: "refuse" } : drawFault(this.#random));
      await this.#feed(isDown);
      await this.#live(number, isDown);
      if ((number + 1) % 50 === 0) this.#tell(`  ${number + 1} of ${kills}`);
    }
    const atLastKill = await this.#record({ isSettled: false });
    await this.#calm();
    return { atLastKill, afterwards: await this.#record({ isSettled: true }), kills: this.#kills };
  }

  /** Registers, lets an agent make its files and learn to poll rapidly, and puts the witness in. */
  async #prepare(): Promise<void> {
    const host = this.#host;
    await Deno.mkdir(this.#scratch);
    await this.#configure("");
    await host.register();
    await this.#put([], []); // Makes the file.
    placeWitness(this.#bufferPath);
    const params = { duration_minutes: 60 };
    const id = host.server.queueCommand({ type: "enable_heartbeat", params });
    const life = this.#begin(NEVER, { isBusy: false, longestMs: 60_000 });
    await host.until("rapid polling", () => host.logOf(id) !== undefined);
    await life.program.stop("SIGTERM");
    await this.#end(life);
    if (this.#plan.variant === "down") this.#stash = await takeCommands(host, STASH);
  }

  async #configure(scanners: string): Promise<void> {
    const text = configOf(this.#limits, scanners);
    await Deno.writeTextFile(`${this.#host.folder}/config.toml`, text);
  }

  /** Each check-in finds something to take, as a rule. */
  #queueCommands(): void {
    for (let left = Math.floor(this.#random() * 3); left > 0; left--) {
      this.#host.server.queueCommand(drawCommand(this.#random));
    }
  }

  async #feed(isDown: boolean): Promise<void> {
    const chance = isDown || this.#plan.variant === "full" ? 0.5 : 0.25;
    const isFed = this.#random() < chance;
    const events = isFed ? drawEvents(this.#random, 1 + Math.floor(this.#random() * 6)) : [];
    const commands = isDown && isFed
      ? this.#stash.splice(0, 1 + Math.floor(this.#random() * 6))
      : [];
    if (isFed) await this.#put(events, commands);
  }

  async #writeStash(count: number): Promise<void> {
    await this.#put([], this.#stash.splice(0, count));
  }

  async #put(
    events: ReturnType<typeof drawEvents>,
    commands: readonly StorableCommand[],
  ): Promise<void> {
    const { identities, neverTaken } = await feed(this.#host.stateDirectory, this.#limits, {
      events,
      commands,
    });
    this.#fed.push(...identities);
    for (const identity of neverTaken) this.#neverTaken.add(identity);
    this.#writtenDown.push(...commands.map(({ id }) => id));
  }

  async #live(number: number, isDown: boolean): Promise<void> {
    const isScan = !isDown && number % SCAN_EVERY === FIRST_SCAN;
    if (isScan) {
      await this.#configure('"apt"');
      this.#host.server.queueCommand({ type: "scan_updates" });
    }
    const strike: Strike = isScan
      ? { kind: "line", message: "command started", nth: 1, afterMs: this.#random() * 1_500 }
      : drawStrike(this.#random, !isDown);
    const isDouble = this.#random() < 0.05;
    const life = this.#begin(strike, { isBusy: true, ...isScan && { longestMs: LONGEST_SCAN_MS } });
    if (isDouble) await this.#startSecond(life);
    await this.#end(life);
    const folder = { state: this.#host.stateDirectory, scratch: this.#scratch };
    const hits = await findHits(life, folder, this.#host.server.state(), this.#sentTwice);
    this.#kills.push({ strike: strike.kind, isStruck: life.isStruck, hits });
    if (isScan) await this.#configure("");
  }

  /** `isBusy`: commands come in while it lives. */
  #begin(strike: Strike, options: { isBusy: boolean; longestMs?: number }): Life {
    const { isBusy, longestMs } = options;
    const life = new Life(this.#host, strike, { ...this.#program, ...longestMs && { longestMs } });
    this.#stage.onRequest = (request, at) => {
      if (isBusy && at === "arrived" && request.path.endsWith("/commands")) this.#queueCommands();
      life.onStage(request, at);
    };
    return life;
  }

  async #end(life: Life): Promise<void> {
    await life.ended();
    this.#stage.onRequest = null;
    const { bornMs, deadMs, lines } = life;
    this.#lives.push({ bornMs, deadMs, lines });
  }

  /** A second agent on the folder of a running one; it may outlive that one, and is then killed too. */
  async #startSecond(first: Life): Promise<void> {
    const hasStarted = first.program.waitFor("start", (line) => line.includes(STARTED));
    if (!await hasStarted.then(() => true, () => false)) return;
    const second = new Life(this.#host, NEVER, this.#program);
    const status = await Promise.race([second.program.ended, first.program.ended.then(() => null)]);
    second.kill();
    await second.ended();
    const said = second.lines.map(({ message }) => message).join(" ");
    if (status !== null && first.deadMs === Infinity) {
      this.#doubleStarts.push({ code: status.code, said });
      return;
    }
    if (!second.lines.some(({ message }) => message === STARTED)) return;
    // It took the folder over when the first one was dead, and has a life of its own.
    this.#lives.push({ bornMs: first.deadMs, deadMs: second.deadMs, lines: second.lines });
  }

  /** One more life, with a server that is well, until it has all that it takes; it ends by itself. */
  async #calm(): Promise<void> {
    await this.#host.server.setFault({ mode: "none" });
    const life = this.#begin(NEVER, { isBusy: false, longestMs: LONGEST_DRAIN_MS });
    // As long as anything becomes less: what thousands of events take depends on the machine.
    let [least, idleMs] = [Infinity, 0];
    while (idleMs < LONGEST_CALM_MS && life.deadMs === Infinity && least > 0) {
      await new Promise((resolve) => setTimeout(resolve, CALM_STEP_MS));
      const testimony = readTestimony(this.#bufferPath, { readOnly: true });
      const left = settledComplaints({ testimony, neverTaken: this.#neverTaken }).length;
      idleMs = left < least ? 0 : idleMs + CALM_STEP_MS;
      least = Math.min(least, left);
    }
    await life.program.stop("SIGTERM");
    await this.#end(life);
  }

  async #testimony(): Promise<Testimony> {
    const state = this.#host.stateDirectory;
    const copy = await copyBuffer({ state, scratch: this.#scratch });
    if (copy === null) throw new Error("Cannot judge the storm: there is no buffer");
    return readTestimony(copy.path);
  }

  async #marks(): Promise<StormRecord["marks"]> {
    if (this.#plan.variant !== "once") return null;
    const text = await Deno.readTextFile(`${this.#host.stateDirectory}/${MARKS}`);
    return { types: MARKED, ids: text.split("\n").slice(0, -1) };
  }

  async #record({ isSettled }: { isSettled: boolean }): Promise<StormRecord> {
    const state = this.#host.server.state();
    return {
      testimony: await this.#testimony(),
      server: state,
      requests: state.requests,
      lives: this.#lives.toSorted((one, other) => one.bornMs - other.bornMs),
      fed: [...this.#fed],
      writtenDown: [...this.#writtenDown],
      doubleStarts: [...this.#doubleStarts],
      marks: await this.#marks(),
      neverTaken: this.#neverTaken,
      isSettled,
      mayDrop: this.#plan.variant === "full",
    };
  }
}

function drawCommand(random: Random): { type: string; params?: Record<string, unknown> } {
  const kind = random();
  if (kind < 0.4) return { type: "collect_specs" };
  if (kind < 0.6) return { type: "enable_heartbeat", params: { duration_minutes: 60 } };
  if (kind < 0.75) return { type: "install_updates", params: { package_type: "apt" } };
  if (kind < 0.85) return { type: "reboot", params: { delay_minutes: 1 } };
  return { type: kind < 0.95 ? "scan_updates" : "no_such_command" };
}

/** Takes commands from the server in the agent's name: they are handed over, and to be written down. */
async function takeCommands(host: Host, count: number): Promise<StorableCommand[]> {
  const text = await Deno.readTextFile(`${host.stateDirectory}/identity.json`);
  const { agent_id, access_token } = JSON.parse(text);
  const taken: StorableCommand[] = [];
  for (let left = count; left > 0; left--) {
    host.server.queueCommand({ type: left % 2 === 0 ? "collect_specs" : "install_updates" });
  }
  while (taken.length < count) {
    const machineId = host.server.state().age02?.bindings[0]?.machineId ?? "";
    const answer = await fetch(`${host.server.url}/api/v1/agents/${agent_id}/commands`, {
      headers: { Authorization: `Bearer ${access_token}`, "X-Machine-ID": machineId },
    });
    const { commands } = await answer.json();
    for (const { id, type, params } of commands ?? []) {
      taken.push({ id, type, params: JSON.stringify(params) });
    }
  }
  return taken;
}
