/**
 * Pennon's own policy: the agent's real breaker, backoff and schedule with their default numbers.
 * Only the order of calls is told again here, that of `attempt` in `src/connection/connection.ts`.
 */

import { admit, type Permit } from "../../src/breaker/breaker.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import {
  type BackoffPolicy,
  connectionPolicies,
  type ConnectionPolicy,
} from "../../src/breaker/policies.ts";
import { nextCheckInDelayMs } from "../../src/loop/schedule.ts";
import { applyAnswer, type ConnectionState, NEW_CONNECTION } from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Random } from "../../src/system/system.ts";
import type { Behaviour, Fleet, Policy } from "./policy.ts";

const BACKOFF: BackoffPolicy = {
  baseMs: SETTINGS.backoff.baseMs.fallback,
  capMs: SETTINGS.backoff.capMs.fallback,
  floorMs: SETTINGS.backoff.floorMs.fallback,
};

const CONNECTION = connectionPolicies({
  backoff: BACKOFF,
  breaker: {
    consecutiveFailures: SETTINGS.breaker.consecutiveFailures.fallback,
    windowFailures: SETTINGS.breaker.windowFailures.fallback,
    windowSize: SETTINGS.breaker.windowSize.fallback,
    minOpenMs: SETTINGS.breaker.minOpenMs.fallback,
    maxOpenMs: SETTINGS.breaker.maxOpenMs.fallback,
    probeTimeoutMs: SETTINGS.breaker.probeTimeoutMs.fallback,
  },
  intervalMs: SETTINGS.polling.intervalMs.fallback,
});

const OK: Answer<null> = { kind: "ok", value: null, rateLimit: null };

function failed(status: number | null): Answer<null> {
  return { kind: "failed", why: "no answer", status, offline: false, retryAfterMs: null };
}

const NOT_REACHED = failed(null);
const BROKEN = failed(500);

/** The policy of this repository's agent. */
export const PENNON: Policy = {
  name: "pennon",
  periodMs: (isRapid) =>
    isRapid ? SETTINGS.polling.rapidIntervalMs.fallback : SETTINGS.polling.intervalMs.fallback,
  start: (fleet) => new PennonBehaviour(fleet),
};

class PennonBehaviour implements Behaviour {
  readonly #ids: readonly string[];
  readonly #random: Random;
  readonly #polling;
  readonly #rapidPolling;
  /** Agents below this number are in rapid polling. */
  readonly #rapidBelow: number;
  readonly #states: ConnectionState[];
  /** Of the attempt that has begun. */
  readonly #permits: Permit[];

  constructor({ agents, ids, random, isRapid, watched = 0 }: Fleet) {
    this.#ids = ids;
    this.#random = random;
    this.#polling = {
      intervalMs: SETTINGS.polling.intervalMs.fallback,
      rapidIntervalMs: SETTINGS.polling.rapidIntervalMs.fallback,
      rapidLeftMs: 0,
    };
    this.#rapidPolling = { ...this.#polling, rapidLeftMs: Infinity };
    this.#rapidBelow = isRapid ? agents : watched;
    this.#states = new Array(agents).fill(NEW_CONNECTION);
    this.#permits = new Array(agents).fill({ generation: 0, probe: false });
  }

  begin(agent: number, nowMs: number): number {
    const state = this.#states[agent]!;
    const { breaker: policy } = this.#policyOf(agent);
    const step = { nowMs, policy, random: this.#random };
    const admission = admit(state.breaker, step);
    if (!admission.admitted) {
      throw new Error(`Cannot begin an attempt: agent ${agent} is to wait at ${nowMs} ms`);
    }
    const { breaker, permit } = admission;
    this.#permits[agent] = permit;
    if (breaker !== state.breaker) this.#states[agent] = { ...state, breaker };
    // Where the check-in itself was answered, it is the probe.
    if ((state.outage?.status ?? 0) >= 500) return 0;
    if (permit.probe) return policy.probeTimeoutMs / 2;
    return state.outage === null ? 0 : SETTINGS.http.healthTimeoutMs.fallback;
  }

  checkInLimitMs(agent: number): number {
    return this.#permits[agent]!.probe
      ? this.#policyOf(agent).breaker.probeTimeoutMs / 2
      : SETTINGS.http.timeoutMs.fallback;
  }

  afterSuccess(agent: number, nowMs: number): number {
    const at = { nowMs, random: this.#random };
    const polling = agent < this.#rapidBelow ? this.#rapidPolling : this.#polling;
    const dueMs = nowMs + nextCheckInDelayMs(polling, this.#ids[agent]!, at);
    return Math.max(dueMs, this.#settle(agent, OK, nowMs));
  }

  afterFailure(agent: number, nowMs: number, isAnswered = false): number {
    return this.#settle(agent, isAnswered ? BROKEN : NOT_REACHED, nowMs);
  }

  #policyOf(agent: number): ConnectionPolicy {
    return agent < this.#rapidBelow ? CONNECTION.rapid : CONNECTION.normal;
  }

  /** Takes an answer in: the instant before which the connection allows no call. */
  #settle(agent: number, answer: Answer<null>, nowMs: number): number {
    const state = applyAnswer(this.#states[agent]!, answer, {
      path: "check_in",
      permit: this.#permits[agent]!,
      nowMs,
      random: this.#random,
      policy: this.#policyOf(agent),
    });
    this.#states[agent] = state;
    const openUntilMs = state.breaker.state === "open" ? state.breaker.untilMs : -Infinity;
    return Math.max(state.paths.check_in.notBeforeMs, openUntilMs);
  }
}
