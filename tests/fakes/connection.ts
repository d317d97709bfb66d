/** A connection on a machine in memory, whose answers a test gives. */

import { connectionPolicies } from "../../src/breaker/policies.ts";
import { Connection } from "../../src/connection/connection.ts";
import { type ConnectionState, NEW_CONNECTION } from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Health } from "../../src/server/protocol.ts";
import { backoff, breaker, INTERVAL_MS } from "./breaker_numbers.ts";
import { FakeLog } from "./log.ts";
import { FakeSystem } from "./system.ts";

export const fine: Extract<Answer<string>, { kind: "ok" }> = {
  kind: "ok",
  value: "fine",
  rateLimit: null,
};

export const gone: Extract<Answer<never>, { kind: "failed" }> = {
  kind: "failed",
  why: "connection refused",
  status: null,
  offline: false,
  retryAfterMs: null,
};

const healthy: Answer<Health> = {
  kind: "ok",
  value: { status: "healthy", usable: true },
  rateLimit: null,
};

/** What a test may have otherwise. */
export interface FakeConnectionOptions {
  readonly health?: (() => Answer<Health>) | undefined;
  readonly state?: ConnectionState;
  /** @default the configuration's */
  readonly consecutiveFailures?: number;
}

/**
 * A connection with its clock and its log; `asked` has the time limit of each question for health,
 * `mode` says whether rapid polling is on, `call` checks in with an answer.
 */
export function fakeConnection(
  { health = () => healthy, state = NEW_CONNECTION, consecutiveFailures }: FakeConnectionOptions =
    {},
) {
  const { clock, random } = new FakeSystem();
  const asked: (number | undefined)[] = [];
  const mode = { isRapid: false };
  const log = new FakeLog();
  const connection = new Connection({
    clock,
    random,
    log,
    policies: connectionPolicies({
      backoff,
      breaker: { ...breaker, ...consecutiveFailures !== undefined && { consecutiveFailures } },
      intervalMs: INTERVAL_MS,
    }),
    isRapid: () => mode.isRapid,
    callLimitMs: 100_000,
    client: {
      health: ({ timeoutMs } = {}) => {
        asked.push(timeoutMs);
        return Promise.resolve(health());
      },
    },
    session: { call: (makeCall) => makeCall({ agentId: "a", accessToken: "t" }) },
    countPending: () => 7,
  }, state);
  const call = (answer: Answer<string>) =>
    connection.attempt("check_in", () => Promise.resolve(answer));
  const waitOut = () => clock.advance(connection.waitMs("check_in"));
  return { clock, connection, asked, mode, log, call, waitOut };
}
