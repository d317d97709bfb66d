/** Wires an agent together: given a system, a configuration and an identity, one that is ready. */

import { longestScannerOpenMs } from "../breaker/scanner.ts";
import type { NewEvent } from "../buffer/buffer.ts";
import type { CommandHandler } from "../buffer/command.ts";
import { failureEvent } from "../commands/command_log.ts";
import { commandHandlers } from "../commands/handlers.ts";
import { withResentRow } from "../commands/reported_snapshot.ts";
import { type ScannerBreakers, ScannerRunner } from "../commands/scanner_runner.ts";
import type { Config } from "../config.ts";
import { hostFacts, hostMetrics } from "../host/host.ts";
import { type Identity, saveIdentity, secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import { Connection } from "../loop/connection.ts";
import { Loop } from "../loop/loop.ts";
import { LONGEST_RAPID_MS } from "../loop/rapid.ts";
import { Session } from "../loop/session.ts";
import { type LoopState, NEW_STATE } from "../loop/state.ts";
import { NEEDS_PERSON_WAIT_MS } from "../loop/doubt.ts";
import { connectionPolicies } from "../loop/transition.ts";
import { Worker } from "../loop/worker.ts";
import { availableScanners } from "../scanners/registry.ts";
import { lastReboot, readLastScans } from "../scanners/last_scans.ts";
import type { Secrets } from "../secrets.ts";
import type { Client } from "../server/client.ts";
import { FileError } from "../system/files.ts";
import type { CpuTimes } from "../system/machine.ts";
import type { Clock, System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { BreakerResetRequests, CONNECTION } from "./breaker_reset.ts";
import { clientFor } from "./create_client.ts";
import type { InstanceLock } from "./instance_lock.ts";
import { type AgentCondition, checkInBody, systemInfoEvent } from "./host_report.ts";
import { loadScannerBreakers, loadState, saveScannerBreakers, saveState } from "./saved_state.ts";
import { StateStore } from "./state_directory.ts";

/** Between two looks at the state directory: one wake-up for all that is looked for there. */
const LOOK_EVERY_MS = 5_000;

/** What an agent is made from. */
export interface AgentParts {
  readonly system: System;
  readonly config: Config;
  readonly identity: Identity;
  readonly stateDirectory: string;
  readonly log: Log;
  /** The log's own: tokens that come with a renewal are added to it. @default the identity's tokens */
  readonly secrets?: Secrets;
  /** Who runs types of commands that this version leaves to others. @default nobody */
  readonly moreHandlers?: ReadonlyMap<string, CommandHandler>;
  /** The hold on the state folder, to be renewed if that is made anew. @default none */
  readonly hold?: InstanceLock;
}

/** An agent that is ready to run. */
export interface Agent {
  readonly loop: Loop;
  /** Closes a breaker, "connection" or a scanner's, because a person said so. */
  resetBreaker(name: string): Promise<void>;
  /** Looks after the state directory, and takes up requests in it, until `signal` is given. */
  watch(signal: AbortSignal): Promise<void>;
  /** Lets go of the buffer. */
  close(): void;
}

/**
 * Makes an agent of its parts. A disk that refuses stops nobody: the agent goes on with what it can
 * read, and keeps in memory what cannot be written. Throws `FileError`, or `Error`, where a
 * certificate cannot be used.
 */
export async function makeAgent(parts: AgentParts): Promise<Agent> {
  const { system, config, identity, stateDirectory, log } = parts;
  const client = await clientFor(system, config, identity.serverUrl, {
    warn: (why) => log.warning("file is not safe", { why }),
    secrets: parts.secrets ?? secretsOf(identity),
  });
  const intervalMs = identity.intervalMs ?? config.polling.intervalMs;
  const longest = {
    notBeforeMs: 2 * NEEDS_PERSON_WAIT_MS,
    openMs: config.breaker.maxOpenMs,
    rapidMs: LONGEST_RAPID_MS,
    intervalMs: 2 * intervalMs,
  };
  const state = await readOr(
    log,
    "state",
    () => loadState(system, stateDirectory, { longest, log }),
    NEW_STATE,
  );
  const guard = await makeScannerRunner(parts);
  const tokens: Tokens = { current: identity };
  const store: StateStore = new StateStore({
    system,
    log,
    stateDirectory,
    limits: config.buffer,
    hold: parts.hold ?? null,
    identity: () => tokens.current,
    async onNewFolder() {
      await saveState(system, stateDirectory, loop.state);
      await saveScannerBreakers(system, stateDirectory, guard.breakers);
    },
    onBack: () => loop.afterAppend(),
  });
  const loop: Loop = makeLoop(parts, { client, store, state, intervalMs, guard, tokens });
  await store.open();
  const resetBreaker = async (name: string) => {
    if (name === CONNECTION) loop.resetConnection();
    else await guard.reset(name);
  };
  const { files } = system;
  const requests = new BreakerResetRequests({ files, stateDirectory, log, reset: resetBreaker });
  return {
    loop,
    resetBreaker,
    async watch(signal) {
      while (await slept(system.clock, signal)) {
        await store.look();
        await requests.handle();
      }
    },
    close: () => store.close(),
  };
}

/** Waits until the next look at the state directory; `false`: the agent stops. */
async function slept(clock: Clock, signal: AbortSignal): Promise<boolean> {
  return await clock.sleep(LOOK_EVERY_MS, signal).then(() => true, () => false);
}

/** What cannot be read is told, and begins anew: the agent runs all the same. */
async function readOr<T>(log: Log, what: string, read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    log.error("not read, beginning anew", { what, why: error.message });
    return otherwise;
  }
}

async function makeScannerRunner(parts: AgentParts): Promise<ScannerRunner> {
  const { system, config: { scanners: settings }, stateDirectory, log } = parts;
  const longestMs = longestScannerOpenMs(settings);
  const breakers = await readOr<ScannerBreakers>(
    log,
    "scanner breakers",
    () => loadScannerBreakers(system, stateDirectory, longestMs),
    new Map(),
  );
  const keep = keeper<ScannerBreakers>(
    log,
    "scanner breakers",
    (saved) => saveScannerBreakers(system, stateDirectory, saved),
  );
  return new ScannerRunner({
    system,
    log,
    settings,
    cacheDirectory: `${stateDirectory}/cache`,
    ignore: parts.config.scanners.ignore,
    changelogs: parts.config.scanners.changelogs,
    save: keep,
  }, breakers);
}

/** The identity with the token that is used now. */
interface Tokens {
  current: Identity;
}

interface LoopIngredients {
  readonly client: Client;
  readonly store: StateStore;
  readonly tokens: Tokens;
  readonly state: LoopState;
  readonly intervalMs: number;
  readonly guard: ScannerRunner;
}

function makeLoop(parts: AgentParts, ingredients: LoopIngredients): Loop {
  const { system, config, identity, stateDirectory, log } = parts;
  const { clock, random } = system;
  const { client, store, state, intervalMs, guard, tokens } = ingredients;
  const { buffer, journal } = store;
  const connection = new Connection({
    clock,
    random,
    log,
    policies: connectionPolicies({
      backoff: config.backoff,
      breaker: config.breaker,
      intervalMs,
    }),
    isRapid: () => loop.isRapid,
    callLimitMs: longestCallMs(config),
    checkHealth: (limits) => client.health(limits),
    countPending: () => buffer.countWaiting().pending,
  }, state.connection);
  const session = new Session({
    clock,
    random,
    log,
    renew: (signal) => client.renew(identity.agentId, identity.refreshToken, { signal }),
    keepToken: (accessToken) => {
      tokens.current = { ...identity, accessToken };
      return saveIdentity(system, stateDirectory, tokens.current);
    },
  }, identity);
  const collectSystemInfo = async (): Promise<NewEvent> => {
    const facts = await hostFacts(system);
    const nowMs = clock.nowMs();
    const startedMs = facts.uptimeS === null ? null : nowMs - facts.uptimeS * 1_000;
    // A file that cannot be read says nothing of a restart; the other facts are told all the same.
    const scans = await readLastScans(system.files, stateDirectory).catch(() => ({}));
    return systemInfoEvent(facts, nowMs, lastReboot(scans, startedMs));
  };
  const worker = new Worker({
    clock,
    log,
    journal,
    buffer,
    findHandler: commandHandlers({
      system,
      log,
      stateDirectory,
      runner: guard,
      more: parts.moreHandlers,
      findScanners: () => availableScanners(system, config.scanners.enabled),
      collectSystemInfo,
    }),
    reportFailure: failureEvent,
    completeEvents: (command, events) => withResentRow(system, stateDirectory, { command, events }),
    onEarly: () => loop.afterAppend(),
    onDone: (outcome) => loop.afterCommand(outcome),
  });
  const describeHost = hostDescriber(system, () => {
    const { pending, setAside } = buffer.countWaiting();
    return {
      breaker: connection.state.breaker.state,
      failures: connection.state.paths.check_in.failures,
      scannerBreakers: [...guard.breakers].map(([name, { state }]) => [name, state] as const),
      pendingEvents: pending,
      setAsideEvents: setAside,
      bufferDisk: store.condition.disk,
      eventsInMemory: store.condition.events,
    };
  });
  const loop: Loop = new Loop({
    agentId: identity.agentId,
    clock,
    random,
    log,
    connection,
    session,
    client,
    buffer,
    journal,
    worker,
    backoff: config.backoff,
    polling: { ...config.polling, intervalMs },
    describeHost,
    collectSystemInfo,
    saveState: keeper<LoopState>(
      log,
      "state",
      // After a power cut the state before a check-in does as well: one sync is enough.
      (saved, { isDurable }) =>
        saveState(system, stateDirectory, saved, { durability: isDurable ? "content" : "none" }),
    ),
  }, state);
  return loop;
}

/** Describes the host for each check-in; the CPU's load is that since the last one. */
function hostDescriber(
  system: System,
  agent: () => AgentCondition,
): (rapidLeftMs: number) => ReturnType<typeof checkInBody> {
  let previous: readonly CpuTimes[] = system.machine.cpus();
  return (rapidLeftMs) => {
    const { metrics, cpu } = hostMetrics(system, previous);
    previous = cpu;
    const nowMs = system.clock.nowMs();
    return checkInBody(metrics, { version: VERSION, nowMs, rapidLeftMs, ...agent() });
  };
}

/**
 * Saves something after each step, one write at a time and the latest value last; a disk that refuses is
 * told once, not with every step.
 */
function keeper<T>(
  log: Log,
  what: string,
  save: (value: T, options: { isDurable: boolean }) => Promise<void>,
): (value: T, options?: { isDurable: boolean }) => Promise<void> {
  let isRefused = false;
  let queue = Promise.resolve();
  let waiting: { value: T; isDurable: boolean; saved: Promise<void> } | null = null;
  const saveWaiting = async () => {
    if (waiting === null) return;
    const { value, isDurable } = waiting;
    waiting = null;
    try {
      await save(value, { isDurable });
      if (isRefused) log.info("saved again", { what });
      isRefused = false;
    } catch (error) {
      if (!isRefused) log.error("not saved", { what, why: String(error) });
      isRefused = true;
    }
  };
  return (value, { isDurable } = { isDurable: true }) => {
    if (waiting === null) {
      queue = queue.then(saveWaiting);
      waiting = { value, isDurable, saved: queue };
    } else waiting = { ...waiting, value, isDurable: isDurable || waiting.isDurable };
    return waiting.saved;
  };
}

/** Health, the call, a renewal, the call again, and a little for what lies between. */
function longestCallMs({ http }: Config): number {
  return http.healthTimeoutMs + 3 * http.timeoutMs + 5_000;
}
