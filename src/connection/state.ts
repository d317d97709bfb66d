/**
 * The connection's state, and what an answer of the server does to it: pure, one answer, one new state.
 *
 * RedFlag 0.1.18 answers a renewal with 401 for any database error, and accepts a deleted agent's
 * check-ins until its token expires. So neither sign is final by itself: a refused renewal is believed
 * after several over a while in which no check-in got a 5xx, a deletion after a second "agent not
 * found" that follows a good check-in.
 */

import { backoffMs, type ConnectionPolicy } from "../breaker/policies.ts";
import {
  advance,
  type Breaker,
  NEW_BREAKER,
  type Permit,
  resetBreaker,
  settle,
  type Verdict,
} from "../breaker/breaker.ts";
import type { Answer } from "../server/answer.ts";
import { isAgentUnknown, NO_ROUTE } from "../server/client.ts";
import type { RefusalCause, RefusalFacts } from "../server/refusal.ts";
import type { Random } from "../system/system.ts";

/** The kinds of call to the server; each has a backoff of its own. */
export type Path = "check_in" | "delivery";

/** The backoff of one path. */
export interface PathState {
  /** Failures in a row. */
  readonly failures: number;
  /** No call before this instant. */
  readonly notBeforeMs: number;
}

/** The state of the connection. Instants are monotonic. */
export interface ConnectionState {
  readonly breaker: Breaker;
  readonly paths: Readonly<Record<Path, PathState>>;
  /** Set from the first failure after a success to the next success. */
  readonly outage: Outage | null;
  /** A sign that an operator may be needed. */
  readonly doubt: Doubt | null;
  /** Set while operator action is required. */
  readonly operatorAction: OperatorAction | null;
}

/** A time without the server. */
export interface Outage {
  readonly sinceMs: number;
  readonly failedCalls: number;
  /** The latest failure. */
  readonly why: string;
  /** Whether the latest failure was local: no byte left this host. */
  readonly offline: boolean;
  /** The HTTP status of the latest failure; `null`: no complete answer arrived. */
  readonly status: number | null;
}

/**
 * A sign that the server no longer knows this agent, which may as well be a temporary failure of the
 * server.
 *
 * `token`: the server refuses the access token and the refresh token. `deleted`: the server has
 * answered "agent not found"; `hasCheckedIn`: and has accepted a check-in since.
 */
export type Doubt =
  | {
    readonly kind: "token";
    /** The server's words. */
    readonly why: string;
    readonly sinceMs: number;
    readonly refusals: number;
    /** No call on any path before this instant. */
    readonly notBeforeMs: number;
  }
  | { readonly kind: "deleted"; readonly sinceMs: number; readonly hasCheckedIn: boolean };

/**
 * What an operator has to repair: the tokens, the agent's row, the host's standing with a server of
 * RedFlag 0.2, or something else (a 403).
 */
export type OperatorCause = "token" | "deleted" | "forbidden" | RefusalCause;

/** The server no longer accepts this agent, and nothing that the agent does can change that. */
export interface OperatorAction {
  readonly cause: OperatorCause;
  readonly why: string;
  /** What else the server and the client said about it. @default {} */
  readonly facts?: RefusalFacts | undefined;
  /** Since the first sign of it. */
  readonly sinceMs: number;
  /** No call on any path before this instant. */
  readonly notBeforeMs: number;
}

/** A connection without any call yet. */
export const NEW_CONNECTION: ConnectionState = {
  breaker: NEW_BREAKER,
  paths: {
    check_in: { failures: 0, notBeforeMs: -Infinity },
    delivery: { failures: 0, notBeforeMs: -Infinity },
  },
  outage: null,
  doubt: null,
  operatorAction: null,
};

/** The longest wait between attempts while this host itself is offline. */
const OFFLINE_CAP_MS = 30_000;

/** Random part added to a `Retry-After`, so that the agents it stopped do not return together. */
const RETRY_AFTER_JITTER = 0.2;

/** The circumstances of one answer. */
export interface AnswerStep {
  readonly path: Path;
  /** `null`: the breaker has already settled the call, as one that took too long. */
  readonly permit: Permit | null;
  /**
   * The call began before an answer to another one set the wait of its path: its success says nothing
   * about the server since then. @default false
   */
  readonly isOlder?: boolean;
  readonly nowMs: number;
  readonly random: Random;
  readonly policy: ConnectionPolicy;
}

