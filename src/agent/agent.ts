/** The wiring of an agent, from a system, a configuration and an identity: constructed, then opened. */

import {
  type ConnectionPolicies,
  connectionPolicies,
  longestScannerOpenMs,
} from "../breaker/policies.ts";
import type { Breaker } from "../breaker/breaker.ts";
import { appendEvents, type NewEvent } from "../buffer/buffer.ts";
import type { CommandHandler } from "../buffer/journal.ts";
import { failureEvent } from "../commands/command_log.ts";
import { commandHandlers } from "../commands/handlers.ts";
import { withResentRow } from "../commands/reported_snapshot.ts";
import { type ScannerBreakers, ScannerRunner } from "../commands/scanner_runner.ts";
import { applyPolicy, isEnabledByServer } from "../config/server_policy.ts";
import type { Config } from "../config/settings.ts";
import { MetricsReader } from "../host/host.ts";
import { type Identity, secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import { Connection } from "../connection/connection.ts";
import { KeyRing } from "../connection/key_ring.ts";
import { CommandVerification } from "../loop/command_verification.ts";
import { Loop } from "../loop/loop.ts";
import { LONGEST_RAPID_MS } from "../loop/schedule.ts";
import { Session } from "../connection/session.ts";
import { type AgentState, NEW_STATE } from "../loop/state.ts";
import { OPERATOR_WAIT_MS, withoutOldRefusal } from "../connection/state.ts";
import { TokenRotation } from "../connection/token_rotation.ts";
import { CommandRunner } from "../loop/command_runner.ts";
import { availableScanners } from "../scanners/registry.ts";
import type { ScanReport } from "../scanners/run_scans.ts";
import type { Scanner } from "../scanners/scanner.ts";
import type { Secrets } from "../redact.ts";
import type { Client } from "../server/client.ts";
import type { ServerPolicy } from "../server/policy.ts";
import type { CheckInBody } from "../server/protocol.ts";
import { subsystemOf } from "../server/subsystems.ts";
import { closesAbsent } from "../server/update_item.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { AgentEvents } from "./agent_events.ts";
import { BreakerReport } from "./breaker_report.ts";
import { BreakerResetRequests, CONNECTION } from "./breaker_reset.ts";
import { createClient } from "./create_client.ts";
import { checkInBody, collectSystemInfo } from "./host_report.ts";
import type { InstanceLock } from "./instance_lock.ts";
import { machineIdForCalls } from "./machine_binding.ts";
import {
  createSaver,
  loadScannerBreakers,
  loadState,
  orDefault,
  saveScannerBreakers,
  saveState,
} from "./saved_state.ts";
import { loadPolicy, PolicyRefresh } from "./server_policy.ts";
import { StateDirectory } from "./state_directory.ts";

/** Between two checks of the state directory and of the requests in it. */
const CHECK_EVERY_MS = 5_000;

interface AgentDeps {
  readonly system: System;
  readonly config: Config;
  readonly identity: Identity;
  readonly stateDirectory: string;
  readonly log: Log;
  /** The log's secrets: a renewed token is added to them. @default the identity's tokens */
  readonly secrets?: Secrets;
  /** Handlers of commands that this version refuses. @default none */
  readonly moreHandlers?: ReadonlyMap<string, CommandHandler>;
  /** Whether the owner has set a setting himself: the server's policy leaves it. @default none is */
  isSet?(path: string): boolean;
  /** Called with each scan. @default nothing is */
  readonly onScan?: (report: ScanReport) => void;
  /** The lock on the state directory, which is renewed if that is created anew. @default none */
  readonly lock?: InstanceLock;
}

/**
 * Opens an agent: loads its state, constructs its parts and opens its state directory. A disk that
 * refuses is no error: the agent starts with defaults, and holds in memory what it cannot write. Throws
 * `FileError`, `ConfigError` or `Error` where a certificate cannot be used.
 */
export async function openAgent(given: AgentDeps): Promise<Agent> {
  const { system, config, identity, stateDirectory } = given;
  const secrets = given.secrets ?? secretsOf(identity);
  const events = new AgentEvents(given.log, { clock: system.clock, secrets });
  const { log } = events;
  const deps = { ...given, log };
  const machineId = await machineIdForCalls(
    system,
    stateDirectory,
    (why) => log.warning("machine id is not the host's own", { why }),
  );
  const client = await createClient(system, config, identity.serverUrl, {
    machineId,
    warn: (why) => log.warning("file is not safe", { why }),
    secrets,
  });
  const longest = {
    notBeforeMs: 2 * OPERATOR_WAIT_MS,
    openMs: config.breaker.maxOpenMs,
    rapidMs: LONGEST_RAPID_MS,
    intervalMs: 2 * intervalOf(deps),
  };
  const saved = await orDefault(
    log,
    "state",
    NEW_STATE,
    () => loadState(system, stateDirectory, { longest, log }),
  );
  const host = { machineId, version: VERSION };
  const state = { ...saved, connection: withoutOldRefusal(saved.connection, host) };
  const longestOpenMs = longestScannerOpenMs(config.scanners);
  const breakers = await orDefault<ScannerBreakers>(
    log,
    "scanner breakers",
    new Map(),
    () => loadScannerBreakers(system, stateDirectory, longestOpenMs),
  );
  const saidBefore = await loadPolicy(system, stateDirectory, identity.serverUrl);
  const policy = saidBefore?.policy ?? null;
  const agent = new Agent(deps, { client, state, breakers, policy });
  await agent.open();
  agent.recordEvents(events);
  return agent;
}

interface Loaded {
  readonly client: Client;
  readonly state: AgentState;
  readonly breakers: ScannerBreakers;
  readonly policy: ServerPolicy | null;
}

/** What the server's policy has a part in, and the policy that it is made from. */
interface Rules {
  readonly policy: ServerPolicy | null;
  readonly backoff: Config["backoff"];
  readonly jitterMaxMs: number | null;
  readonly policies: ConnectionPolicies;
}

/** An agent, from `openAgent`. */
export class Agent {
  readonly loop: Loop;
  readonly #deps: AgentDeps;
  readonly #client: Client;
  readonly #scanners: ScannerRunner;
  readonly #directory: StateDirectory;
  readonly #keyRing: KeyRing;
  readonly #rotation: TokenRotation;
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #findHandler: (type: string) => CommandHandler;
  readonly #policy: PolicyRefresh;
  readonly #runner: CommandRunner;
  readonly #requests: BreakerResetRequests;
  readonly #breakerReport: BreakerReport;
  #rules: Rules | null = null;
  /** The server's names of the package managers on this host, as they were found last. */
  #subsystems: readonly string[] = [];
  readonly #metrics: MetricsReader;

  constructor(deps: AgentDeps, { client, state, breakers, policy }: Loaded) {
    const { system: { files }, stateDirectory, log, identity: { serverUrl } } = deps;
    this.#deps = deps;
    this.#client = client;
    this.#rotation = new TokenRotation({ ...deps, client }, deps.identity);
    this.#metrics = new MetricsReader(deps.system);
    this.#scanners = this.#createScannerRunner(breakers);
    this.#directory = this.#createDirectory();
    this.#keyRing = this.#createKeyRing();
    this.#session = this.#createSession();
    this.#connection = this.#createConnection(state);
    const connection = this.#connection;
    this.#breakerReport = new BreakerReport(deps.system.clock, this.#breakersNow());
    this.#policy = new PolicyRefresh({ ...deps, serverUrl, client, connection }, policy);
    this.#findHandler = this.#createHandlers();
    this.#runner = this.#createRunner();
    this.loop = this.#createLoop(state);
    const reset = (name: string) => this.resetBreaker(name);
    this.#requests = new BreakerResetRequests({ files, stateDirectory, log, reset });
  }

  /** Opens the buffer in the state directory; never throws because of the disk. */
  async open(): Promise<void> {
    await this.#directory.open();
    await this.#findScanners();
  }

  /** What the log says of the agent goes into the buffer, once the server has a place for it. */
  recordEvents(events: AgentEvents): void {
    events.attach({
      queue: this.#directory.buffer,
      isWanted: () => this.#policy.policy !== null,
    });
  }

  /** Closes a breaker on the operator's request: "connection", or that of a scanner. */
  async resetBreaker(name: string): Promise<void> {
    if (name === CONNECTION) this.loop.resetConnection();
    else await this.#scanners.reset(name);
  }

  /** Checks the state directory, and handles requests in it, until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps.system;
    while (await clock.sleep(CHECK_EVERY_MS, signal).then(() => true, () => false)) {
      await this.#directory.check();
      await this.#requests.handle();
    }
  }

  /** Closes the buffer. Nothing is saved after that: another process may have the directory then. */
  async close(): Promise<void> {
    await this.#rotation.idle();
    this.#directory.close();
  }

  #createScannerRunner(breakers: ScannerBreakers): ScannerRunner {
    const { system, config: { scanners }, stateDirectory, log, onScan } = this.#deps;
    return new ScannerRunner({
      onScan,
      system,
      log,
      settings: scanners,
      cacheDirectory: `${stateDirectory}/cache`,
      ignore: scanners.ignore,
      changelogs: scanners.changelogs,
      save: createSaver<ScannerBreakers>(
        log,
        "scanner breakers",
        (saved) => saveScannerBreakers(system, stateDirectory, saved),
      ),
    }, breakers);
  }

  #createDirectory(): StateDirectory {
    const { system, config, stateDirectory, log, lock = null } = this.#deps;
    return new StateDirectory({
      system,
      log,
      stateDirectory,
      limits: config.buffer,
      lock,
      identity: () => this.#rotation.identity,
      onRecreated: async () => {
        await saveState(system, stateDirectory, this.loop.state);
        await saveScannerBreakers(system, stateDirectory, this.#scanners.breakers);
        await this.#keyRing.saveAgain();
      },
      onRecovered: () => this.loop.afterAppend(),
    });
  }

  #createKeyRing(): KeyRing {
    const { system, config: { server }, stateDirectory, log } = this.#deps;
    return new KeyRing({
      system,
      log,
      stateDirectory,
      client: this.#client,
      configuredKey: server.publicKey,
    });
  }

  #createSession(): Session {
    const { system: { clock, random }, identity, log } = this.#deps;
    const renew = (signal: AbortSignal) => this.#rotation.renew({ signal });
    return new Session({ clock, random, log, renew }, identity);
  }

  #createConnection({ connection }: AgentState): Connection {
    const { system: { clock, random }, config, log } = this.#deps;
    const rules = () => this.#rulesNow();
    return new Connection({
      clock,
      random,
      log,
      get policies() {
        return rules().policies;
      },
      isRapid: () => this.loop.isRapid,
      callLimitMs: longestCallMs(config),
      client: this.#client,
      session: this.#session,
      countPending: () => this.#directory.buffer.countWaiting().pending,
    }, connection);
  }

  #createHandlers(): (type: string) => CommandHandler {
    const { system, stateDirectory, log, moreHandlers } = this.#deps;
    return commandHandlers({
      system,
      log,
      stateDirectory,
      runner: this.#scanners,
      more: moreHandlers,
      findScanners: () => this.#findScanners(),
      closesAbsent: () => {
        const { serverVersion } = this.#client;
        return serverVersion === undefined ? null : closesAbsent(serverVersion);
      },
      hasPending: (snapshotOf) => this.#directory.buffer.hasPending(snapshotOf),
      isEnabled: (name) => isEnabledByServer(this.#policy.policy, name),
      collectSystemInfo: () => this.#collectSystemInfo(),
    });
  }

  #createRunner(): CommandRunner {
    const { system, stateDirectory, log } = this.#deps;
    const { buffer, journal } = this.#directory;
    return new CommandRunner({
      clock: system.clock,
      log,
      journal,
      buffer,
      findHandler: this.#findHandler,
      reportFailure: failureEvent,
      completeEvents: (command, events) =>
        withResentRow(system, stateDirectory, { command, events }),
      onAppend: () => this.loop.afterAppend(),
      onDone: (outcome) => this.loop.afterCommand(outcome),
    });
  }

  #createLoop(state: AgentState): Loop {
    const { system, config, identity, stateDirectory, log } = this.#deps;
    const { polling, commands: { unsigned } } = config;
    const { clock, random } = system;
    const intervalMs = intervalOf(this.#deps);
    const rules = () => this.#rulesNow();
    const { buffer, journal } = this.#directory;
    return new Loop({
      agentId: identity.agentId,
      clock,
      random,
      log,
      connection: this.#connection,
      client: this.#client,
      buffer,
      journal,
      runner: this.#runner,
      keyRing: this.#keyRing,
      verification: new CommandVerification({
        system,
        log,
        agentId: identity.agentId,
        keyRing: this.#keyRing,
        unsigned,
        findHandler: this.#findHandler,
      }),
      get backoff() {
        return rules().backoff;
      },
      get polling() {
        return { ...polling, intervalMs, jitterMaxMs: rules().jitterMaxMs };
      },
      afterCheckIn: async (signal) => {
        await this.#policy.refresh(signal);
        this.#reportBreakers();
      },
      describeHost: (rapidLeftMs, nowMs) => this.#describeHost(rapidLeftMs, nowMs),
      collectSystemInfo: () => this.#collectSystemInfo(),
      saveState: createSaver<AgentState>(
        log,
        "state",
        // After a power cut the state before a check-in will do as well: one sync is enough.
        async (saved, { isDurable }) => {
          const durability = isDurable ? "content" : "none";
          await saveState(system, stateDirectory, saved, { durability });
          this.#rotation.saveUnsaved(); // The disk works.
        },
      ),
    }, state);
  }

  /** Only a server that has a policy has a route for them. */
  #reportBreakers(): void {
    if (this.#policy.policy === null) return;
    const report = this.#breakerReport.next(this.#breakersNow());
    if (report !== null) appendEvents(this.#directory.buffer, this.#deps.log, [report]);
  }

  #breakersNow(): (readonly [name: string, breaker: Breaker])[] {
    return [[CONNECTION, this.#connection.state.breaker], ...this.#scanners.breakers];
  }

  /** The configuration's rules as the server's latest policy changes them. */
  #rulesNow(): Rules {
    const { policy } = this.#policy;
    if (this.#rules !== null && this.#rules.policy === policy) return this.#rules;
    const { config, isSet } = this.#deps;
    const { backoff, jitterMaxMs } = applyPolicy(config, policy, isSet ?? (() => false));
    const { breaker } = config;
    const policies = connectionPolicies({ backoff, breaker, intervalMs: intervalOf(this.#deps) });
    return this.#rules = { policy, backoff, jitterMaxMs, policies };
  }

  /** The body of a check-in; `nowMs` by the server's clock. */
  #describeHost(rapidLeftMs: number, nowMs: number): CheckInBody {
    const { pending, deadLetters } = this.#directory.buffer.countWaiting();
    const { breaker, paths } = this.#connection.state;
    const { disk, events } = this.#directory.condition;
    const condition = {
      breaker: breaker.state,
      failures: paths.check_in.failures,
      scannerBreakers: [...this.#scanners.breakers].map(([name, { state }]) =>
        [name, state] as const
      ),
      pendingEvents: pending,
      deadLetters,
      bufferDisk: disk,
      eventsInMemory: events,
    };
    const body = checkInBody(this.#metrics.read(), condition, {
      version: VERSION,
      nowMs,
      rapidLeftMs,
    });
    return { ...body, available_scanners: this.#subsystems };
  }

  /** The scanners of this host, which check-ins report from then on. */
  async #findScanners(): Promise<readonly Scanner[]> {
    const { system, config } = this.#deps;
    const scanners = await availableScanners(system, config.scanners.enabled);
    this.#subsystems = scanners.map(({ name }) => subsystemOf(name));
    return scanners;
  }

  async #collectSystemInfo(): Promise<NewEvent> {
    const { system, stateDirectory } = this.#deps;
    await this.#findScanners(); // Hourly, as these facts are.
    return await collectSystemInfo(system, stateDirectory);
  }
}

/** Between two check-ins: as the server said at registration, else as configured. */
function intervalOf({ identity, config }: AgentDeps): number {
  return identity.intervalMs ?? config.polling.intervalMs;
}

/** Health, the call, a renewal, the call again, and a margin for what lies between. */
function longestCallMs({ http }: Config): number {
  return http.healthTimeoutMs + 3 * http.timeoutMs + 5_000;
}
