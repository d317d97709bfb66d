/** A loop on a whole machine in memory, with a server in memory: for tests of the loop. */

import { connectionPolicies } from "../../src/breaker/policies.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import type {
  Command,
  CommandJournal,
  CommandOutcome,
  RunningHandler,
} from "../../src/buffer/journal.ts";
import type { Database } from "../../src/system/database.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { Connection } from "../../src/connection/connection.ts";
import { Loop } from "../../src/loop/loop.ts";
import { Session } from "../../src/connection/session.ts";
import { type AgentState, NEW_STATE } from "../../src/loop/state.ts";
import { CommandRunner } from "../../src/loop/command_runner.ts";
import { Secrets } from "../../src/redact.ts";
import { Client } from "../../src/server/client.ts";
import { settle } from "./clock.ts";
import { backoff, breaker, INTERVAL_MS } from "./breaker_numbers.ts";
import { FakeLog } from "./log.ts";
import { FakeServer } from "./server.ts";
import { FakeSystem } from "./system.ts";

const AGENT_ID = "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11";

/** A signal that never comes. */
export const NEVER: AbortSignal = new AbortController().signal;

/** The log that ends a command. */
export function log(id: string, text = "done"): NewEvent {
  const body = JSON.stringify({ command_id: id, text });
  return { kind: "log", commandId: id, snapshotOf: null, body };
}

/** A loop on a whole machine in memory; `ran` lists the commands as they were run. */
export class World {
  readonly system = new FakeSystem();
  readonly server = new FakeServer(this.system.clock);
  readonly log = new FakeLog();
  readonly ran: string[] = [];
  readonly saved: AgentState[] = [];
  /** Of each of those, whether it was to survive a power cut. */
  readonly savedDurably: boolean[] = [];
  systemInfo: NewEvent | null = null;
  startSpreadMs = 0;
  maxAttempts = 3;
  /** How long the disk takes to have a state. */
  saving: Promise<void> = Promise.resolve();
  handler: RunningHandler = {
    repeatable: true,
    run: (command) => Promise.resolve(this.done(command)),
  };
  #stop = new AbortController();
  #cut = new AbortController();
  #running: Promise<void> = Promise.resolve();
  buffer!: SqliteBuffer;
  database!: Database;
  journal!: CommandJournal;
  loop!: Loop;

  done(command: Command, rapidPollingMs: number | null = null): CommandOutcome {
    this.ran.push(command.id);
    return { events: [log(command.id)], rapidPollingMs };
  }

  /** Starts an agent; again after `crash()`, on what the disk holds. */
  async start(state: AgentState = NEW_STATE): Promise<void> {
    const { clock, random } = this.system;
    const limits = { maxEvents: 1_000, maxBytes: 1_000_000, maxAttempts: this.maxAttempts };
    const { buffer, journal, database } = await openBuffer(this.system, "/state", limits);
    this.buffer = buffer;
    this.database = database;
    this.journal = journal;
    const client = new Client(this.server.sendHttp, clock, {
      serverUrl: "http://server.test",
      agentVersion: "0.0.0",
      machineId: "0123456789abcdef",
      tls: {},
      proxyUrl: null,
      connectTimeoutMs: 10_000,
      timeoutMs: 30_000,
      healthTimeoutMs: 5_000,
      maxBodyBytes: 4_000_000,
      secrets: new Secrets(),
    });
    const caller = { agentId: AGENT_ID, accessToken: "access-1" };
    const session = new Session({
      clock,
      random,
      log: this.log,
      renew: (signal) => client.renew(AGENT_ID, "refresh-1", { signal }),
    }, caller);
    const connection = new Connection({
      clock,
      random,
      log: this.log,
      policies: connectionPolicies({ backoff, breaker, intervalMs: INTERVAL_MS }),
      isRapid: () => loop.isRapid,
      callLimitMs: 100_000,
      client,
      session,
      countPending: () => buffer.countWaiting().pending,
    }, state.connection);
    const runner = new CommandRunner({
      clock,
      log: this.log,
      journal,
      buffer,
      findHandler: () => this.handler,
      reportFailure: (command, why) => log(command.id, `failed: ${why}`),
      onAppend: () => loop.afterAppend(),
      onDone: (outcome) => loop.afterCommand(outcome),
    });
    const loop: Loop = new Loop({
      agentId: AGENT_ID,
      clock,
      random,
      log: this.log,
      connection,
      client,
      buffer,
      journal,
      runner,
      backoff,
      polling: {
        intervalMs: INTERVAL_MS,
        rapidIntervalMs: 5_000,
        startSpreadMs: this.startSpreadMs,
      },
      describeHost: (rapidLeftMs) => ({
        version: "0.0.0",
        metadata: { rapid_polling_enabled: rapidLeftMs > 0 },
      }),
      collectSystemInfo: () => Promise.resolve(this.systemInfo),
      saveState: (saved, { isDurable }) => {
        this.saved.push(saved);
        this.savedDurably.push(isDurable);
        return this.saving;
      },
    }, state);
    this.loop = loop;
    this.#stop = new AbortController();
    this.#cut = new AbortController();
    this.#running = loop.run({
      shutdownSignal: this.#stop.signal,
      deadlineSignal: this.#cut.signal,
    });
    await settle();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("stop"));
    await this.#running;
  }

  /** Ends what is under way with the server. */
  cutOff(): void {
    this.#cut.abort(new Error("cut off"));
  }

  async advance(ms: number): Promise<void> {
    await this.system.clock.advance(ms);
    await settle();
  }

  checkIns(): number {
    return this.server.count("/commands");
  }
}

/** Plays a story on a loop that has checked in once, and stops it. */
export async function inWorld(story: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  await world.start();
  await world.advance(0);
  await story(world);
  await world.stop();
}
