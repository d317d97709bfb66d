/**
 * The connection to the server: every call goes through here, so that the breaker, the backoff and
 * the log see all of them. What an answer changes is decided in `transition.ts`.
 */

import { admit, type Breaker } from "../breaker/breaker.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Health } from "../server/protocol.ts";
import type { Clock, Random } from "../system/system.ts";
import type { ConnectionState, Path } from "./state.ts";
import { tellAnswer, tellTransition } from "./connection_log.ts";
import { type ConnectionPolicy, takeIn } from "./transition.ts";

/** Not called at all: the breaker or the backoff says to wait. */
export interface Withheld {
  readonly kind: "withheld";
  readonly retryInMs: number;
}

/** What a connection is made of. */
export interface ConnectionParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly policy: ConnectionPolicy;
  /** Asks `/health`, within the time given. */
  checkHealth(timeoutMs: number | undefined): Promise<Answer<Health>>;
  /** How many events wait, for the log of a recovery. */
  countPending(): number;
}

/** One call; `timeoutMs` is set where the breaker allows less than the client's own limit. */
export type MakeCall<T> = (timeoutMs: number | undefined) => Promise<Answer<T>>;

export class Connection {
  readonly #parts: ConnectionParts;
  #state: ConnectionState;

  constructor(parts: ConnectionParts, state: ConnectionState) {
    this.#parts = parts;
    this.#state = state;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** How long until a call on this path is allowed, in ms; 0: now. */
  waitMs(path: Path): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const { breaker, paths } = this.#state;
    return Math.max(0, paths[path].notBeforeMs - nowMs, breakerWaitMs(breaker, nowMs));
  }

  /** Whether the last check-in went well, so that work may be sent. */
  get isHealthy(): boolean {
    const { breaker, paths } = this.#state;
    return breaker.state === "closed" && paths.check_in.failures === 0;
  }

  /**
   * Makes a call if it is allowed. After a failure, and to close a half-open breaker, the server's
   * health is asked first; a server that is not healthy is not called.
   */
  async attempt<T>(path: Path, makeCall: MakeCall<T>): Promise<Answer<T> | Withheld> {
    const waitMs = this.waitMs(path);
    if (waitMs > 0) return { kind: "withheld", retryInMs: waitMs };
    const admission = admit(this.#state.breaker, this.#step());
    this.#enter({ ...this.#state, breaker: admission.breaker });
    if (!admission.admitted) return { kind: "withheld", retryInMs: admission.retryInMs };
    const { permit } = admission;
    const startedMs = this.#parts.clock.monotonicMs();
    const answer = await this.#callInHealth(permit.probe, makeCall);
    const { policy, random, clock, log, countPending } = this.#parts;
    const nowMs = clock.monotonicMs();
    const before = this.#state;
    this.#enter(takeIn(before, answer, { path, permit, nowMs, random, policy }));
    tellAnswer(log, answer, {
      path,
      before,
      after: this.#state,
      nowMs,
      tookMs: nowMs - startedMs,
      waitMs: this.waitMs(path),
      pending: countPending(),
    });
    return answer;
  }

  async #callInHealth<T>(probe: boolean, makeCall: MakeCall<T>): Promise<Answer<T>> {
    // Both requests of a probe have to fit into the probe's own time.
    const timeoutMs = probe ? this.#parts.policy.breaker.probeTimeoutMs / 2 : undefined;
    if (probe || this.#state.outage !== null) {
      const health = await this.#parts.checkHealth(timeoutMs);
      if (health.kind !== "ok") return unhealthy(health);
      if (!health.value.usable) {
        return unhealthy({
          kind: "refused",
          status: 200,
          why: `server says "${health.value.status}"`,
        });
      }
    }
    return await makeCall(timeoutMs);
  }

  #step() {
    const { clock, policy, random } = this.#parts;
    return { nowMs: clock.monotonicMs(), policy: policy.breaker, random };
  }

  #enter(state: ConnectionState): void {
    const { log, clock } = this.#parts;
    tellTransition(log, { before: this.#state.breaker, after: state.breaker }, clock.monotonicMs());
    this.#state = state;
  }
}

/** Until when a breaker refuses, as a wait; a probe that is out is waited for. */
function breakerWaitMs(breaker: Breaker, nowMs: number): number {
  switch (breaker.state) {
    case "closed":
      return 0;
    case "open":
      return breaker.untilMs - nowMs;
    case "half_open":
      return breaker.probeUntilMs === null ? 0 : breaker.probeUntilMs - nowMs;
  }
}

/** A health check that did not go well, as the answer to the call that was not made. */
function unhealthy(health: Exclude<Answer<Health>, { kind: "ok" }>): Answer<never> {
  switch (health.kind) {
    case "failed":
    case "limited":
    case "aborted":
      return health;
    case "refused":
    case "unauthorized":
    case "needs_person": {
      const status = health.kind === "refused" ? health.status : null;
      const why = `not healthy: ${health.why}`;
      return { kind: "failed", why, status, offline: false, retryAfterMs: null };
    }
  }
}