/** What an answer shows about the server's health; docs/resilience.md, "What happens to a call". */
export function verdictOf(answer: Answer<unknown>): Verdict {
  switch (answer.kind) {
    case "ok":
      return "success";
    case "refused": // An explicit refusal shows that the server works; a proxy's page shows nothing.
      return answer.isForeign ? "neutral" : "success";
    case "failed":
      // No byte left this host: that says nothing about the server.
      return answer.offline ? "neutral" : "failure";
    case "report_failed": // The server may be healthy or not: decision 0006.
    case "limited":
    case "unauthorized":
    case "operator_required":
    case "aborted":
      return "neutral";
  }
}

/** The state after an answer. */
export function applyAnswer(
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
  // The breaker has changed its state since: the call says nothing about the server since then.
  const isStale = permit !== null && permit.generation !== state.breaker.generation;
  const isOldSuccess = isGood(answer) && (step.isOlder === true || isStale);
  const path = state.paths[step.path];
  const own = isOldSuccess ? path : nextPath(path, answer, { ...step, isOpen });
  const paths = { ...state.paths, [step.path]: own };
  return {
    breaker,
    paths: hasRetryAfter(answer) ? notBefore(paths, own.notBeforeMs) : paths,
    outage: isOldSuccess ? state.outage : nextOutage(state.outage, answer, nowMs),
    ...nextAcceptance(state, answer, { ...step, intervalMs: step.policy.intervalMs }),
  };
}

/**
 * A connection that an operator resets: no wait remains. The outage stays, so that the next call checks
 * the server's health first and a recovery is logged.
 */
export function resetConnection(state: ConnectionState): ConnectionState {
  return { ...NEW_CONNECTION, breaker: resetBreaker(state.breaker), outage: state.outage };
}

/**
 * The state at the start of an agent: no wait remains from a refusal that concerned another version or
 * another machine id than this process has.
 */
export function withoutOldRefusal(
  state: ConnectionState,
  { machineId, version }: { machineId: string; version: string },
): ConnectionState {
  const { operatorAction } = state;
  if (operatorAction === null) return state;
  const { facts = {} } = operatorAction;
  const isSame = (before: string | undefined, now: string) =>
    before === undefined || before === now;
  if (isSame(facts.version, version) && isSame(facts.machineId, machineId)) return state;
  return { ...state, operatorAction: { ...operatorAction, notBeforeMs: -Infinity } };
}

/** A 503 with a `Retry-After` concerns the whole server, not only the path of the call. */
export function hasRetryAfter(answer: Answer<unknown>): boolean {
  if (answer.kind === "limited") return answer.isOverloaded === true;
  return answer.kind === "failed" && answer.retryAfterMs !== null;
}

/** Whether somebody else than the server refuses a call: that changes nothing. */
const isForeign = (answer: Answer<unknown>) =>
  answer.kind === "refused" && answer.isForeign === true;

function isGood({ kind }: Answer<unknown>): boolean {
  return kind === "ok" || kind === "refused" || kind === "report_failed";
}

function notBefore(paths: ConnectionState["paths"], ms: number): ConnectionState["paths"] {
  const later = (path: PathState) => ({ ...path, notBeforeMs: Math.max(path.notBeforeMs, ms) });
  return { check_in: later(paths.check_in), delivery: later(paths.delivery) };
}

/** Why a call failed, for logs and `status`; empty if it did not. */
export function whyOf(answer: Answer<unknown>): string {
  return answer.kind === "ok" || answer.kind === "aborted" ? "" : answer.why;
}

