/** One run of the real agent in a world of virtual time: one seed, one trace. */

import { type Agent, openAgent } from "../../src/agent/agent.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import type { CommandHandler } from "../../src/buffer/journal.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import { loadConfig } from "../../src/config.ts";
import type { Config } from "../../src/config/settings.ts";
import { loadIdentity, saveIdentity } from "../../src/identity.ts";
import type { Log } from "../../src/log.ts";
import { HttpError, type HttpRequest, type HttpResponse } from "../../src/system/http.ts";
import type { HostEvent, Random, System } from "../../src/system/system.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem, MACHINE_ID, seededRandom, UNSUPERVISED } from "../fakes/system.ts";
import type { Episode, Fault } from "./episodes.ts";
import { fateOf } from "./fates.ts";
import { Gate } from "./gate.ts";
import {
  beginRotation,
  beginSwap,
  endRotation,
  endSwap,
  forgeCommands,
  setClockOff,
} from "./key_faults.ts";
import { type Ending, Monitor, ORIGIN, Violation } from "./monitor.ts";
import { SimClock } from "./sim_clock.ts";
import { SimDisk } from "./sim_disk.ts";
import { setServerFault } from "./server_faults.ts";
import { CommandWatch } from "./command_watch.ts";
import { ServerWatch } from "./server_watch.ts";
import type { Age, ServerCommand } from "./sim_commands.ts";
import { SIM_AGENT } from "./sim_keys.ts";
import {
  aptLists,
  dnfLists,
  PROGRAMS,
  type ScanMood,
  SIM_MACHINE,
  simCommands,
} from "./sim_host.ts";
import { carry, type RequestFate, unknownForMs } from "./sim_network.ts";
import { SimServer } from "./sim_server.ts";
import { FIRST_REFRESH_TOKEN } from "./sim_tokens.ts";
import { Trace } from "./trace.ts";
import { textOf } from "../fakes/response.ts";

const START_MS = Date.UTC(2026, 0, 1);
const STATE = "/var/lib/pennon";
const LIMITS = { maxEvents: 50_000, maxBytes: 64 * 1_024 ** 2, maxAttempts: 10 };
const LISTS_MS = 12 * 3_600_000;
const YEARS_MS = 10 * 365 * 86_400_000;
/** Far more than the server takes in a minute. */
const BACKLOG = 300;

/** A world with one host and one server, and what goes wrong in it. */
export class Sim {
  readonly clock = new SimClock(START_MS);
  readonly disk = new SimDisk();
  readonly server: SimServer;
  readonly trace = new Trace(() => this.clock.trueMs);
  readonly monitor: Monitor;
  readonly watch: ServerWatch;
  readonly commands: CommandWatch;
  /** Updates that are installed, or were withdrawn, as `type/name`; the server's rows may not know. */
  readonly withdrawn = new Set<string>();
  readonly random: Random;
  /** How often each command that must not be repeated was run. */
  readonly runs = new Map<string, number>();
  /** Texts of events that were put into the buffer. */
  readonly piled: string[] = [];
  /** The first process dies at this call of a port. */
  crashAtCall = Infinity;
  /** Overrides the fate of requests, for scenarios. */
  fate: ((request: HttpRequest) => RequestFate | null) | null = null;
  requests = 0;
  starts = 0;
  agent: Agent | null = null;
  #gate = new Gate(() => {});
  #hints = new Set<(hint: HostEvent) => void>();
  #cutOff = new AbortController();
  #config: Config | null = null;
  #active = new Map<Fault, number>();
  #violation: Violation | null = null;
  #release = Promise.withResolvers<void>();

