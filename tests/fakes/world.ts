/**
 * The world of the tests: the agent as `src/agent/` wires it, on a machine in memory, with a server in
 * memory. A test looks at the files, the buffer, the log and the requests; it never wires a part itself.
 * Of what `pennon run` does around the agent, the lock, telemetry and `Agent.watch` are left out: that
 * would look at the state directory every 5 s of a simulated day, and a test of it calls it.
 */

import { type Agent, openAgent } from "../../src/agent/agent.ts";
import { STATE_FILE } from "../../src/agent/saved_state.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import type {
  Command,
  CommandHandler,
  CommandJournal,
  CommandOutcome,
  RunningHandler,
} from "../../src/buffer/journal.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { type OpenedBuffer, reopenBuffer } from "../../src/buffer/store.ts";
import { isSet, loadConfig } from "../../src/config.ts";
import { type Identity, loadIdentity, saveIdentity } from "../../src/identity.ts";
import type { Loop } from "../../src/loop/loop.ts";
import { type AgentState, encodeState, NEW_STATE, type StoredState } from "../../src/loop/state.ts";
import type { UnsignedCommands } from "../../src/server/key_trust.ts";
import type { Database } from "../../src/system/database.ts";
import { settle } from "./clock.ts";
import { FakeLog } from "./log.ts";
import { FakeServer } from "./server.ts";
import { FakeSystem } from "./system.ts";

export const AGENT_ID = "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11";

/** The state directory of a world. */
const STATE = "/state";
export const SERVER_URL = "http://server.test";

/**
 * Command types that this version refuses, and that a world hands to the test's handler: what the agent
 * does with a command does not depend on its type. All others have the agent's own handlers.
 */
const TEST_COMMANDS: readonly string[] = ["install_updates", "reboot"];

/** A signal that never comes. */
export const NEVER: AbortSignal = new AbortController().signal;

/** The log that ends a command. */
export function log(id: string, text = "done"): NewEvent {
  const body = JSON.stringify({ command_id: id, text });
  return { kind: "log", commandId: id, snapshotOf: null, body };
}

/** What a test may have otherwise; all of it may be changed until the agent is opened. */
interface WorldOptions {
  /** @default a machine in memory on which all is well */
  readonly system?: FakeSystem;
  /** The text of the configuration file. @default none, so the defaults */
  readonly configuration?: string;
  /** What the agent was told when it registered. @default the configuration's */
  readonly intervalMs?: number;
  /** No setting allows "all": a server of age 0.1 has no key, and a test command is not one that only reads. */
  readonly unsigned?: UnsignedCommands;
  /** Whether a new agent reports the host's facts at once; else within the hour, as after a restart. */
  readonly hostFacts?: boolean;
}

