/** Wires an agent together: given a system, a configuration and an identity, one that is ready. */

import { connectionPolicy } from "../breaker/connection.ts";
import type { NewEvent } from "../buffer/buffer.ts";
import { openBuffer, type OpenedBuffer } from "../buffer/store.ts";
import { failureEvent } from "../commands/command_log.ts";
import { commandHandlers } from "../commands/handlers.ts";
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
import { checkInBody, systemInfoEvent } from "./host_report.ts";
import { loadState, saveState } from "./state_file.ts";

/** What an agent is made from. */
export interface AgentParts {
  readonly system: System;
  readonly config: Config;
  readonly identity: Identity;
  readonly stateDirectory: string;
  readonly log: Log;
}

/** An agent that is ready to run. */
export interface Agent {
  readonly loop: Loop;
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
  return {
    loop: makeLoop(parts, { client, opened, state, intervalMs }),
    close: () => opened.close(),
  };
}

interface LoopIngredients {
  readonly client: Client;
  readonly opened: OpenedBuffer;
  readonly state: LoopState;
  readonly intervalMs: number;
}

function makeLoop(parts: AgentParts, ingredients: LoopIngredients): Loop {
  const { system, config, identity, stateDirectory, log } = parts;
  const { clock, random } = system;
  const { client, opened: { buffer, journal }, state, intervalMs } = ingredients;
  const connection = new Connection({
    clock,
    random,
    log,
    policy: {
      backoff: config.backoff,
      breaker: connectionPolicy(config.breaker, (n) => ceilingMs(n, config.backoff)),
    },
    checkHealth: (timeoutMs) => client.health(timeoutMs === undefined ? {} : { timeoutMs }),
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
      findScanners: () => availableScanners(system, config.scanners.enabled),
      collectSystemInfo,
    }),
    reportFailure: failureEvent,
    onDone: (outcome) => loop.afterCommand(outcome),
  });
  const describeHost = hostDescriber(system, () => ({
    breaker: connection.state.breaker.state,
    pendingEvents: buffer.counts().pending,
  }));
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
    saveState: stateKeeper(parts),
  }, state);
  return loop;
}

/** Describes the host for each check-in; the CPU's load is that since the last one. */
function hostDescriber(
  system: System,
  agent: () => { breaker: string; pendingEvents: number },
): (rapidLeftMs: number) => ReturnType<typeof checkInBody> {
  let previous: readonly CpuTimes[] = system.machine.cpus();
  return (rapidLeftMs) => {
    const { metrics, cpu } = hostMetrics(system, previous);
    previous = cpu;
    const nowMs = system.clock.nowMs();
    return checkInBody(metrics, { version: VERSION, nowMs, rapidLeftMs, ...agent() });
  };
}

/** Saves the state after each step; a disk that refuses is told once, not with every step. */
function stateKeeper(parts: AgentParts): (state: LoopState) => Promise<void> {
  const { system, stateDirectory, log } = parts;
  let isRefused = false;
  return async (state) => {
    try {
      await saveState(system, stateDirectory, state);
      if (isRefused) log.info("state saved again");
      isRefused = false;
    } catch (error) {
      if (!isRefused) log.error("state not saved", { why: String(error) });
      isRefused = true;
    }
  };
}
