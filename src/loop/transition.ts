/** What an answer of the server does to the connection's state: pure, one answer, one new state. */

import { type ConnectionBreakerSettings, connectionPolicy } from "../breaker/connection.ts";
import {
  advance,
  type BreakerPolicy,
  NEW_BREAKER,
  type Permit,
  settle,
  type Verdict,
} from "../breaker/breaker.ts";
import type { Answer } from "../server/answer.ts";
import type { Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy, ceilingMs } from "./backoff.ts";
import { nextStanding } from "./doubt.ts";
import type { ConnectionState, Outage, Path, PathState } from "./state.ts";

/** Longest wait between attempts that reach nothing because this host itself is offline. */
export const OFFLINE_CAP_MS = 30_000;

/**
 * Longest wait of the agent's own while rapid polling is on: a person is watching the dashboard. A
 * server's `Retry-After` may ask for more.
 */
export const RAPID_CAP_MS = 30_000;

/** Part of a `Retry-After` that is added by chance, so that the turned away do not return as one. */
const RETRY_AFTER_JITTER = 0.2;

/** The rules by which a connection goes on. */
export interface ConnectionPolicy {
  readonly backoff: BackoffPolicy;
  readonly breaker: BreakerPolicy;
  /** Between check-ins: what an operator has to mend is tried no more often. */
  readonly intervalMs: number;
}

/** The rules while polling normally, and those while rapid polling is on. */
export type ConnectionPolicies = Readonly<Record<"normal" | "rapid", ConnectionPolicy>>;

/** The rules from the configuration's numbers; rapid polling lowers caps and raises nothing. */
export function connectionPolicies(
  settings: {
    readonly backoff: BackoffPolicy;
    readonly breaker: ConnectionBreakerSettings;
    readonly intervalMs: number;
  },
): ConnectionPolicies {
  const policyOf = (capMs: number): ConnectionPolicy => {
    const backoff = { ...settings.backoff, capMs: Math.min(capMs, settings.backoff.capMs) };
    const breaker = {
      ...settings.breaker,
      minOpenMs: Math.min(capMs, settings.breaker.minOpenMs),
      maxOpenMs: Math.min(capMs, settings.breaker.maxOpenMs),
    };
    return {
      backoff,
      breaker: connectionPolicy(breaker, (failures) => ceilingMs(failures, backoff)),
      intervalMs: Math.min(capMs, settings.intervalMs),
    };
  };
  return { normal: policyOf(Infinity), rapid: policyOf(RAPID_CAP_MS) };
}

/** One answer, and what is needed to take it in. */
export interface AnswerStep {
  readonly path: Path;
  /** `null`: the breaker has judged the call by itself, as one that took too long. */
  readonly permit: Permit | null;
  /**
   * The call was on its way already when another one led to the wait of its path: that it went well
   * shows nothing of the server since then. @default false
   */
  readonly isOlder?: boolean;
  readonly nowMs: number;
  readonly random: Random;
  readonly policy: ConnectionPolicy;
}

/** What an answer says about the server's health; resilience.md, section 1. */
export function verdictOf(answer: Answer<unknown>): Verdict {
  switch (answer.kind) {
    case "ok":
      return "success";
    case "refused": // It took the trouble to say no: it is there.
      return isUnclear(answer) ? "neutral" : "success";
    case "failed":
      // Nothing left this host: that says nothing of the server.
      return answer.offline ? "neutral" : "failure";
    case "limited":
    case "unauthorized":
    case "needs_person":
    case "aborted":
      return "neutral";
  }
}

/** The state after an answer. */
export function takeIn(
  state: ConnectionState,
  answer: Answer<unknown>,
  step: AnswerStep,
): ConnectionState {
  const { permit, nowMs, random } = step;
  const verdict = verdictOf(answer);
  const breakerStep = { nowMs, policy: step.policy.breaker, random };
  const breaker = permit === null
    ? advance(state.breaker, breakerStep)
    : settle(state.breaker, { permit, verdict, reason: whyOf(answer) }, breakerStep);
  const isOpen = breaker.state === "open";
  const isOldSuccess = step.isOlder === true && isGood(answer);
  const path = state.paths[step.path];
  const own = isOldSuccess ? path : nextPath(path, answer, { ...step, isOpen });
  const paths = { ...state.paths, [step.path]: own };
  return {
    breaker,
    paths: isServerAsking(answer) ? notBefore(paths, own.notBeforeMs) : paths,
    outage: isOldSuccess ? state.outage : nextOutage(state.outage, answer, nowMs),
    ...nextStanding(state, answer, {
      path: step.path,
      nowMs,
      random,
      intervalMs: step.policy.intervalMs,
    }),
  };
}

