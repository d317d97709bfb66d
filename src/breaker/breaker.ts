/**
 * The circuit breaker as a pure machine: a state and the instant go in, a new state comes out. It has
 * no clock and no timer; `policies.ts` has the numbers for each thing that it guards.
 */

import type { Log } from "../log.ts";
import type { Random } from "../system/system.ts";

/**
 * A breaker's state, which can be saved. All instants come from one clock, that of the caller.
 *
 * `generation` grows with every transition, which identifies the results of an earlier state.
 * `failures` counts since the last success, `trips` the openings since then.
 */
export type Breaker =
  | {
    readonly state: "closed";
    readonly generation: number;
    readonly failures: number;
    /** The latest results, newest last: `true` is a failure. */
    readonly recent: readonly boolean[];
  }
  | Tripped & {
    readonly state: "open";
    /** Open until this instant and not at it. */
    readonly untilMs: number;
  }
  | Tripped & {
    readonly state: "half_open";
    /** When the slot of the running probe is free again; `null`: no probe is running. */
    readonly probeUntilMs: number | null;
    /** Probes that failed without opening it again. @default 0 */
    readonly failedProbes?: number;
  };

/** What an open and a half-open breaker have in common. */
export interface Tripped {
  /** Grows with every transition. */
  readonly generation: number;
  /** Since the last success. */
  readonly failures: number;
  /** Openings since the last success. */
  readonly trips: number;
  /** The failure that opened it, for logs and `status`. */
  readonly reason: string;
  /** When it first opened, retries since then included. */
  readonly sinceMs: number;
}

/** When a breaker opens, and for how long. */
export interface BreakerPolicy {
  /** Opens at this many failures in a row. */
  readonly consecutiveFailures: number;
  /** Opens at this many failures among the last `windowSize` results. */
  readonly windowFailures: number;
  /** 0: no window. */
  readonly windowSize: number;
  /** Probes, one after the other, of which the last failure opens a half-open breaker. @default 1 */
  readonly maxFailedProbes?: number;
  /** A probe without an outcome after this time has failed. */
  readonly probeTimeoutMs: number;
  /** How long it stays open, in ms. */
  openMs(standing: { failures: number; trips: number }, random: Random): number;
}

/** Permission to make one call; it is returned with the call's outcome. */
export interface Permit {
  /** That of the breaker when it gave the permit. */
  readonly generation: number;
  /** Whether this call is the one that decides if a half-open breaker closes. */
  readonly probe: boolean;
}

/** What a call shows about the health of what is guarded; `neutral`: nothing. */
export type Verdict = "success" | "failure" | "neutral";

/** The instant, the rules and the randomness that a step of the machine needs. */
export interface BreakerStep {
  /** On the clock of the breaker's instants. */
  readonly nowMs: number;
  /** The rules in effect at this instant. */
  readonly policy: BreakerPolicy;
  /** Draws the open time. */
  readonly random: Random;
}

/** A breaker without any result. */
export const NEW_BREAKER: Breaker = { state: "closed", generation: 0, failures: 0, recent: [] };

/**
 * Brings a breaker up to date: an open one turns half-open at `untilMs`, a probe that never settled
 * opens it again.
 */
export function advance(breaker: Breaker, step: BreakerStep): Breaker {
  switch (breaker.state) {
    case "closed":
      return breaker;
    case "open": {
      if (step.nowMs < breaker.untilMs) return breaker;
      const { untilMs: _, ...tripped } = breaker;
      const generation = breaker.generation + 1;
      return { ...tripped, state: "half_open", generation, probeUntilMs: null };
    }
    case "half_open":
      if (breaker.probeUntilMs === null || step.nowMs < breaker.probeUntilMs) return breaker;
      return open(breaker, "the probe got no answer in time", step);
  }
}

/** A breaker that an operator resets: closed, with a new generation. */
export function resetBreaker(breaker: Breaker): Breaker {
  return { ...NEW_BREAKER, generation: breaker.generation + 1 };
}

/** Lets an open breaker end at `untilMs` if it would stay open for longer. */
export function shorten(breaker: Breaker, untilMs: number): Breaker {
  if (breaker.state !== "open" || breaker.untilMs <= untilMs) return breaker;
  return { ...breaker, untilMs };
}

/** The answer to "may I call?": a permit, or in how many ms to ask again. */
export type Admission =
  | { readonly admitted: true; readonly breaker: Breaker; readonly permit: Permit }
  | { readonly admitted: false; readonly breaker: Breaker; readonly retryInMs: number };

/** Asks for a permit. A half-open breaker gives exactly one at a time: that of the half-open probe. */
export function admit(breaker: Breaker, step: BreakerStep): Admission {
  const current = advance(breaker, step);
  const { generation } = current;
  switch (current.state) {
    case "closed":
      return { admitted: true, breaker: current, permit: { generation, probe: false } };
    case "open":
      return { admitted: false, breaker: current, retryInMs: current.untilMs - step.nowMs };
    case "half_open": {
      if (current.probeUntilMs !== null) {
        return { admitted: false, breaker: current, retryInMs: current.probeUntilMs - step.nowMs };
      }
      const probeUntilMs = step.nowMs + step.policy.probeTimeoutMs;
      const probing = { ...current, probeUntilMs };
      return { admitted: true, breaker: probing, permit: { generation, probe: true } };
    }
  }
}