function nextPath(
  path: PathState,
  answer: Answer<unknown>,
  step: AnswerStep & { isOpen: boolean },
): PathState {
  const { nowMs, random } = step;
  switch (answer.kind) {
    case "ok":
    case "refused":
      return isForeign(answer) ? path : { failures: 0, notBeforeMs: -Infinity };
    case "failed": {
      const failures = path.failures + 1;
      const capMs = answer.offline
        ? Math.min(OFFLINE_CAP_MS, step.policy.backoff.capMs)
        : step.policy.backoff.capMs;
      // An open breaker already is the wait: the attempt that opens it adds no second delay.
      const waitMs = step.isOpen
        ? 0
        : backoffMs(failures, { ...step.policy.backoff, capMs }, random);
      const askedMs = answer.retryAfterMs === null ? 0 : stretch(answer.retryAfterMs, random);
      return { failures, notBeforeMs: nowMs + Math.max(waitMs, askedMs) };
    }
    case "limited": {
      // Counted, so that a server that keeps answering 429 without a time, or keeps being overloaded,
      // gets fewer and fewer calls.
      const failures = path.failures + 1;
      const askedMs = answer.retryAfterMs === null ? 0 : stretch(answer.retryAfterMs, random);
      const waitMs = answer.retryAfterMs === null || answer.isOverloaded
        ? backoffMs(failures, step.policy.backoff, random)
        : 0;
      return { failures, notBeforeMs: nowMs + Math.max(waitMs, askedMs) };
    }
    case "report_failed":
    case "unauthorized":
    case "operator_required":
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
  switch (answer.kind) {
    case "ok":
      return null;
    case "refused":
      return answer.isForeign ? outage : null;
    case "failed":
      return {
        sinceMs: outage?.sinceMs ?? nowMs,
        failedCalls: (outage?.failedCalls ?? 0) + 1,
        why: answer.why,
        offline: answer.offline,
        status: answer.status,
      };
    case "limited":
    case "unauthorized":
    case "operator_required":
      // The server was reached: this host is no longer offline, and the wait that it set remains.
      return outage && { ...outage, offline: false };
    case "report_failed":
    case "aborted":
      return outage;
  }
}

/** Wait between attempts while operator action is required; the interval, if that is longer. */
export const OPERATOR_WAIT_MS = 3_600_000;

/** This many refused renewals, over at least this long, are believed. */
const BELIEVED_REFUSALS = 3;
const BELIEVED_AFTER_MS = 600_000;

/** A refused token is retried at the interval for this long, as the cause may pass; then hourly. */
const FIRST_HOURS_MS = 4 * 3_600_000;

/** Random part of a wait. */
const JITTER = 0.2;

/** What is known about whether the server accepts this agent. */
export type Acceptance = Pick<ConnectionState, "doubt" | "operatorAction">;

interface AcceptanceStep extends Pick<AnswerStep, "path" | "nowMs" | "random"> {
  /** Wait between attempts that may come as often as check-ins. */
  readonly intervalMs: number;
}

/** The acceptance after an answer. */
export function nextAcceptance(
  { doubt, operatorAction }: Acceptance,
  answer: Answer<unknown>,
  step: AcceptanceStep,
): Acceptance {
  switch (answer.kind) {
    case "ok":
      return step.path === "check_in"
        ? afterCheckIn({ doubt, operatorAction })
        : afterReport({ doubt, operatorAction }, answer.value === NO_ROUTE);
    case "refused":
    case "report_failed":
      if (isForeign(answer)) return { doubt, operatorAction };
      if (isAgentUnknown(answer)) {
        return afterAgentUnknown({ doubt, operatorAction }, answer.why, step);
      }
      return operatorAction?.cause === "deleted"
        ? { doubt, operatorAction }
        : { doubt: doubt?.kind === "token" ? null : doubt, operatorAction: null };
    case "failed": {
      const isFailing = step.path === "check_in" && (answer.status ?? 0) >= 500;
      // What a failing server says about tokens and agents means nothing.
      const remaining = isFailing ? null : doubt;
      if (isFailing && operatorAction?.cause === "token") {
        return { doubt: null, operatorAction: null };
      }
      return { doubt: remaining, operatorAction: operatorAction && postpone(operatorAction, step) };
    }
    case "limited":
      return { doubt, operatorAction: operatorAction && postpone(operatorAction, step) };
    case "unauthorized":
      return afterRefusedToken({ doubt, operatorAction }, answer.why, step);
    case "operator_required":
      return { doubt: null, operatorAction: refusedHost(operatorAction, answer, step) };
    case "aborted":
      return { doubt, operatorAction };
  }
}

/** The server accepts a deleted agent's check-ins too: host facts are sent at once, as a test. */
function afterCheckIn({ doubt, operatorAction }: Acceptance): Acceptance {
  if (operatorAction?.cause === "deleted") {
    return { doubt: null, operatorAction: { ...operatorAction, notBeforeMs: -Infinity } };
  }
  const doubted = doubt?.kind === "deleted" ? { ...doubt, hasCheckedIn: true } : null;
  return { doubt: doubted, operatorAction: null };
}

function afterReport({ doubt, operatorAction }: Acceptance, hasNoRoute: boolean): Acceptance {
  // The report reached no server that knows this agent.
  if (hasNoRoute && operatorAction?.cause === "deleted") return { doubt, operatorAction };
  return { doubt: null, operatorAction: null };
}

function afterAgentUnknown(
  { doubt, operatorAction }: Acceptance,
  why: string,
  step: AcceptanceStep,
): Acceptance {
  const { nowMs: sinceMs } = step;
  if (operatorAction?.cause === "deleted") {
    return { doubt: null, operatorAction: postpone(operatorAction, step) };
  }
  if (doubt?.kind !== "deleted") {
    return { doubt: { kind: "deleted", sinceMs, hasCheckedIn: false }, operatorAction };
  }
  if (!doubt.hasCheckedIn) return { doubt, operatorAction };
  const { sinceMs: firstMs } = doubt;
  return {
    doubt: null,
    operatorAction: requireOperator("deleted", why, { step, sinceMs: firstMs }),
  };
}

function afterRefusedToken(
  { doubt, operatorAction }: Acceptance,
  why: string,
  step: AcceptanceStep,
): Acceptance {
  if (operatorAction !== null) {
    // A deleted agent is refused as well when its token expires.
    const action = operatorAction.cause === "token" ? { ...operatorAction, why } : operatorAction;
    return { doubt: null, operatorAction: postpone(action, step) };
  }
  const { nowMs } = step;
  const before = doubt?.kind === "token"
    ? doubt
    : { sinceMs: nowMs, refusals: 0, notBeforeMs: -Infinity };
  // Calls that ended together count as one attempt.
  const refusals = before.refusals + (nowMs >= before.notBeforeMs ? 1 : 0);
  const { sinceMs } = before;
  if (refusals >= BELIEVED_REFUSALS && nowMs - sinceMs >= BELIEVED_AFTER_MS) {
    return { doubt: null, operatorAction: requireOperator("token", why, { step, sinceMs }) };
  }
  const notBeforeMs = nowMs + retryMs(step);
  return { doubt: { kind: "token", why, sinceMs, refusals, notBeforeMs }, operatorAction: null };
}

function requireOperator(
  cause: OperatorCause,
  why: string,
  { step, sinceMs = step.nowMs }: { step: AcceptanceStep; sinceMs?: number },
): OperatorAction {
  return postpone({ cause, why, sinceMs, notBeforeMs: step.nowMs }, step);
}

/** The server refuses the host as a whole: believed at once, and since the first time it said so. */
function refusedHost(
  before: OperatorAction | null,
  { why, refusal }: Extract<Answer<unknown>, { kind: "operator_required" }>,
  step: AcceptanceStep,
): OperatorAction {
  const cause = refusal?.cause ?? "forbidden";
  const sinceMs = before?.cause === cause ? before.sinceMs : step.nowMs;
  const action = requireOperator(cause, why, { step, sinceMs });
  return refusal === undefined ? action : { ...action, facts: refusal.facts };
}

function postpone(operatorAction: OperatorAction, step: AcceptanceStep): OperatorAction {
  const { nowMs, random, intervalMs } = step;
  const isEarly = operatorAction.cause === "token" &&
    nowMs - operatorAction.sinceMs < FIRST_HOURS_MS;
  const waitMs = isEarly
    ? retryMs(step)
    : Math.max(OPERATOR_WAIT_MS, intervalMs) * (1 + JITTER * random());
  return { ...operatorAction, notBeforeMs: nowMs + waitMs };
}

function retryMs({ random, intervalMs }: AcceptanceStep): number {
  return intervalMs * (1 - JITTER * random());
}
