/** What an answer of the server does to the connection's state: pure, one answer, one new state. */

import { type BreakerPolicy, type Permit, settle, type Verdict } from "../breaker/breaker.ts";
import type { Answer } from "../server/answer.ts";
import type { Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy } from "./backoff.ts";
import type { ConnectionState, Path, PathState } from "./state.ts";

/** Longest wait between attempts that reach nothing because this host itself is offline. */
export const OFFLINE_CAP_MS = 30_000;

/** Between two attempts that only a person can make succeed. */
export const NEEDS_PERSON_WAIT_MS = 3_600_000;

/** Part of a `Retry-After` that is added by chance, so that the turned away do not return as one. */
const RETRY_AFTER_JITTER = 0.2;

/** The rules by which a connection goes on. */
export interface ConnectionPolicy {
  readonly backoff: BackoffPolicy;
  readonly breaker: BreakerPolicy;
}

/** One answer, and what is needed to take it in. */
export interface AnswerStep {
  readonly path: Path;
  readonly permit: Permit;
  readonly nowMs: number;
  readonly random: Random;
  readonly policy: ConnectionPolicy;
}

/** What an answer says about the server's health; resilience.md, section 1. */
export function verdictOf(answer: Answer<unknown>): Verdict {
  switch (answer.kind) {
    case "ok":
    case "refused": // It took the trouble to say no: it is there.
      return "success";
    case "failed":
      return "failure";
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
  const verdict = verdictOf(answer);
  const reason = whyOf(answer);
  const breaker = settle(state.breaker, { permit: step.permit, verdict, reason }, {
    nowMs: step.nowMs,
    policy: step.policy.breaker,
    random: step.random,
  });
  const path = nextPath(state.paths[step.path], answer, step);
  return {
    breaker,
    paths: { ...state.paths, [step.path]: path },
    outage: nextOutage(state.outage, verdict, { reason, nowMs: step.nowMs }),
    needsPerson: answer.kind === "needs_person"
      ? answer.why
      : verdict === "success"
      ? null
      : state.needsPerson,
  };
}

/** For people: what is wrong, empty if nothing is. */
export function whyOf(answer: Answer<unknown>): string {
  return answer.kind === "ok" || answer.kind === "aborted" ? "" : answer.why;
}

function nextPath(path: PathState, answer: Answer<unknown>, step: AnswerStep): PathState {
  const { nowMs, random } = step;
  switch (answer.kind) {
    case "ok":
    case "refused":
      return { failures: 0, notBeforeMs: -Infinity };
    case "failed": {
      const failures = path.failures + 1;
      const capMs = answer.offline
        ? Math.min(OFFLINE_CAP_MS, step.policy.backoff.capMs)
        : step.policy.backoff.capMs;
      const waitMs = backoffMs(failures, { ...step.policy.backoff, capMs }, random);
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
      return { ...path, notBeforeMs: nowMs + stretch(NEEDS_PERSON_WAIT_MS, random) };
    case "aborted":
      return path;
  }
}

function stretch(ms: number, random: Random): number {
  return ms * (1 + RETRY_AFTER_JITTER * random());
}

function nextOutage(
  outage: ConnectionState["outage"],
  verdict: Verdict,
  at: { reason: string; nowMs: number },
): ConnectionState["outage"] {
  switch (verdict) {
    case "success":
      return null;
    case "neutral":
      return outage;
    case "failure":
      return {
        sinceMs: outage?.sinceMs ?? at.nowMs,
        attempts: (outage?.attempts ?? 0) + 1,
        why: at.reason,
      };
  }
}
