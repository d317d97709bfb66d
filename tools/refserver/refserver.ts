/**
 * A small, honest RedFlag server: speaks the agent protocol, refuses what the real one refuses, and
 * has the faults it is told to have. For tests and the demo; never part of the executable.
 */

import type { Random } from "../../src/system/system.ts";
import type { Backend } from "./backend.ts";
import type { Reply, Site } from "./connection.ts";
import { control } from "./control.ts";
import { type DashboardStep, takeStep } from "./dashboard.ts";
import { type FaultInput, FaultPlan } from "./faults.ts";
import type { WireRequest } from "./http_wire.ts";
import { Listener, type ListenOptions } from "./listener.ts";
import { DEFAULT_LIMITS, RateLimiter, type RateLimits } from "./rate_limit.ts";
import {
  type LoggedRequest,
  RequestLog,
  type RequestStage,
  type ServerClock,
} from "./request_log.ts";
import { route } from "./routes.ts";
import { Store } from "./store.ts";
import { AccessTokens } from "./tokens.ts";
import type { Refserver, RefserverState } from "./server.ts";

/** How to start; everything has a default but the tokens, without which nobody can register. */
export interface RefserverOptions {
  /** Accepted at registration, any number of times. @default none */
  readonly registrationTokens?: readonly string[];
  /** Address of the agents' port. @default "127.0.0.1" */
  readonly hostname?: string;
  /** @default 0, any free one */
  readonly port?: number;
  /** Of the control port, always on 127.0.0.1. @default 0, any free one */
  readonly controlPort?: number;
  /** SQLite file; a second start on it goes on where the first ended. @default ":memory:" */
  readonly data?: string;
  /** PEM texts; with them the agents' port speaks HTTPS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** @default 86_400 */
  readonly tokenLifeS?: number;
  /** @default 7_776_000, 90 days */
  readonly refreshTokenLifeS?: number;
  /** Told to agents at registration. @default 300 */
  readonly checkInIntervalS?: number;
  /** Requests a minute; 0 switches a limit off. @default 5, 20, 30 */
  readonly limits?: Partial<RateLimits>;
  /** Larger bodies get 413. @default 16 MiB */
  readonly maxBodyBytes?: number;
  /** Knows neither acknowledgements nor system-info (404), and takes every log. @default false */
  readonly old?: boolean;
  /** An agent of an older version is told to be out of date. @default "0.1.18" */
  readonly latestAgentVersion?: string;
  /** @default { mode: "none" } */
  readonly fault?: FaultInput;
  readonly clock?: ServerClock;
  /** Decides which requests meet a fault that has a chance. @default Math.random */
  readonly random?: Random;
  /** Replaces an answer after the server has acted, to simulate a hostile server. */
  readonly rewrite?: (request: WireRequest, reply: Reply) => Reply;
  /** Told at each stage of a request, before the server goes on. */
  readonly onStage?: (request: LoggedRequest, stage: RequestStage) => void;
  /** Is given a line a request and a line a violation. @default drops them */
  readonly print?: (line: string) => void;
}