/**
 * A connection that begins anew because a person said so: nothing is waited for. The outage stays,
 * so that the server's health is asked first and a recovery is told.
 */
export function resetConnection(state: ConnectionState): ConnectionState {
  const path = { failures: 0, notBeforeMs: -Infinity };
  return {
    breaker: { ...NEW_BREAKER, generation: state.breaker.generation + 1 },
    paths: { check_in: path, delivery: path },
    outage: state.outage,
    doubt: null,
    needsPerson: null,
  };
}

/** A 503 that says when to come back means the whole server, not the path that was asked. */
export function isServerAsking(answer: Answer<unknown>): boolean {
  return answer.kind === "failed" && answer.retryAfterMs !== null;
}

function isGood({ kind }: Answer<unknown>): boolean {
  return kind === "ok" || kind === "refused";
}

function notBefore(paths: ConnectionState["paths"], instantMs: number): ConnectionState["paths"] {
  const later = (path: PathState) => ({
    ...path,
    notBeforeMs: Math.max(path.notBeforeMs, instantMs),
  });
  return { check_in: later(paths.check_in), delivery: later(paths.delivery) };
}

/** For people: what is wrong, empty if nothing is. */
export function whyOf(answer: Answer<unknown>): string {
  return answer.kind === "ok" || answer.kind === "aborted" ? "" : answer.why;
}

/** A server that breaks over one event may be well or sick: decision 0006. */
function isUnclear(answer: Answer<unknown>): boolean {
  return answer.kind === "refused" && answer.status === 500;
}

function nextPath(
  path: PathState,
  answer: Answer<unknown>,
  step: AnswerStep & { isOpen: boolean },
): PathState {
  const { nowMs, random } = step;
  if (isUnclear(answer)) return path;
  switch (answer.kind) {
    case "ok":
    case "refused":
      return { failures: 0, notBeforeMs: -Infinity };
    case "failed": {
      const failures = path.failures + 1;
      const capMs = answer.offline
        ? Math.min(OFFLINE_CAP_MS, step.policy.backoff.capMs)
        : step.policy.backoff.capMs;
      // An open breaker is the wait: the attempt that opens it is not delayed a second time.
      const waitMs = step.isOpen
        ? 0
        : backoffMs(failures, { ...step.policy.backoff, capMs }, random);
      const askedMs = answer.retryAfterMs === null ? 0 : stretch(answer.retryAfterMs, random);
      return { failures, notBeforeMs: nowMs + Math.max(waitMs, askedMs) };
    }
    case "limited": {
      const waitMs = answer.retryAfterMs === null
        ? backoffMs(path.failures + 1, step.policy.backoff, random)
        : stretch(answer.retryAfterMs, random);
      // Counted, so that a server which goes on saying 429 without a time is asked less and less.
      return { failures: path.failures + 1, notBeforeMs: nowMs + waitMs };
    }
    case "unauthorized":
    case "needs_person":
    case "aborted":
      return path;
  }
}

function stretch(ms: number, random: Random): number {
  return ms * (1 + RETRY_AFTER_JITTER * random());
}

function nextOutage(
  outage: Outage | null,
  answer: Answer<unknown>,
  nowMs: number,
): Outage | null {
  if (isUnclear(answer)) return outage;
  switch (answer.kind) {
    case "ok":
    case "refused":
      return null;
    case "failed":
      return {
        sinceMs: outage?.sinceMs ?? nowMs,
        attempts: (outage?.attempts ?? 0) + 1,
        why: answer.why,
        offline: answer.offline,
        status: answer.status,
      };
    case "limited":
    case "unauthorized":
    case "needs_person":
      // The server was reached: this host is offline no longer, and what it was asked to wait stands.
      return outage && { ...outage, offline: false };
    case "aborted":
      return outage;
  }
}