/** An agent on a whole machine in memory; `ran` lists the commands as the test's handler ran them. */
export class World {
  readonly system: FakeSystem;
  readonly server: FakeServer;
  readonly log = new FakeLog();
  readonly identity: Identity;
  readonly ran: string[] = [];
  /** Of each state that the agent saved, whether it was to survive a power cut. */
  readonly savedDurably: boolean[] = [];
  /** Of a start, the longest wait until its first check-in. */
  startSpreadMs = 0;
  maxAttempts = 3;
  /** How long the disk takes to have a state. */
  saving: Promise<void> = Promise.resolve();
  /** Of the commands of `TEST_COMMANDS`. */
  handler: RunningHandler = {
    repeatable: true,
    run: (command) => Promise.resolve(this.done(command)),
  };
  readonly #options: WorldOptions;
  readonly #savedTexts: string[] = [];
  #stop = new AbortController();
  #cut = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #agent: Agent | null = null;
  #stored: OpenedBuffer | null = null;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.system = options.system ?? new FakeSystem();
    const { clock, files } = this.system;
    this.server = new FakeServer(clock);
    this.system.sendHttp = (request) => this.server.sendHttp(request);
    this.identity = {
      agentId: AGENT_ID,
      serverUrl: SERVER_URL,
      accessToken: this.server.acceptedToken,
      refreshToken: this.server.refreshToken,
      intervalMs: options.intervalMs ?? null,
    };
    const write = files.writeText.bind(files);
    files.writeText = async (purpose, path, text, how) => {
      if (purpose === "save the state") {
        this.#savedTexts.push(text);
        this.savedDurably.push(how.durability === "content");
        await this.saving;
      }
      await write(purpose, path, text, how);
    };
  }

  done(command: Pick<Command, "id">, rapidPollingMs: number | null = null): CommandOutcome {
    this.ran.push(command.id);
    return { events: [log(command.id)], rapidPollingMs };
  }

  /** Opens the agent, which is closed, on what the disk holds; on `state` if that is given. */
  async open(state?: AgentState): Promise<Agent> {
    const { system, identity } = this;
    const { configuration, unsigned = "all" } = this.#options;
    if (configuration !== undefined) {
      system.files.texts.set("/etc/pennon/config.toml", configuration);
    }
    if (await loadIdentity(system, STATE) === undefined) {
      await saveIdentity(system, STATE, identity);
    }
    this.#prepareState(state);
    const loaded = await loadConfig(system);
    const { startSpreadMs, maxAttempts } = this;
    const config = {
      ...loaded.config,
      polling: { ...loaded.config.polling, startSpreadMs },
      buffer: { ...loaded.config.buffer, maxAttempts },
      commands: { ...loaded.config.commands, unsigned },
    };
    this.#agent = await openAgent({
      system,
      config,
      identity: await loadIdentity(system, STATE) ?? identity,
      stateDirectory: STATE,
      log: this.log,
      moreHandlers: this.#handlers(),
      isSet: (path) => isSet(loaded, path),
    });
    this.#stored = reopenBuffer(system, `${STATE}/buffer.sqlite`, config.buffer);
    return this.#agent;
  }

  #prepareState(given?: AgentState): void {
    const { clock, files } = this.system;
    const path = STATE_FILE.pathIn(STATE);
    const isTold = this.#options.hostFacts !== true;
    if (given === undefined && (!isTold || files.texts.has(path))) return;
    const at = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    const state = given ?? NEW_STATE;
    const lastSystemInfoAtMs = isTold ? at.monotonicMs : state.lastSystemInfoAtMs;
    files.texts.set(path, STATE_FILE.encode(encodeState({ ...state, lastSystemInfoAtMs }, at)));
  }

  #handlers(): ReadonlyMap<string, CommandHandler> {
    const current = () => this.handler;
    const handler: RunningHandler = {
      get repeatable() {
        return current().repeatable;
      },
      run: (command, context) => current().run(command, context),
    };
    return new Map(TEST_COMMANDS.map((type) => [type, handler]));
  }

  /** Opens the agent and has it run. */
  async start(state?: AgentState): Promise<void> {
    const { loop } = await this.open(state);
    this.#stop = new AbortController();
    this.#cut = new AbortController();
    this.#running = loop.run({
      shutdownSignal: this.#stop.signal,
      deadlineSignal: this.#cut.signal,
    });
    await settle();
  }

  /** One cycle of an agent that is opened and does not run. */
  once(): Promise<boolean> {
    return this.loop.runOnce({ shutdownSignal: NEVER, deadlineSignal: NEVER });
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("stop"));
    await this.#running;
    await this.#agent?.close();
  }

  /** Ends what is under way with the server. */
  cutOff(): void {
    this.#cut.abort(new Error("cut off"));
  }

  async advance(ms: number): Promise<void> {
    await this.system.clock.advance(ms);
    await settle();
  }

  get agent(): Agent {
    return opened(this.#agent);
  }

  get loop(): Loop {
    return this.agent.loop;
  }

  /** The buffer on disk, as `pennon events` opens it beside the agent; the agent's is private. */
  get buffer(): SqliteBuffer {
    return opened(this.#stored).buffer;
  }

  get journal(): CommandJournal {
    return opened(this.#stored).journal;
  }

  get database(): Database {
    return opened(this.#stored).database;
  }

  /** The reports that the server took, but for the host's facts: those go every hour, whatever else does. */
  get reports(): FakeServer["reports"] {
    return this.server.reports.filter(({ report }) => report !== "system-info");
  }

  /** The state each time the agent saved it; instants since the epoch. */
  get saved(): readonly StoredState[] {
    return this.#savedTexts.map((text) => {
      const state = STATE_FILE.decode(text);
      if (!state.ok) throw new Error(`the agent saved what it cannot read: ${state.why}`);
      return state.value;
    });
  }

  checkIns(): number {
    return this.server.count("/commands");
  }
}

function opened<T>(part: T | null): T {
  if (part === null) throw new Error("the agent of this world is not opened yet");
  return part;
}

/** Plays a story on an agent that has checked in once, and stops it. */
export async function inWorld(
  story: (world: World) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const world = new World(options);
  await world.start();
  await world.advance(0);
  await story(world);
  await world.stop();
}
