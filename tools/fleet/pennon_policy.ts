/**
 * Pennon's own policy: the agent's real breaker, backoff and schedule with their default numbers.
 * Only the order of calls is told again here, that of `attempt` in `src/loop/connection.ts`.
 */

import { admit, type Permit } from "../../src/breaker/breaker.ts";
import { connectionPolicy } from "../../src/breaker/connection.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { type BackoffPolicy, ceilingMs } from "../../src/loop/backoff.ts";
import { nextCheckInMs } from "../../src/loop/schedule.ts";
import { type ConnectionState, NEW_STATE } from "../../src/loop/state.ts";
import { type ConnectionPolicy, takeIn } from "../../src/loop/transition.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Random } from "../../src/system/system.ts";
import type { Behaviour, Fleet, Policy } from "./policy.ts";

const BACKOFF: BackoffPolicy = {
  baseMs: SETTINGS.backoffBase.fallback,
  capMs: SETTINGS.backoffCap.fallback,
  floorMs: SETTINGS.backoffFloor.fallback,
};

const CONNECTION: ConnectionPolicy = {
  backoff: BACKOFF,
  breaker: connectionPolicy({
    consecutiveFailures: SETTINGS.consecutiveFailures.fallback,
    windowFailures: SETTINGS.windowFailures.fallback,
    windowSize: SETTINGS.windowSize.fallback,
    minOpenMs: SETTINGS.minOpen.fallback,
    maxOpenMs: SETTINGS.maxOpen.fallback,
    probeTimeoutMs: SETTINGS.probeTimeout.fallback,
  }, (failures) => ceilingMs(failures, BACKOFF)),
  intervalMs: SETTINGS.interval.fallback,
};

const OK: Answer<null> = { kind: "ok", value: null, rateLimit: null };

const FAILED: Answer<null> = {
  kind: "failed",
  why: "no answer",
  status: null,
  offline: false,
  retryAfterMs: null,
};

/** The policy of this repository's agent. */
export const PENNON: Policy = {
  name: "pennon",
  periodMs: (isRapid) => isRapid ? SETTINGS.rapidInterval.fallback : SETTINGS.interval.fallback,
  start: (fleet) => new PennonBehaviour(fleet),
};

class PennonBehaviour implements Behaviour {
  readonly #ids: readonly string[];
  readonly #random: Random;
  readonly #polling;
  readonly #states: ConnectionState[];
  /** Of the attempt that has begun. */
  readonly #permits: Permit[];

  constructor({ agents, ids, random, isRapid }: Fleet) {
    this.#ids = ids;
    this.#random = random;
    this.#polling = {
      intervalMs: SETTINGS.interval.fallback,
      rapidIntervalMs: SETTINGS.rapidInterval.fallback,
      rapidLeftMs: isRapid ? Infinity : 0,
    };
    this.#states = new Array(agents).fill(NEW_STATE.connection);
    this.#permits = new Array(agents).fill({ generation: 0, probe: false });
  }

  begin(agent: number, nowMs: number): number {
    const state = this.#states[agent]!;
    const step = { nowMs, policy: CONNECTION.breaker, random: this.#random };
    const admission = admit(state.breaker, step);
    if (!admission.admitted) {
      throw new Error(`Cannot begin an attempt: agent ${agent} is to wait at ${nowMs} ms`);
    }
    const { breaker, permit } = admission;
    this.#permits[agent] = permit;
    if (breaker !== state.breaker) this.#states[agent] = { ...state, breaker };
    if (permit.probe) return CONNECTION.breaker.probeTimeoutMs / 2;
    return state.outage === null ? 0 : SETTINGS.healthTimeout.fallback;
  }

  checkInLimitMs(agent: number): number {
    return this.#permits[agent]!.probe
      ? CONNECTION.breaker.probeTimeoutMs / 2
      : SETTINGS.timeout.fallback;
  }

  afterSuccess(agent: number, nowMs: number): number {
    const at = { nowMs, random: this.#random };
    const dueMs = nowMs + nextCheckInMs(this.#polling, this.#ids[agent]!, at);
    return Math.max(dueMs, this.#settle(agent, OK, nowMs));
  }

  afterFailure(agent: number, nowMs: number): number {
    return this.#settle(agent, FAILED, nowMs);
  }

  /** Takes an answer in: the instant before which the connection allows no call. */
  #settle(agent: number, answer: Answer<null>, nowMs: number): number {
    const state = takeIn(this.#states[agent]!, answer, {
      path: "check_in",
      permit: this.#permits[agent]!,
      nowMs,
      random: this.#random,
      policy: CONNECTION,
    });
    this.#states[agent] = state;
    const openUntilMs = state.breaker.state === "open" ? state.breaker.untilMs : -Infinity;
    return Math.max(state.paths.check_in.notBeforeMs, openUntilMs);
  }
}
