/** Wires an agent together: given a system, a configuration and an identity, one that is ready. */

import { connectionPolicy } from "../breaker/connection.ts";
import { longestScannerOpenMs } from "../breaker/scanner.ts";
import type { NewEvent } from "../buffer/buffer.ts";
import type { CommandHandler } from "../buffer/command.ts";
import { openBuffer, type OpenedBuffer } from "../buffer/store.ts";
import { failureEvent } from "../commands/command_log.ts";
import { commandHandlers } from "../commands/handlers.ts";
import { type ScannerBreakers, ScannerGuard } from "../commands/scanner_guard.ts";
import type { Config } from "../config.ts";
import { hostFacts, hostMetrics } from "../host/host.ts";
import { type Identity, saveIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import { ceilingMs } from "../loop/backoff.ts";
import { Connection } from "../loop/connection.ts";
import { Loop } from "../loop/loop.ts";
import { LONGEST_RAPID_MS } from "../loop/rapid.ts";
import { Session } from "../loop/session.ts";
import type { LoopState } from "../loop/state.ts";
import { NEEDS_PERSON_WAIT_MS } from "../loop/transition.ts";
import { Worker } from "../loop/worker.ts";
import { availableScanners } from "../scanners/available.ts";
import type { Client } from "../server/client.ts";
import type { CpuTimes } from "../system/machine.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { clientFor } from "./client_for.ts";
import { type AgentCondition, checkInBody, systemInfoEvent } from "./host_report.ts";
import { loadScannerBreakers, saveScannerBreakers } from "./scanner_breakers_file.ts";
import { loadState, saveState } from "./state_file.ts";

/** What an agent is made from. */
export interface AgentParts {
  readonly system: System;
  readonly config: Config;
  readonly identity: Identity;
  readonly stateDirectory: string;
  readonly log: Log;
  /** Who runs types of commands that this version leaves to others. @default nobody */
  readonly moreHandlers?: ReadonlyMap<string, CommandHandler>;
}

/** An agent that is ready to run. */
export interface Agent {
  readonly loop: Loop;
  /** Closes a breaker, "connection" or a scanner's, because a person said so. */
  resetBreaker(name: string): Promise<void>;
  /** Lets go of the buffer. */
  close(): void;
}

/** Makes an agent of its parts; throws `FileError`, `DatabaseError` or `BufferError`. */
export async function makeAgent(parts: AgentParts): Promise<Agent> {
  const { system, config, identity, stateDirectory, log } = parts;
  const client = await clientFor(system, config, identity.serverUrl);
  const opened = await openBuffer(system, stateDirectory, config.buffer);
  if (opened.recovered) log.error("buffer was damaged, begun anew", { ...opened.recovered });
  const intervalMs = identity.intervalMs ?? config.polling.intervalMs;
  const longest = {
    notBeforeMs: 2 * NEEDS_PERSON_WAIT_MS,
    openMs: config.breaker.maxOpenMs,
    rapidMs: LONGEST_RAPID_MS,
    intervalMs: 2 * intervalMs,
  };
  const state = await loadState(system, stateDirectory, { longest, log });
  const guard = await makeGuard(parts);
  const loop = makeLoop(parts, { client, opened, state, intervalMs, guard });
  return {
    loop,
    async resetBreaker(name) {
      if (name === "connection") loop.resetConnection();
      else await guard.reset(name);
    },
    close: () => opened.close(),
  };
}

async function makeGuard(parts: AgentParts): Promise<ScannerGuard> {
  const { system, config: { scanners: settings }, stateDirectory, log } = parts;
  const longestMs = longestScannerOpenMs(settings);
  const breakers = await loadScannerBreakers(system, stateDirectory, longestMs);
  const keep = keeper<ScannerBreakers>(
    log,
    "scanner breakers",
    (saved) => saveScannerBreakers(system, stateDirectory, saved),
  );
  return new ScannerGuard({
    system,
    log,
    settings,
    cacheDirectory: `${stateDirectory}/cache`,
    keep,
  }, breakers);
}

interface LoopIngredients {
  readonly client: Client;
  readonly opened: OpenedBuffer;
  readonly state: LoopState;
  readonly intervalMs: number;
  readonly guard: ScannerGuard;
}

function makeLoop(parts: AgentParts, ingredients: LoopIngredients): Loop {
  const { system, config, identity, stateDirectory, log } = parts;
  const { clock, random } = system;
  const { client, opened: { buffer, journal }, state, intervalMs, guard } = ingredients;
  const connection = new Connection({
    clock,
    random,
    log,
    policy: {
      backoff: config.backoff,
      breaker: connectionPolicy(config.breaker, (n) => ceilingMs(n, config.backoff)),
      intervalMs,
    },
    callLimitMs: longestCallMs(config),
    checkHealth: (limits) => client.health(limits),
    countPending: () => buffer.counts().pending,
  }, state.connection);
  const session = new Session({
    clock,
    random,
    log,
    renew: () => client.renew(identity.agentId, identity.refreshToken),
    keepToken: (accessToken) => saveIdentity(system, stateDirectory, { ...identity, accessToken }),
  }, identity);
  const collectSystemInfo = async (): Promise<NewEvent> =>
    systemInfoEvent(await hostFacts(system), clock.nowMs());
  const worker = new Worker({
    clock,
    log,
    journal,
    buffer,
    findHandler: commandHandlers({
      system,
      log,
      stateDirectory,
      guard,
      ...(parts.moreHandlers && { more: parts.moreHandlers }),
      findScanners: () => availableScanners(system, config.scanners.enabled),
      collectSystemInfo,
    }),
    reportFailure: failureEvent,
    onEarly: () => loop.afterAppend(),
    onDone: (outcome) => loop.afterCommand(outcome),
  });
  const describeHost = hostDescriber(system, () => {
    const { pending, setAside } = buffer.counts();
    return {
      breaker: connection.state.breaker.state,
      failures: connection.state.paths.check_in.failures,
      scannerBreakers: [...guard.breakers].map(([name, { state }]) => [name, state] as const),
      pendingEvents: pending,
      setAsideEvents: setAside,
    };
  });
  const loop = new Loop({
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
    polling: { ...config.polling, intervalMs },
    describeHost,
    collectSystemInfo,
    saveState: keeper<LoopState>(
      log,
      "state",
      (saved) => saveState(system, stateDirectory, saved),
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

/** Saves something after each step; a disk that refuses is told once, not with every step. */
function keeper<T>(
  log: Log,
  what: string,
  save: (value: T) => Promise<void>,
): (value: T) => Promise<void> {
  let isRefused = false;
  return async (value) => {
    try {
      await save(value);
      if (isRefused) log.info("saved again", { what });
      isRefused = false;
    } catch (error) {
      if (!isRefused) log.error("not saved", { what, why: String(error) });
      isRefused = true;
    }
  };
}

/** Health, the call, a renewal, the call again, and a little for what lies between. */
function longestCallMs({ http }: Config): number {
  return http.healthTimeoutMs + 3 * http.timeoutMs + 5_000;
}
