/**
 * The connection to the server: every call goes through it, so that the breaker, the backoff, the
 * tokens and the log cover all of them. What an answer changes is decided in `state.ts`.
 */

import {
  admit,
  breakerTransition,
  breakerWaitMs,
  logTransition,
  type Permit,
  settle,
  shorten,
} from "../breaker/breaker.ts";
import type { ConnectionPolicies, ConnectionPolicy } from "../breaker/policies.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Caller, CallOptions, Client } from "../server/client.ts";
import type { Health } from "../server/protocol.ts";
import type { Clock, Random } from "../system/system.ts";
import { logAnswer } from "./connection_log.ts";
import { type Session, SharedCall } from "./session.ts";
import {
  applyAnswer,
  type ConnectionState,
  hasRetryAfter,
  type Path,
  resetConnection,
  verdictOf,
  whyOf,
} from "./state.ts";

/** The call was not made: the breaker is open, or a wait is running. */
export interface Rejected {
  readonly kind: "circuit_open" | "backoff";
  readonly retryInMs: number;
}

interface ConnectionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly policies: ConnectionPolicies;
  readonly client: Pick<Client, "health">;
  readonly session: Pick<Session, "call">;
  /** Whether rapid polling is on: a person is watching, and waits are short. */
  isRapid(): boolean;
  /** Time limit of one attempt as a whole, including a renewal of the token. */
  readonly callLimitMs: number;
  /** The number of pending events, for the log of a recovery. */
  countPending(): number;
}

/** The limits of one call. `timeoutMs` is set where the breaker allows less than the client. */
interface CallLimits extends CallOptions {
  /** Aborted when no caller waits for the result any more: the call ends and begins nothing new. */
  readonly signal: AbortSignal;
}

/** Makes one call within its limits, with the tokens of the session. */
type MakeCall<T> = (limits: CallLimits, caller: Caller) => Promise<Answer<T>>;

interface AttemptOptions {
  /** Part of a burst, which begins only after the server's health is known. @default false */
  readonly isBurst?: boolean;
  /** Aborts the call. */
  readonly signal?: AbortSignal;
}

/** If a call takes this much longer by the wall clock, the host was asleep in between. */
const ASLEEP_MS = 2_000;

/** How old what is known of the host's sleep may be when a call begins: a look costs 8 us of CPU. */
const SLEEP_KNOWN_MS = 1_000;

export class Connection {
  readonly #deps: ConnectionDeps;
  #state: ConnectionState;
  /** Number of calls begun so far; each call is known by its number. */
  #begun = 0;
  /** Per path, the latest call that had begun when one failed or was rate limited. */
  readonly #failedWith: Record<Path, number> = { check_in: 0, delivery: 0 };
  /** Per path, the latest call that had begun when an answer set its wait; a 503 with a time sets both. */
  readonly #waitsSince: Record<Path, number> = { check_in: 0, delivery: 0 };
  /** Overlapping reports share one health check. */
  readonly #health = new SharedCall((signal) => this.#deps.client.health({ signal }));
  /** A good `/health` needs no further check before this instant. */
  #healthKnownUntilMs = -Infinity;
  /** The latest look at how long this host has slept, in monotonic time. */
  #sleep = { asleepMs: 0, atMs: -Infinity };

