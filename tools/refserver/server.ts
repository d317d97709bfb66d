/** What a running reference server offers to tests, to the demo and to its control port. */

import type { State02 } from "./age02/age02.ts";
import type { Operator, OperatorOrder } from "./age02/operator.ts";
import type { Agent } from "./agents_table.ts";
import type { ServerCommand } from "./commands_table.ts";
import type { DashboardStep } from "./dashboard.ts";
import type { Fault, FaultInput } from "./faults.ts";
import type {
  KnownPackage,
  ReportedDependencies,
  ReportedLog,
  ReportedSystemInfo,
  ReportedUpdate,
} from "./reports_table.ts";
import type { LoggedRequest, Violation } from "./request_log.ts";

/** Which RedFlag a server is like: 0.1.18, or 0.2.9. */
export type ServerAge = "0.1" | "0.2";

/** An agent as the dashboard lists it. */
export interface ListedAgent extends Agent {
  /** "Last scan": when it last reported an update, by the server's clock; `null`: never. */
  readonly lastScanAtMs: number | null;
  /** Whether the agent's version is older than the server's latest one. */
  readonly updateAvailable: boolean;
}

/** Everything there is to see: `GET /debug/state`. Reports have the protocol's names. */
export interface RefserverState {
  readonly schema: "refserver.state/1";
  readonly age: ServerAge;
  /** In the order they registered; two of one host name mean a double registration. */
  readonly agents: ListedAgent[];
  readonly commands: ServerCommand[];
  /** Every update of every report; one reported twice is here twice. */
  readonly updates: ReportedUpdate[];
  /** What they come to, in the dashboard's order: what was reported last comes first. */
  readonly packages: KnownPackage[];
  readonly logs: ReportedLog[];
  readonly dependencies: ReportedDependencies[];
  readonly systemInfo: ReportedSystemInfo[];
  readonly requests: LoggedRequest[];
  /** Requests no longer kept. */
  readonly requestsDropped: number;
  /** What a correct agent never does. */
  readonly violations: Violation[];
  readonly fault: Fault;
  /** What only a server of 0.2 has to show; `null` at one of 0.1. */
  readonly age02: State02 | null;
}

/** A server that runs. */
export interface Refserver {
  readonly age: ServerAge;
  /** Origin for agents. */
  readonly url: string;
  readonly controlUrl: string;
  readonly port: number;
  readonly controlPort: number;
  state(): RefserverState;
  /** Sets a fault in place of the one before. @throws {TypeError} if it is none */
  setFault(fault: FaultInput): Promise<void>;
  /**
   * Queues a command, for the only agent unless told which; answers its id. How it is signed is of
   * interest to a server of 0.2 alone.
   *
   * @throws {Error} if there is no such agent, or no only one
   */
  queueCommand(command: OperatorOrder): string;
  /**
   * Does what a person does with a package at the dashboard; answers the queued command's id.
   *
   * @throws {Error} if there is no such package
   */
  takeStep(step: DashboardStep): string | null;
  /** Makes all access tokens (renewal helps) or all refresh tokens (nothing does) worthless. */
  revokeTokens(which: "access" | "refresh"): void;
  /**
   * Deletes an agent, the only one unless told which, as a person does at the dashboard.
   *
   * @throws {Error} if there is no such agent, or no only one
   */
  deleteAgent(agentId?: string): void;
  /** What an operator can do at a server of 0.2. @throws {Error} at one of 0.1 */
  operator(): Operator;
  /** Puts the server's clock forward, against the one it was given. */
  advance(ms: number): void;
  /** Forgets the logged requests, not the violations. */
  resetRequests(): void;
  /** Closes sockets, connections and database; nothing is left open. A second call waits too. */
  close(): Promise<void>;
}
