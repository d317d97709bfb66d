/**
 * The connection to the server: every call goes through here, so that the breaker, the backoff and
 * the log see all of them. What an answer changes is decided in `transition.ts`.
 */

import { admit, type Breaker, type Permit, settle, shorten } from "../breaker/breaker.ts";
import { breakerChange } from "../breaker/change.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Health } from "../server/protocol.ts";
import type { Clock, Random } from "../system/system.ts";
import type { ConnectionState, Path } from "./state.ts";
import { tellChange } from "../breaker/change_log.ts";
import { tellAnswer } from "./connection_log.ts";
import { SharedCall } from "./shared_call.ts";
import {
  type ConnectionPolicies,
  type ConnectionPolicy,
  isServerAsking,
  resetConnection,
  takeIn,
  verdictOf,
  whyOf,
} from "./transition.ts";

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
  readonly policies: ConnectionPolicies;
  /** Whether rapid polling is on: a person is watching, and waits are short. */
  isRapid(): boolean;
  /** One call may take so long in all, a renewal in the middle of it included. */
  readonly callLimitMs: number;
  checkHealth(limits: CallLimits): Promise<Answer<Health>>;
  /** How many events wait, for the log of a recovery. */
  countPending(): number;
}

/** The limits of one call. */
export interface CallLimits {
  /** Set where the breaker allows less than the client's own limit. */
  readonly timeoutMs?: number;
  /** Given when nobody waits for the call any more: it is to end, and begin nothing new. */
  readonly signal: AbortSignal;
}

/** Makes one call within its limits. */
export type MakeCall<T> = (limits: CallLimits) => Promise<Answer<T>>;

/** What is to be sent: a burst of work is not begun before the server's health is known. */
export interface AttemptOptions {
  /** @default false */
  readonly isBurst?: boolean;
  /** Given when the call is to be cut off: its own signal then is given too. */
  readonly cut?: AbortSignal;
}

/** So much longer than a call may take, and the host has been asleep in the middle of it. */
const ASLEEP_MS = 2_000;

/** One for all: making a new one with each call costs more than the call's clock. */
const DONE = new Error("done");