  constructor(deps: ConnectionDeps, state: ConnectionState) {
    this.#deps = deps;
    this.#state = state;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** How long until a call on this path is allowed, in ms; 0: now. */
  waitMs(path: Path): number {
    const nowMs = this.#deps.clock.monotonicMs();
    const { breaker, paths, doubt, operatorAction } = this.#state;
    const notBeforeMs = Math.max(
      paths[path].notBeforeMs,
      doubt?.kind === "token" ? doubt.notBeforeMs : -Infinity,
      operatorAction?.notBeforeMs ?? -Infinity,
    );
    return Math.max(0, notBeforeMs - nowMs, breakerWaitMs(breaker, nowMs));
  }

  /** Whether the last check-in succeeded and the server accepts this agent: reports may be sent. */
  get isHealthy(): boolean {
    const { breaker, paths, doubt, operatorAction } = this.#state;
    return breaker.state === "closed" && paths.check_in.failures === 0 && doubt === null &&
      operatorAction === null;
  }

  /** Whether the server may have deleted this agent; an accepted report proves that it has not. */
  get mayBeDeleted(): boolean {
    const { doubt, operatorAction } = this.#state;
    return doubt?.kind === "deleted" || operatorAction?.cause === "deleted";
  }

  /** Rapid polling has begun: an open breaker stays open no longer than rapid polling allows. */
  onRapidPolling(): void {
    const { clock, random, policies } = this.#deps;
    const { breaker } = this.#state;
    if (breaker.state !== "open") return;
    const { failures, trips } = breaker;
    const openMs = policies.rapid.breaker.openMs({ failures, trips }, random);
    this.#enter({ ...this.#state, breaker: shorten(breaker, clock.monotonicMs() + openMs) });
  }

  /**
   * The host has resumed, or its network has come up: an attempt that waits only because the host was
   * offline comes at random within `withinMs`. A wait that the server asked for remains.
   */
  retrySoon(withinMs: number): void {
    const { outage, paths } = this.#state;
    if (!outage?.offline) return;
    const soonAtMs = this.#deps.clock.monotonicMs() + this.#deps.random() * withinMs;
    const notBeforeMs = Math.min(paths.check_in.notBeforeMs, soonAtMs);
    this.#enter({
      ...this.#state,
      paths: { ...paths, check_in: { ...paths.check_in, notBeforeMs } },
    });
  }

  /** Drops all waits, at an operator's request. */
  reset(): void {
    this.#enter(resetConnection(this.#state));
  }

  /**
   * Makes a call if it is allowed. After a failure to reach the server, before a burst and for a probe
   * of a half-open breaker it checks the server's health first, and does not call an unhealthy server.
   * After a 5xx health proves nothing (RedFlag's is good without its database), nor where `/health` leads
   * to something else: there the call itself is the probe.
   */
  async attempt<T>(
    path: Path,
    makeCall: MakeCall<T>,
    options: AttemptOptions = {},
  ): Promise<Answer<T> | Rejected> {
    const { clock } = this.#deps;
    const startedMs = clock.monotonicMs();
    const retryInMs = this.waitMs(path);
    if (retryInMs > 0) {
      const isOpen = breakerWaitMs(this.#state.breaker, startedMs) >= retryInMs;
      return { kind: isOpen ? "circuit_open" : "backoff", retryInMs };
    }
    const admission = admit(this.#state.breaker, this.#step());
    this.#enter({ ...this.#state, breaker: admission.breaker });
    if (!admission.admitted) return { kind: "circuit_open", retryInMs: admission.retryInMs };
    const { permit } = admission;
    const number = this.#begun += 1;
    if (startedMs - this.#sleep.atMs >= SLEEP_KNOWN_MS) this.#lookAtSleep();
    const { asleepMs } = this.#sleep;
    const abandoned = new AbortController();
    const stopForwarding = forwardAbort(options.signal, abandoned);
    const { probe } = permit;
    const call = this.#callIfHealthy(makeCall, { ...options, probe, signal: abandoned.signal });
    const limitMs = probe ? this.#policy.breaker.probeTimeoutMs : this.#deps.callLimitMs;
    const inTime = await this.#within(limitMs, call)
      .catch((error) => this.#releasePermit(permit, error))
      .finally(stopForwarding);
    if (inTime === null) abandoned.abort(new Error("the call took too long"));
    // A failure while this host slept says nothing about the server.
    const answer = inTime?.kind === "failed" && this.#lookAtSleep() - asleepMs > ASLEEP_MS
      ? { kind: "aborted" } as const
      : inTime ?? tooLate(clock.monotonicMs() - startedMs);
    const isLateProbe = inTime === null && probe;
    if (isLateProbe) this.#settleLate(permit, call);
    // The breaker itself frees the slot of a late probe.
    this.#applyAnswer(answer, { path, permit: isLateProbe ? null : permit, startedMs, number });
    return answer;
  }

  /** How long this host has slept. A call that begins within a second after a sleep may fail by it, too. */
  #lookAtSleep(): number {
    const { clock } = this.#deps;
    this.#sleep = { asleepMs: clock.asleepMs(), atMs: clock.monotonicMs() };
    return this.#sleep.asleepMs;
  }

  #applyAnswer(
    received: Answer<unknown>,
    call: { path: Path; permit: Permit | null; startedMs: number; number: number },
  ): void {
    const { random, clock, log, countPending } = this.#deps;
    const nowMs = clock.monotonicMs();
    const before = this.#state;
    const { path, permit } = call;
    const answer = this.#isSameFailure(received, call) ? { kind: "aborted" } as const : received;
    const isOlder = call.number <= this.#waitsSince[path];
    if (isBad(answer)) this.#failedWith[path] = this.#begun;
    for (const waiting of waitingPaths(answer, path)) this.#waitsSince[waiting] = this.#begun;
    if (answer.kind === "failed") this.#healthKnownUntilMs = -Infinity;
    const step = { path, permit, isOlder, nowMs, random, policy: this.#policy };
    this.#enter(applyAnswer(before, answer, step));
    logAnswer(log, answer, {
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
   * Overlapping calls fail together when a server goes down: that counts as one failure of the path,
   * not as one per call.
   */
  #isSameFailure(answer: Answer<unknown>, call: { path: Path; number: number }): boolean {
    return isBad(answer) && call.number <= this.#failedWith[call.path];
  }

  /** A call that throws failed by a fault of the agent or its disk, which says nothing of the server. */
  #releasePermit(permit: Permit, error: unknown): never {
    this.#settle(permit, { kind: "aborted" });
    throw error;
  }

  /** The call's answer, or `null` if there is none in time, whatever the layers below promise. */
  async #within<T>(limitMs: number, call: Promise<T>): Promise<T | null> {
    const { promise: limit, resolve } = Promise.withResolvers<null>();
    const cancel = this.#deps.clock.after(limitMs, () => resolve(null));
    try {
      return await Promise.race([call, limit]);
    } finally {
      cancel();
    }
  }

  /** The breaker receives a late result too, and knows it by its generation. */
  #settleLate(permit: Permit, call: Promise<Answer<unknown>>): void {
    call.then((answer) => this.#settle(permit, answer), () => {}); // A fault of the agent: the caller of `attempt` has moved on.
  }

  #settle(permit: Permit, answer: Answer<unknown>): void {
    const result = { permit, verdict: verdictOf(answer), reason: whyOf(answer) };
    this.#enter({ ...this.#state, breaker: settle(this.#state.breaker, result, this.#step()) });
  }

  async #callIfHealthy<T>(
    makeCall: MakeCall<T>,
    { probe, signal, isBurst = false }: AttemptOptions & { probe: boolean; signal: AbortSignal },
  ): Promise<Answer<T>> {
    const { clock, policies, client, session } = this.#deps;
    // Both requests of a probe have to fit into the probe's own time.
    const limits = {
      ...probe && { timeoutMs: this.#policy.breaker.probeTimeoutMs / 2 },
      signal,
    };
    const isHealthUnknown = clock.monotonicMs() >= this.#healthKnownUntilMs;
    const { outage } = this.#state;
    const hasAnswered = (outage?.status ?? 0) >= 500;
    if (!hasAnswered && (probe || outage !== null || (isBurst && isHealthUnknown))) {
      const health = probe ? await client.health(limits) : await this.#health.wait(signal);
      if (signal.aborted) return { kind: "aborted" };
      const unhealthy = readHealth(health);
      if (unhealthy !== null) return unhealthy;
      this.#healthKnownUntilMs = clock.monotonicMs() + policies.normal.intervalMs;
    }
    return await session.call((caller) => makeCall(limits, caller), signal);
  }

  get #policy(): ConnectionPolicy {
    const { policies, isRapid } = this.#deps;
    return isRapid() ? policies.rapid : policies.normal;
  }

  #step() {
    const { clock, random } = this.#deps;
    return { nowMs: clock.monotonicMs(), policy: this.#policy.breaker, random };
  }

  #enter(state: ConnectionState): void {
    const { log, clock } = this.#deps;
    const transition = breakerTransition(this.#state.breaker, state.breaker, clock.monotonicMs());
    if (transition) logTransition(log, { what: "connection" }, transition);
    this.#state = state;
  }
}