  constructor(readonly seed: number, age: Age = "0.1") {
    this.random = seededRandom(seed);
    this.server = new SimServer(() => this.clock.serverNowMs, this.random() < 0.5, age);
    this.monitor = new Monitor(this.clock, (what) => this.fail(what));
    this.watch = new ServerWatch({ ...this, fail: (what) => this.fail(what) });
    this.commands = new CommandWatch({ ...this, fail: (what) => this.fail(what) });
    this.trace.onMessage = (message, fields) => {
      if (message === "step failed") this.fail("a step failed");
      this.monitor.logged(message, fields);
      this.commands.logged(message, fields);
    };
    this.disk.onLost = (what) => this.fail(what);
    for (const path of [...PROGRAMS, "/var/lib/rpm/rpmdb.sqlite"]) this.disk.texts.set(path, "");
    this.disk.texts.set(...MACHINE_ID);
    for (const [path, text] of [...aptLists(STATE), ...dnfLists()]) this.disk.texts.set(path, text);
    // Package lists come twice a day.
    this.disk.modifiedMs = () => Math.floor(this.clock.serverNowMs / LISTS_MS) * LISTS_MS;
  }

  fail(what: string): void {
    if (this.#violation) return;
    this.trace.note(`!!! ${what}`);
    this.#violation = new Violation(what);
    this.clock.isStopped = true;
  }

  /** Enrols the host and starts the agent. */
  async begin(): Promise<void> {
    const { config } = await loadConfig(new FakeSystem());
    // No setting allows it: a server of 0.1 has no key, and commands that change something are not signed.
    const hasKey = this.server.age === "0.2";
    this.#config = hasKey ? config : { ...config, commands: { unsigned: "all" } };
    const system = { files: this.disk.files(new Gate(() => {})) };
    await saveIdentity(system, STATE, {
      agentId: SIM_AGENT,
      serverUrl: ORIGIN,
      accessToken: this.server.enrol(SIM_MACHINE),
      refreshToken: FIRST_REFRESH_TOKEN,
      isRefreshTokenUnsent: true,
      intervalMs: 300_000,
    });
    await this.start();
  }

  /** Lets the world go on until `untilMs`; throws the first violation. */
  async run(untilMs: number): Promise<void> {
    while (this.clock.trueMs < untilMs) {
      const stepMs = Math.min(untilMs, this.clock.trueMs + 3_600_000);
      await this.clock.run(stepMs);
      this.#countEvents();
      if (this.#violation) throw this.#violation;
    }
  }

  queue(command: ServerCommand): void {
    this.server.queue(command);
  }

  /** Schedules what goes wrong. */
  plan(episodes: readonly Episode[]): void {
    for (const { fault, fromMs, toMs } of episodes) {
      this.#at(fromMs, () => this.#beginFault(fault, toMs));
      this.#at(toMs, () => this.#endFault(fault));
    }
  }

  #at(trueMs: number, act: () => void): void {
    this.clock.inWorld(trueMs - this.clock.trueMs, act);
  }

  isActive(fault: Fault): boolean {
    return (this.#active.get(fault) ?? 0) > 0;
  }

  #beginFault(fault: Fault, toMs: number): void {
    this.trace.note(`--- ${fault} until ${Math.round(toMs / 1_000)} s`);
    this.#active.set(fault, (this.#active.get(fault) ?? 0) + 1);
    setServerFault(this.server, fault, true);
    switch (fault) {
      case "crash":
        return this.#gate.crashIn(1 + Math.floor(this.random() * 60));
      case "crash_loop":
        return this.#crashOn(toMs);
      case "disk_full":
      case "disk_io":
        this.monitor.excuse();
        this.disk.fault = fault === "disk_full" ? "full" : "io";
        return;
      case "torn_state":
        this.disk.texts.set(`${STATE}/state.json`, '{"schema":"pennon.state/1","conn');
        this.monitor.excuse();
        return this.#gate.kill();
      case "clock_jump":
        this.monitor.excuse();
        this.clock.wallOffsetMs = this.random() < 0.5 ? YEARS_MS : -YEARS_MS;
        return;
      case "clock_off":
        this.monitor.excuse();
        return setClockOff(this);
      case "key_rotated":
        return beginRotation(this);
      case "key_swapped":
        return beginSwap(this);
      case "commands_forged":
        return forgeCommands(this, toMs);
      case "suspend":
        return this.#suspend(toMs - this.clock.trueMs);
      case "backlog":
        return this.pile(BACKLOG);
      case "secret_changes":
        return this.#changeSecret(toMs);
    }
  }

  #endFault(fault: Fault): void {
    this.#active.set(fault, (this.#active.get(fault) ?? 1) - 1);
    if (this.isActive(fault)) return;
    this.trace.note(`--- ${fault} is over`);
    setServerFault(this.server, fault, false);
    if (fault === "key_rotated") return endRotation(this);
    if (fault === "key_swapped") return endSwap(this);
    if (fault === "clock_jump" || fault === "clock_off") {
      this.clock.wallOffsetMs = 0;
      this.monitor.excuse();
    }
    if (fault !== "disk_full" && fault !== "disk_io") return;
    this.monitor.excuse();
    if (!this.isActive("disk_full") && !this.isActive("disk_io")) this.disk.fault = null;
  }

