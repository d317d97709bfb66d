/**
 * A small, honest RedFlag server: speaks the agent protocol, refuses what the real one refuses, and
 * has the faults it is told to have. For tests and the demo; never part of the executable.
 */

import type { Random } from "../../src/system/system.ts";
import { backendOf02, state02 } from "./age02/age02.ts";
import type { Backend02 } from "./age02/backend.ts";
import { takeStep02 } from "./age02/dashboard.ts";
import { Operator, type OperatorOrder } from "./age02/operator.ts";
import { welcome } from "./age02/public_routes.ts";
import { route02 } from "./age02/routes.ts";
import { RESULTS_02 } from "./age02/schema.ts";
import type { SettingsChange } from "./age02/settings.ts";
import { sweep } from "./age02/timeouts.ts";
import { isAtLeast } from "./age02/versions.ts";
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
import type { Refserver, RefserverState, ServerAge } from "./server.ts";

/** How to start; everything has a default but the tokens, without which nobody can register. */
export interface RefserverOptions {
  /** Which RedFlag to be like; a 0.1 server's file is upgraded by 0.2. @default "0.1" */
  readonly age?: ServerAge;
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
  /** Of a server of 0.2. @default RedFlag's own defaults */
  readonly settings?: SettingsChange;
  /** 64 hex characters: of the first signing key of a server of 0.2. @default a random one */
  readonly signingSeed?: string;
  /** Requests a minute; 0 switches a limit off. @default 5, 20, 30, and 60 check-ins at 0.2 */
  readonly limits?: Partial<RateLimits>;
  /** Larger bodies get 413. @default 16 MiB */
  readonly maxBodyBytes?: number;
  /** Knows neither acknowledgements nor system-info (404), and takes every log. @default false */
  readonly old?: boolean;
  /** An agent of an older version is told to be out of date. @default "0.1.18", at 0.2 "0.2.9.3" */
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
  /** The same, at a server of 0.2. */
  readonly #backend02: Backend02 | undefined;
  /** Added to the clock that was given. */
  #shiftMs = 0;
  readonly #listener: Listener;
  readonly #control: Listener;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  readonly #origin: { scheme: string; hostname: string };

  constructor(options: RefserverOptions) {
    const clock = options.clock ?? realClock;
    this.#log = new RequestLog(clock, options.print ?? (() => {}));
    this.#faults = new FaultPlan(options.random);
    const is02 = options.age === "0.2";
    const results = is02 ? RESULTS_02 : ["success", "failed", "partial"];
    this.#store = new Store(options.data ?? ":memory:", { results });
    const isDatabaseDown = () => this.#faults.fault.mode === "database_down";
    this.#backend = makeBackend(options, {
      store: this.#store,
      log: this.#log,
      nowMs: () => clock.nowMs() + this.#shiftMs,
      isDatabaseDown,
    });
    const settings = settings02(options);
    const scheme = options.tls ? "https" : "http";
    this.#backend02 = is02
      ? backendOf02(this.#backend, { settings, signingSeed: options.signingSeed, scheme })
      : undefined;
    const maxBodyBytes = options.maxBodyBytes ?? 16_777_216;
    const shared = { maxBodyBytes, signal: this.#closing.signal };
    const site: Site = {
      ...shared,
      faults: this.#faults,
      log: this.#log,
      handle: (request, fromAddress) =>
        this.#backend02
          ? route02(this.#backend02, request, fromAddress)
          : route(this.#backend, request, fromAddress),
      ...is02 && { welcome },
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
    this.#origin = { scheme, hostname };
    this.#listener = new Listener(listenOptions(options, hostname), site);
    const controlPort = options.controlPort ?? 0;
    this.#control = new Listener({ hostname: "127.0.0.1", port: controlPort }, controlSite);
  }

  get age(): ServerAge {
    return this.#backend02 ? "0.2" : "0.1";
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
    const nowMs = this.#backend.nowMs();
    if (this.#backend02) sweep(this.#backend02, nowMs);
    else commands.expire(nowMs);
    return {
      schema: "refserver.state/1",
      age: this.age,
      agents: agents.list().map((agent) => ({
        ...agent,
        lastScanAtMs: reports.lastScanMs(agent.id),
        updateAvailable: this.#isOutOfDate(agent.currentVersion),
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
      age02: this.#backend02 ? state02(this.#backend02) : null,
    };
  }

  #isOutOfDate(version: string): boolean {
    const settings = this.#backend02?.settings;
    return settings
      ? !isAtLeast(version, settings.latestAgentVersion)
      : isOlder(version, this.#backend.latestAgentVersion);
  }

  async setFault(fault: FaultInput): Promise<void> {
    const { mode } = this.#faults.set(fault);
    if (mode === "refuse") await this.#listener.close();
    else this.#listener.open();
  }

  queueCommand(command: OperatorOrder): string {
    if (this.#backend02) return this.operator().queue(command);
    const agentId = this.#agentId("queue command", command.agentId);
    const id = crypto.randomUUID();
    const { type, params = {} } = command;
    this.#store.commands.add({ id, agentId, type, params }, this.#backend.nowMs());
    return id;
  }

  takeStep(step: DashboardStep): string | null {
    const nowMs = this.#backend.nowMs();
    return this.#store.transaction(() =>
      this.#backend02
        ? takeStep02(this.#backend02, step, nowMs)
        : takeStep(this.#store, step, nowMs)
    );
  }

  revokeTokens(which: "access" | "refresh"): void {
    if (which === "access") this.#backend.tokens.useKey(this.#store.renewSigningKey());
    else if (this.#backend02) this.#backend02.refreshTokens.revoke();
    else this.#store.agents.removeRefreshTokens();
  }

  deleteAgent(agentId?: string): void {
    const id = this.#agentId("delete agent", agentId);
    if (!this.#store.agents.remove(id)) throw new Error(`Cannot delete agent: no agent "${id}"`);
  }

  operator(): Operator {
    if (!this.#backend02) throw new Error("Cannot operate: a server of 0.1 has nothing of this");
    return new Operator(this.#backend02, (act, named) => this.#agentId(act, named));
  }

  advance(ms: number): void {
    this.#shiftMs += ms;
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
  parts: { store: Store; log: RequestLog; nowMs(): number; isDatabaseDown(): boolean },
): Backend {
  const { store, log, nowMs, isDatabaseDown } = parts;
  const issuer = options.age === "0.2" ? { issuer: "redflag-agent" } : {};
  return {
    store,
    log,
    tokens: new AccessTokens(store.signingKey(), {
      lifeS: options.tokenLifeS ?? 86_400,
      ...issuer,
    }),
    limiter: new RateLimiter(),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    registrationTokens: new Set(options.registrationTokens),
    checkInIntervalS: options.checkInIntervalS ?? 300,
    refreshTokenLifeMs: (options.refreshTokenLifeS ?? 7_776_000) * 1_000,
    old: options.old ?? false,
    latestAgentVersion: options.latestAgentVersion ?? "0.1.18",
    nowMs,
    isDatabaseDown,
  };
}

/** The settings of 0.2 that options of both ages stand for, and its own. */
function settings02(options: RefserverOptions): SettingsChange {
  const { limits, latestAgentVersion, settings } = options;
  return {
    ...latestAgentVersion !== undefined && { latestAgentVersion },
    ...settings,
    limits: { ...limits, ...settings?.limits },
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