/** How long a breaker rejects calls, in ms; the end of a running probe ends the wait as well. */
export function breakerWaitMs(breaker: Breaker, nowMs: number): number {
  switch (breaker.state) {
    case "closed":
      return 0;
    case "open":
      return breaker.untilMs - nowMs;
    case "half_open":
      return breaker.probeUntilMs === null ? 0 : breaker.probeUntilMs - nowMs;
  }
}

/** The outcome of a call that was admitted. */
export interface CallResult {
  /** From the admission of this call. */
  readonly permit: Permit;
  /** `neutral` ends a probe without a decision. */
  readonly verdict: Verdict;
  /** Why it failed, for logs and `status`. */
  readonly reason: string;
}

/**
 * Records the outcome of a call. The late result of an earlier generation changes nothing. A probe that
 * comes at its time limit, or later, still decides if its slot has not been taken back.
 */
export function settle(breaker: Breaker, result: CallResult, step: BreakerStep): Breaker {
  const { permit, verdict, reason } = result;
  const isLatestProbe = permit.probe && permit.generation === breaker.generation;
  const current = isLatestProbe ? breaker : advance(breaker, step);
  if (permit.generation !== current.generation) return current;
  switch (current.state) {
    case "closed": {
      if (verdict === "neutral") return current;
      const failed = verdict === "failure";
      const { consecutiveFailures, windowFailures, windowSize } = step.policy;
      const recent = windowSize === 0 ? [] : [...current.recent, failed].slice(-windowSize);
      if (!failed) return { ...current, failures: 0, recent };
      const counted = { ...current, failures: current.failures + 1, recent };
      const isTooMuch = counted.failures >= consecutiveFailures ||
        windowSize > 0 && recent.filter(Boolean).length >= windowFailures;
      return isTooMuch ? open(counted, reason, step) : counted;
    }
    case "open":
      return current; // No permit has an open breaker's generation.
    case "half_open":
      if (!permit.probe) return current;
      if (verdict === "success") return resetBreaker(current);
      if (verdict === "neutral") return { ...current, probeUntilMs: null };
      return probeFailed({ ...current, failures: current.failures + 1 }, reason, step);
  }
}

function probeFailed(
  breaker: Extract<Breaker, { state: "half_open" }>,
  reason: string,
  step: BreakerStep,
): Breaker {
  const failedProbes = (breaker.failedProbes ?? 0) + 1;
  if (failedProbes >= (step.policy.maxFailedProbes ?? 1)) return open(breaker, reason, step);
  return { ...breaker, probeUntilMs: null, failedProbes };
}

function open(breaker: Breaker, reason: string, step: BreakerStep): Breaker {
  const before = breaker.state === "closed"
    ? { trips: 0, sinceMs: step.nowMs }
    : { trips: breaker.trips, sinceMs: breaker.sinceMs };
  const standing = { failures: breaker.failures, trips: before.trips + 1 };
  return {
    state: "open",
    generation: breaker.generation + 1,
    ...standing,
    reason,
    sinceMs: before.sinceMs,
    untilMs: step.nowMs + step.policy.openMs(standing, step.random),
  };
}

/** A change of a breaker's state. */
export interface BreakerTransition {
  /** The earlier state. */
  readonly from: Breaker["state"];
  /** The new state; `closed` after `closed` is a reset by an operator. */
  readonly to: Breaker["state"];
  /** Why it opened; empty when it closes. */
  readonly why: string;
  /** In a row, up to here. */
  readonly failures: number;
  /** How long it will stay open, in ms; `null` in any other state. */
  readonly openForMs: number | null;
  /** Since it first opened, in ms; 0 when it opens now. */
  readonly troubleMs: number;
}

/** The transition between two states of one breaker, or `null` if there was none. */
export function breakerTransition(
  before: Breaker,
  after: Breaker,
  nowMs: number,
): BreakerTransition | null {
  if (before.generation === after.generation) return null;
  const sinceMs = before.state === "closed" ? nowMs : before.sinceMs;
  return {
    from: before.state,
    to: after.state,
    why: after.state === "closed" ? "" : after.reason,
    failures: after.state === "closed" ? before.failures : after.failures,
    openForMs: after.state === "open" ? after.untilMs - nowMs : null,
    troubleMs: nowMs - sinceMs,
  };
}

/** What a breaker guards: the connection, or a scanner with its name. */
export type Guarded = { readonly what: "connection" } | {
  readonly what: "scanner";
  readonly scanner: string;
};

/** Logs a transition in one line. */
export function logTransition(log: Log, guarded: Guarded, transition: BreakerTransition): void {
  const { what, ...name } = guarded;
  const { from, to, why, failures } = transition;
  const fields = { ...name, from, to };
  switch (to) {
    case "closed": {
      const trouble_s = seconds(transition.troubleMs);
      return log.info(`${what} breaker closed`, { ...fields, failures, trouble_s });
    }
    case "open": {
      const open_for_s = seconds(transition.openForMs ?? 0);
      return log.warning(`${what} breaker opened`, { ...fields, why, failures, open_for_s });
    }
    case "half_open":
      return log.info(`${what} breaker half-open`, { ...fields, why, failures });
  }
}

/** Seconds for a log, rounded to tenths. */
export function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