  /** So many events are in the buffer all at once, as after a while without a server. */
  pile(count: number): void {
    // A disk that takes none is another fault's story.
    if (this.disk.fault !== null) return void this.clock.after(60_000, () => this.pile(count));
    const events = Array.from({ length: count }, (_, n): NewEvent => {
      const body = JSON.stringify({ n, piledMs: this.clock.trueMs });
      return { kind: "dependencies", commandId: null, snapshotOf: null, body };
    });
    void this.change((buffer) => {
      buffer.append(events);
      this.piled.push(...events.map(({ body }) => body));
    });
  }

  /** No access token stays good for long: renewals, over and over. */
  #changeSecret(untilMs: number): void {
    if (this.clock.trueMs >= untilMs) return;
    this.server.revokeAccess();
    this.clock.inWorld(20_000 + this.random() * 300_000, () => this.#changeSecret(untilMs));
  }

  #crashOn(untilMs: number): void {
    if (this.clock.trueMs >= untilMs) return;
    this.#gate.crashIn(1 + Math.floor(this.random() * 40));
    this.clock.after(5_000 + this.random() * 60_000, () => this.#crashOn(untilMs));
  }

  /** Lets the answers come that were held back. */
  releaseHeld(): void {
    this.#release.resolve();
    this.#release = Promise.withResolvers<void>();
  }

  /** Ends the process and starts another one, in the same instant. */
  restartAtOnce(): void {
    this.#gate.isDead = true;
    this.agent = null;
    this.#cutOff.abort(new Error("died"));
    void this.start();
  }

  /** How often the present process has called a port, doubled: before and after. */
  get calls(): number {
    return this.#gate.calls;
  }

  /** Ends the process as `kill -9` would, here and now. */
  kill(): void {
    this.#gate.kill();
  }