export class Connection {
  readonly #parts: ConnectionParts;
  #state: ConnectionState;
  /** Calls that were begun, by number. */
  #begun = 0;
  /** The last call that was on its way when one on this path failed or was turned away. */
  readonly #failedWith: Record<Path, number> = { check_in: 0, delivery: 0 };
  /** The last call that was on its way when an answer made this path wait; a 503 with a time makes both. */
  readonly #waitsSince: Record<Path, number> = { check_in: 0, delivery: 0 };
  /** Of reports that overlap one asks, and the others wait for the same answer. */
  readonly #health = new SharedCall((signal) => this.#parts.checkHealth({ signal }));
  /** Until then a good `/health` need not be asked for again. */
  #healthKnownUntilMs = -Infinity;

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
    const { breaker, paths, doubt, needsPerson } = this.#state;
    const notBeforeMs = Math.max(
      paths[path].notBeforeMs,
      doubt?.kind === "token" ? doubt.notBeforeMs : -Infinity,
      needsPerson?.notBeforeMs ?? -Infinity,
    );
    return Math.max(0, notBeforeMs - nowMs, breakerWaitMs(breaker, nowMs));
  }

  /** Whether the last check-in went well, and the server knows this agent: work may be sent. */
  get isHealthy(): boolean {
    const { breaker, paths, doubt, needsPerson } = this.#state;
    return breaker.state === "closed" && paths.check_in.failures === 0 && doubt === null &&
      needsPerson === null;
  }

  /** Whether the server may have deleted this agent: a report that it takes is the proof it has not. */
  get isUnknown(): boolean {
    const { doubt, needsPerson } = this.#state;
    return doubt?.kind === "deleted" || needsPerson?.cause === "deleted";
  }

  /** Rapid polling has begun: a breaker that is open stays so no longer than it allows. */
  onRapidPolling(): void {
    const { clock, random, policies } = this.#parts;
    const { breaker } = this.#state;
    if (breaker.state !== "open") return;
    const { failures, trips } = breaker;
    const openMs = policies.rapid.breaker.openMs({ failures, trips }, random);
    this.#enter({ ...this.#state, breaker: shorten(breaker, clock.monotonicMs() + openMs) });
  }

  /**
   * This host has woken, or its network has come up: an attempt that only waits because the host was
   * offline comes at random within `withinMs`. A server's own wish is never overridden.
   */
  hurry(withinMs: number): void {
    const { outage, paths } = this.#state;
    if (!outage?.offline) return;
    const soonMs = this.#parts.clock.monotonicMs() + this.#parts.random() * withinMs;
    const notBeforeMs = Math.min(paths.check_in.notBeforeMs, soonMs);
    this.#enter({
      ...this.#state,
      paths: { ...paths, check_in: { ...paths.check_in, notBeforeMs } },
    });
  }

  /** Begins anew, because a person said so. */
  reset(): void {
    this.#enter(resetConnection(this.#state));
  }

  /**
   * Makes a call if it is allowed. After a failure to reach the server, before a burst and to close a
   * half-open breaker its health is asked first; a server that is not healthy is not called. Where
   * the latest answer was a 5xx health proves nothing (RedFlag's is good without its database): there
   * the call itself is the probe.
   */
  async attempt<T>(
    path: Path,
    makeCall: MakeCall<T>,
    options: AttemptOptions = {},
  ): Promise<Answer<T> | Withheld> {
    const waitMs = this.waitMs(path);
    if (waitMs > 0) return { kind: "withheld", retryInMs: waitMs };
    const admission = admit(this.#state.breaker, this.#step());
    this.#enter({ ...this.#state, breaker: admission.breaker });
    if (!admission.admitted) return { kind: "withheld", retryInMs: admission.retryInMs };
    const { permit } = admission;
    const { clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const number = this.#begun += 1;
    const asleepMs = clock.asleepMs();
    const over = new AbortController();
    const unfollow = follow(options.cut, over);
    const { probe } = permit;
    const call = this.#callInHealth(makeCall, { probe, over: over.signal, ...options });
    const limitMs = permit.probe ? this.#policy.breaker.probeTimeoutMs : undefined;
    const settled = await this.#within(limitMs ?? this.#parts.callLimitMs, call)
      .catch((error) => this.#giveBack(permit, error))
      .finally(unfollow);
    if (settled === null) over.abort(new Error("the call took too long"));
    const wasAsleep = () => clock.asleepMs() - asleepMs > ASLEEP_MS;
    // What broke because this host slept says nothing of the server.
    const answer = settled?.kind === "failed" && wasAsleep()
      ? { kind: "aborted" } as const
      : settled ?? tooLate(clock.monotonicMs() - startedMs);
    if (settled === null && permit.probe) this.#awaitLate(permit, call);
    // The breaker takes the slot of a probe back by itself.
    const judged = settled === null && permit.probe ? null : permit;
    this.#takeIn(answer, { path, permit: judged, startedMs, number });
    return answer;
  }

  #takeIn(
    told: Answer<unknown>,
    call: { path: Path; permit: Permit | null; startedMs: number; number: number },
  ): void {
    const { random, clock, log, countPending } = this.#parts;
    const policy = this.#policy;
    const nowMs = clock.monotonicMs();
    const before = this.#state;
    const { path, permit } = call;
    const answer = this.#isSameFailure(told, call) ? { kind: "aborted" } as const : told;
    const isOlder = call.number <= this.#waitsSince[path];
    if (isBad(answer)) this.#failedWith[path] = this.#begun;
    for (const waiting of waitingPaths(answer, path)) this.#waitsSince[waiting] = this.#begun;
    if (answer.kind === "failed") this.#healthKnownUntilMs = -Infinity;
    this.#enter(takeIn(before, answer, { path, permit, isOlder, nowMs, random, policy }));
    tellAnswer(log, answer, {
      path,
      before,
      after: this.#state,
      nowMs,
      tookMs: nowMs - call.startedMs,
      waitMs: this.waitMs(path),
      countPending,
    });
  }

  /**
   * Several calls on their way fail together when a server goes down: that is one failure of its path,
   * not as many as there happened to be.
   */
  #isSameFailure(answer: Answer<unknown>, call: { path: Path; number: number }): boolean {
    return isBad(answer) && call.number <= this.#failedWith[call.path];
  }

  /** A call that throws is a mistake of ours, or our disk's: it says nothing of the server. */
  #giveBack(permit: Permit, error: unknown): never {
    const result = { permit, verdict: "neutral", reason: "" } as const;
    this.#enter({
      ...this.#state,
      breaker: settle(this.#state.breaker, result, this.#step()),
    });
    throw error;
  }

  /** The call's answer, or `null` if there is none in time, whatever the layers below promise. */
  async #within<T>(limitMs: number, call: Promise<T>): Promise<T | null> {
    const done = new AbortController();
    const limit = this.#parts.clock.sleep(limitMs, done.signal).then(() => null, () => null);
    try {
      return await Promise.race([call, limit]);
    } finally {
      done.abort(DONE);
    }
  }

  /** A late result goes to the breaker all the same, which knows it by its generation. */
  #awaitLate(permit: Permit, call: Promise<Answer<unknown>>): void {
    call.then((answer) => {
      const result = { permit, verdict: verdictOf(answer), reason: whyOf(answer) };
      const breaker = settle(this.#state.breaker, result, this.#step());
      this.#enter({ ...this.#state, breaker });
    }, () => {}); // A mistake of ours, told by whoever made the call.
  }

  async #callInHealth<T>(
    makeCall: MakeCall<T>,
    { probe, over, isBurst = false }: AttemptOptions & { probe: boolean; over: AbortSignal },
  ): Promise<Answer<T>> {
    const { clock, policies, checkHealth } = this.#parts;
    const policy = this.#policy;
    // Both requests of a probe have to fit into the probe's own time.
    const limits = probe ? { timeoutMs: policy.breaker.probeTimeoutMs / 2 } : {};
    const isHealthUnknown = clock.monotonicMs() >= this.#healthKnownUntilMs;
    const { outage } = this.#state;
    const hasAnswered = (outage?.status ?? 0) >= 500;
    if (!hasAnswered && (probe || outage !== null || (isBurst && isHealthUnknown))) {
      const health = probe
        ? await checkHealth({ ...limits, signal: over })
        : await this.#health.wait(over);
      if (over.aborted) return { kind: "aborted" };
      if (health.kind !== "ok") return unhealthy(health);
      if (!health.value.usable) {
        const why = `server says "${health.value.status}"`;
        return unhealthy({ kind: "refused", status: 200, why });
      }
      this.#healthKnownUntilMs = clock.monotonicMs() + policies.normal.intervalMs;
    }
    return await makeCall({ ...limits, signal: over });
  }

  get #policy(): ConnectionPolicy {
    const { policies, isRapid } = this.#parts;
    return isRapid() ? policies.rapid : policies.normal;
  }

  #step() {
    const { clock, random } = this.#parts;
    return { nowMs: clock.monotonicMs(), policy: this.#policy.breaker, random };
  }

  #enter(state: ConnectionState): void {
    const { log, clock } = this.#parts;
    const change = breakerChange(this.#state.breaker, state.breaker, clock.monotonicMs());
    if (change) tellChange(log, { what: "connection" }, change);
    this.#state = state;
  }
}

/** The paths that wait after an answer on one of them. */
function waitingPaths(answer: Answer<unknown>, path: Path): readonly Path[] {
  if (isServerAsking(answer)) return ["check_in", "delivery"];
  return isBad(answer) ? [path] : [];
}

function isBad({ kind }: Answer<unknown>): boolean {
  return kind === "failed" || kind === "limited";
}

function tooLate(tookMs: number): Answer<never> {
  const why = `no end of the call within ${Math.round(tookMs / 1_000)} s`;
  return { kind: "failed", why, status: null, offline: false, retryAfterMs: null };
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

/** `over` is given when `signal` is, until that is undone. Costs less than `AbortSignal.any`. */
function follow(signal: AbortSignal | undefined, over: AbortController): () => void {
  if (signal === undefined) return () => {};
  const end = () => over.abort(signal.reason);
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  return () => signal.removeEventListener("abort", end);
}