/** The paths that wait after an answer on one of them. */
function waitingPaths(answer: Answer<unknown>, path: Path): readonly Path[] {
  if (hasRetryAfter(answer)) return ["check_in", "delivery"];
  return isBad(answer) ? [path] : [];
}

function isBad({ kind }: Answer<unknown>): boolean {
  return kind === "failed" || kind === "limited";
}

function tooLate(tookMs: number): Answer<never> {
  const why = `no end of the call within ${Math.round(tookMs / 1_000)} s`;
  return { kind: "failed", why, status: null, offline: false, retryAfterMs: null };
}

/** What RedFlag's `/health` says before it is set up: it has no other route then. */
const NOT_SET_UP = /waiting for configuration/i;

/**
 * A health check that shows that a call would be in vain, as the answer to that call; `null`: it shows nothing
 * of the kind. A refusal, a page or unknown words say that `/health` leads somewhere else: a proxy may pass
 * on no more than the API and answer that by itself, and RedFlag's own agent never asks.
 */
function readHealth(health: Answer<Health>): Answer<never> | null {
  switch (health.kind) {
    case "ok": {
      const { usable, status } = health.value;
      if (usable || !NOT_SET_UP.test(status)) return null;
      const why = `not healthy: server says "${status}"`;
      return { kind: "failed", why, status: 200, offline: false, retryAfterMs: null };
    }
    case "failed":
      return health.status !== null && health.status < 500 ? null : health;
    case "limited":
      return health.isOverloaded ? health : null;
    case "aborted":
      return health;
    case "refused":
    case "unauthorized":
    case "operator_required":
    case "report_failed":
      return null;
  }
}

/** Aborts `target` when `signal` is, until undone by the returned function; cheaper than `any`. */
function forwardAbort(signal: AbortSignal | undefined, target: AbortController): () => void {
  if (signal === undefined) return () => {};
  const abort = () => target.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  return () => signal.removeEventListener("abort", abort);
}