  #suspend(ms: number): void {
    if (ms <= 0) return;
    this.monitor.excuse();
    this.clock.suspend(ms);
    const cutOff = this.#cutOff;
    this.#cutOff = new AbortController();
    this.clock.after(1_000, () => cutOff.abort(new Error("slept")));
    this.clock.after(this.random() * 10_000, () => this.hint("woke"));
  }

  /** The host tells whoever listens that it is back. */
  hint(hint: HostEvent): void {
    for (const listener of this.#hints) listener(hint);
  }

  async start(): Promise<void> {
    this.starts += 1;
    const gate = new Gate(() => {
      this.trace.note("--- the process dies");
      // A request of its own may have been answered, and nothing of that be on disk.
      this.monitor.excuse();
      this.agent = null;
      this.#cutOff.abort(new Error("died"));
      this.clock.after(1_000 + this.random() * 30_000, () => void this.start());
    });
    this.#gate = gate;
    if (this.starts === 1) gate.crashIn(this.crashAtCall);
    this.#hints = new Set();
    this.#cutOff = new AbortController();
    const system = this.#system(gate);
    this.trace.note(`--- start ${this.starts}`);
    try {
      const identity = await loadIdentity(system, STATE);
      if (identity === undefined || this.#config === null) throw new Error("no identity");
      const agent = await openAgent({
        system,
        config: this.#config,
        identity,
        stateDirectory: STATE,
        log: this.#logOf(gate),
        moreHandlers: new Map([["install_updates", this.#installer(system)]]),
      });
      if (gate.isDead) return;
      this.agent = agent;
      system.onHostEvent((event) => agent.loop.onHostEvent(event));
      const never = new AbortController().signal;
      agent.loop.run({ shutdownSignal: never, deadlineSignal: never }).then(
        () => this.fail("the agent stopped by itself"),
        (error) => gate.isDead || this.fail(`the agent died: ${error}`),
      );
    } catch (error) {
      if (gate.isDead) return;
      this.fail(`the agent did not start: ${error}`); // Whatever the disk does.
    }
  }

  /** A dead process says nothing more. */
  #logOf(gate: Gate): Log {
    const { trace } = this;
    return {
      debug: () => {},
      info: (message, fields) => gate.isDead || trace.info(message, fields),
      warning: (message, fields) => gate.isDead || trace.warning(message, fields),
      error: (message, fields) => gate.isDead || trace.error(message, fields),
    };
  }

  #system(gate: Gate): System {
    const { clock, disk } = this;
    const fake = new FakeSystem();
    const world = {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      asleepMs: () => clock.asleepMs(),
      sleep: (ms: number, signal: AbortSignal) => gate.later(() => clock.sleep(ms, signal)),
      after: (ms: number, call: () => void) =>
        gate.sync(() => clock.after(ms, () => gate.isDead || call())),
      turn: () => clock.turn(),
    };
    const { random, withdrawn } = this;
    const { cryptography, machine, terminal, network } = fake;
    const commands = simCommands({ clock, random, withdrawn }, (name) => this.#moodOf(name));
    return {
      os: "linux",
      architecture: "x86_64",
      processId: this.starts,
      clock: world,
      random,
      files: disk.files(gate),
      ...{ cryptography, machine, terminal, network },
      runCommand: (argv, options) => gate.later(() => commands(argv, options)),
      sendHttp: (request) => gate.later(() => this.#send(request)),
      openDatabase: (path) => disk.open(gate, path),
      readEnvironment: () => undefined,
      onHostEvent: (listener) => {
        this.#hints.add(listener);
        return () => this.#hints.delete(listener);
      },
      ...UNSUPERVISED,
    };
  }

  #moodOf(manager: "apt" | "dnf"): ScanMood {
    // One of the two is sick at a time: the other must not notice.
    if (manager === "dnf") return this.isActive("scan_partial") ? "partial" : "well";
    if (this.isActive("scan_hangs")) return "hangs";
    if (this.isActive("scan_fails")) return "fails";
    if (this.isActive("scan_locked")) return "locked";
    if (this.isActive("scan_garbage")) return "garbage";
    return this.isActive("scan_flood") ? "flood" : "well";
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    const { agent, clock, monitor } = this;
    if (agent === null) throw new Error("a request of a dead agent");
    this.requests += 1;
    const path = monitor.request(request, agent.loop.state);
    const fate = this.fate?.(request) ?? fateOf(this, request);
    const { isAgentDeleted, isDatabaseDown } = this.server;
    // Where old check-ins are repeated, a database that is down looks like a deletion.
    if (isAgentDeleted || isDatabaseDown && fate.kind === "repeated") monitor.deleted();
    const unknownMs = unknownForMs(fate, request);
    if (unknownMs !== null) monitor.disturbed(unknownMs);
    if (path === "check_in") {
      this.watch.checkIn(request);
      if (fate.kind === "repeated") this.watch.answeredByOther();
    }
    const startedMs = clock.trueMs;
    try {
      const response = await carry(request, fate, {
        clock,
        server: this.server,
        cutOff: this.#cutOff.signal,
        release: this.#release.promise,
      });
      const ending = endingOf(response, path);
      this.trace.note(`${path} ${fate.kind} ${response.status}`);
      if (this.agent === agent) monitor.ended(path, ending, startedMs);
      if (path === "check_in" && response.status >= 500) monitor.broke();
      const asked = Number(response.headers["retry-after"] ?? 0) * 1_000;
      if (asked > 0 && (path !== "health" || response.status === 503)) {
        monitor.asked(path, asked, response.status === 503);
      }
      this.commands.answered(response, this.#gate, () => this.isActive("late"));
      return response;
    } catch (error) {
      const reason = error instanceof HttpError ? error.reason : String(error);
      this.trace.note(`${path} ${fate.kind} ${reason}`);
      const isOwn = reason === "aborted";
      const ending = isOwn ? "neutral" : reason === "offline" ? "offline" : "failure";
      if (this.agent === agent) monitor.ended(path, ending, startedMs);
      throw error;
    }
  }

  /** Something that must not be done twice. */
  #installer(system: System): CommandHandler {
    return {
      repeatable: false,
      run: async (command) => {
        const count = (this.runs.get(command.id) ?? 0) + 1;
        this.runs.set(command.id, count);
        if (count > 1) this.fail(`command ${command.id} was run ${count} times`);
        this.commands.accepted(command.id);
        if (this.commands.stateOf(command.id) !== "started") {
          this.fail(`command ${command.id} runs and is not written down`);
        }
        await system.clock.sleep(1_000 + this.random() * 300_000, new AbortController().signal);
        const log = logEvent(command, { result: "success", durationMs: 1_000 });
        return { events: [log], rapidPollingMs: null };
      },
    };
  }

  #countEvents(): void {
    // Until the tables are created there is nothing to count.
    const rows = this.disk.database.all(
      "SELECT count(*) AS indexes FROM sqlite_master WHERE name = 'events_by_id'",
    );
    if (rows[0]?.["indexes"] !== 1) return;
    const [value = {}] = this.disk.database.all("SELECT * FROM totals");
    const of = (name: string) => Number(value[name] ?? 0);
    const evicted = Object.keys(value).filter((name) => name.startsWith("evicted_"))
      .reduce((sum, name) => sum + of(name), 0);
    const accounted = of("delivered") + of("pending") + of("dead_lettered") + of("purged") +
      evicted;
    if (of("appended") !== accounted) {
      this.fail(`${of("appended")} events appended, ${accounted} accounted for`);
    }
  }

  /** Changes the buffer as a person does, in the agent's own process: one that dies in it never ends. */
  async change(work: (buffer: SqliteBuffer) => void): Promise<void> {
    const gate = this.#gate;
    openBuffer(this.#system(gate), STATE, LIMITS).then(({ buffer }) => work(buffer))
      .catch((error) => gate.isDead || this.fail(`the buffer was not changed: ${error}`));
    await settle();
  }

  /** What the disk holds, read as the agent would. */
  async inspect() {
    const system = this.#system(new Gate(() => {}));
    const { buffer, database, journal } = await openBuffer(system, STATE, LIMITS);
    return { buffer, database, journal };
  }

  close(): void {
    this.#gate = new Gate(() => {});
    this.disk.database.close();
  }
}

function endingOf(response: HttpResponse, path: string): Ending {
  const { status } = response;
  const body = textOf(response);
  // A server that accepts check-ins and fails on an event is not gone.
  if (path === "delivery" && (status === 500 || status === 404)) return "neutral";
  if (path === "delivery" && status === 409) return "good"; // It has the result, or wants none.
  if (status === 404) return "failure";
  // A server that sheds load for a moment: it works.
  const waitS = Number(response.headers["retry-after"] ?? Infinity);
  if (status === 503 && waitS > 0 && waitS <= 10 && body.startsWith("{")) return "neutral";
  if (status === 426) return "neutral";
  if (status === 429 || status === 401 || status === 403) return "neutral";
  if (status >= 500 || status === 408 || status < 200 || status >= 300) return "failure";
  if (body.startsWith("<")) return "failure";
  return path === "health" && !body.includes('"healthy"') ? "failure" : "good";
}