/** Starts a server; when this returns it listens. @throws {DatabaseError} {Deno.errors.AddrInUse} */
export async function startRefserver(options: RefserverOptions = {}): Promise<Refserver> {
  const server = new RunningRefserver(options);
  try {
    await server.open(options.fault ?? { mode: "none" });
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

const realClock: ServerClock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

class RunningRefserver implements Refserver {
  readonly #store: Store;
  readonly #log: RequestLog;
  readonly #faults: FaultPlan;
  readonly #backend: Backend;
  readonly #listener: Listener;
  readonly #control: Listener;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  readonly #origin: { scheme: string; hostname: string };

  constructor(options: RefserverOptions) {
    const clock = options.clock ?? realClock;
    this.#log = new RequestLog(clock, options.print ?? (() => {}));
    this.#faults = new FaultPlan(options.random);
    this.#store = new Store(options.data ?? ":memory:");
    const isDatabaseDown = () => this.#faults.fault.mode === "database_down";
    this.#backend = makeBackend(options, {
      store: this.#store,
      log: this.#log,
      clock,
      isDatabaseDown,
    });
    const maxBodyBytes = options.maxBodyBytes ?? 16_777_216;
    const shared = { maxBodyBytes, signal: this.#closing.signal };
    const site: Site = {
      ...shared,
      faults: this.#faults,
      log: this.#log,
      handle: (request, fromAddress) => route(this.#backend, request, fromAddress),
      ...options.onStage && { onStage: options.onStage },
      ...options.rewrite && { rewrite: options.rewrite },
    };
    const controlSite: Site = {
      ...shared,
      faults: new FaultPlan(),
      log: new RequestLog(clock, () => {}),
      handle: (request) => control(this, request),
    };
    const hostname = options.hostname ?? "127.0.0.1";
    this.#origin = { scheme: options.tls ? "https" : "http", hostname };
    this.#listener = new Listener(listenOptions(options, hostname), site);
    const controlPort = options.controlPort ?? 0;
    this.#control = new Listener({ hostname: "127.0.0.1", port: controlPort }, controlSite);
  }

  get port(): number {
    return this.#listener.port;
  }

  get controlPort(): number {
    return this.#control.port;
  }

  get url(): string {
    return `${this.#origin.scheme}://${this.#origin.hostname}:${this.port}`;
  }

  get controlUrl(): string {
    return `http://127.0.0.1:${this.controlPort}`;
  }

  async open(fault: FaultInput): Promise<void> {
    this.#listener.open();
    this.#control.open();
    await this.setFault(fault);
  }

  state(): RefserverState {
    const { agents, commands, reports } = this.#store;
    commands.expire(this.#backend.nowMs());
    return {
      schema: "refserver.state/1",
      agents: agents.list().map((agent) => ({
        ...agent,
        lastScanAtMs: reports.lastScanMs(agent.id),
        updateAvailable: isOlder(agent.currentVersion, this.#backend.latestAgentVersion),
      })),
      commands: commands.list(),
      updates: reports.updates(),
      packages: reports.packages(),
      logs: reports.logs(),
      dependencies: reports.dependencies(),
      systemInfo: reports.systemInfo(),
      requests: this.#log.requests.map((request) => ({ ...request })),
      requestsDropped: this.#log.dropped,
      violations: [...this.#log.violations],
      fault: this.#faults.fault,
    };
  }

  async setFault(fault: FaultInput): Promise<void> {
    const { mode } = this.#faults.set(fault);
    if (mode === "refuse") await this.#listener.close();
    else this.#listener.open();
  }

  queueCommand(command: {
    type: string;
    params?: Readonly<Record<string, unknown>> | null;
    agentId?: string;
  }): string {
    const agentId = this.#agentId("queue command", command.agentId);
    const id = crypto.randomUUID();
    const { type, params = {} } = command;
    this.#store.commands.add({ id, agentId, type, params }, this.#backend.nowMs());
    return id;
  }

  takeStep(step: DashboardStep): string | null {
    return this.#store.transaction(() => takeStep(this.#store, step, this.#backend.nowMs()));
  }

  revokeTokens(which: "access" | "refresh"): void {
    if (which === "access") this.#backend.tokens.useKey(this.#store.renewSigningKey());
    else this.#store.agents.removeRefreshTokens();
  }

  deleteAgent(agentId?: string): void {
    const id = this.#agentId("delete agent", agentId);
    if (!this.#store.agents.remove(id)) throw new Error(`Cannot delete agent: no agent "${id}"`);
  }

  #agentId(act: string, named: string | undefined): string {
    const known = this.#store.agents.list();
    if (named === undefined && known.length !== 1) {
      throw new Error(`Cannot ${act}: ${known.length} agents, and none named`);
    }
    return named ?? known[0]!.id;
  }

  resetRequests(): void {
    this.#log.reset();
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error("Cannot go on: server closes"));
    await Promise.all([this.#listener.close(), this.#control.close()]);
    this.#store.close();
  }
}

function makeBackend(
  options: RefserverOptions,
  parts: { store: Store; log: RequestLog; clock: ServerClock; isDatabaseDown(): boolean },
): Backend {
  const { store, log, clock, isDatabaseDown } = parts;
  return {
    store,
    log,
    tokens: new AccessTokens(store.signingKey(), { lifeS: options.tokenLifeS ?? 86_400 }),
    limiter: new RateLimiter(),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    registrationTokens: new Set(options.registrationTokens),
    checkInIntervalS: options.checkInIntervalS ?? 300,
    refreshTokenLifeMs: (options.refreshTokenLifeS ?? 7_776_000) * 1_000,
    old: options.old ?? false,
    latestAgentVersion: options.latestAgentVersion ?? "0.1.18",
    nowMs: () => clock.nowMs(),
    isDatabaseDown,
  };
}

function listenOptions(options: RefserverOptions, hostname: string): ListenOptions {
  const address = { hostname, port: options.port ?? 0 };
  return options.tls ? { ...address, tls: options.tls } : address;
}

/** As the real one compares versions: three numbers, and 0 for what is none. */
function isOlder(version: string, latest: string): boolean {
  const [own, other] = [numbersOf(version), numbersOf(latest)];
  const at = [0, 1, 2].find((index) => own[index] !== other[index]);
  return at !== undefined && own[at]! < other[at]!;
}

function numbersOf(version: string): number[] {
  const parts = version.replace(/^v/, "").split(".");
  return [0, 1, 2].map((index) => /^\d+$/.test(parts[index] ?? "") ? Number(parts[index]) : 0);
}
