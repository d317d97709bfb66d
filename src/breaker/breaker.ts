/**
 * The circuit breaker as a pure machine: a state and the instant go in, a new state comes out. It
 * has no clock, no timer and no opinion on what it guards; `connection.ts` has the server's numbers.
 */

import type { Random } from "../system/system.ts";

/**
 * A breaker's state, fit to be saved. Instants are the caller's, of one clock throughout.
 *
 * `generation` grows with every transition, so that a result can be told from one of an earlier
 * state. `failures` counts since the last success, `trips` the openings since then.
 */
export type Breaker =
  | {
    readonly state: "closed";
    readonly generation: number;
    readonly failures: number;
    /** The latest results, newest last: `true` is a failure. */
    readonly recent: readonly boolean[];
  }
  | {
    readonly state: "open";
    readonly generation: number;
    readonly failures: number;
    readonly trips: number;
    readonly reason: string;
    /** When it first opened, retries since then included. */
    readonly sinceMs: number;
    /** Open until this instant and not at it. */
    readonly untilMs: number;
  }
  | {
    readonly state: "half_open";
    readonly generation: number;
    readonly failures: number;
    readonly trips: number;
    readonly reason: string;
    readonly sinceMs: number;
    /** When the one probe's slot is taken back; `null`: no probe is out. */
    readonly probeUntilMs: number | null;
  };

/** When a breaker opens, and for how long. */
export interface BreakerPolicy {
  /** Opens at this many failures in a row. */
  readonly consecutiveFailures: number;
  /** Opens at this many failures among the last `windowSize` results. */
  readonly windowFailures: number;
  /** 0: no window. */
  readonly windowSize: number;
  readonly probeTimeoutMs: number;
  /** How long it stays open, in ms. */
  openMs(standing: { failures: number; trips: number }, random: Random): number;
}

/** Leave to make one call; hand it back with the call's outcome. */
export interface Permit {
  readonly generation: number;
  /** Whether this call is the one that decides if a half-open breaker closes. */
  readonly probe: boolean;
}

/** What a call said about the thing that is guarded; `neutral`: nothing. */
export type Verdict = "success" | "failure" | "neutral";

/** The instant, the rules and the chance that a step of the machine needs. */
export interface BreakerStep {
  readonly nowMs: number;
  readonly policy: BreakerPolicy;
  readonly random: Random;
}

/** A breaker that has seen nothing. */
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
      const { failures, trips, reason, sinceMs } = breaker;
      const generation = breaker.generation + 1;
      return {
        state: "half_open",
        generation,
        failures,
        trips,
        reason,
        sinceMs,
        probeUntilMs: null,
      };
    }
    case "half_open":
      if (breaker.probeUntilMs === null || step.nowMs < breaker.probeUntilMs) return breaker;
      return open(breaker, "the probe got no answer in time", step);
  }
}

/** Lets an open breaker end at `untilMs`, where it would stay open for longer. */
export function shorten(breaker: Breaker, untilMs: number): Breaker {
  if (breaker.state !== "open" || breaker.untilMs <= untilMs) return breaker;
  return { ...breaker, untilMs };
}

/** The answer to "may I call?": a permit, or in how many ms to ask again. */
export type Admission =
  | { readonly admitted: true; readonly breaker: Breaker; readonly permit: Permit }
  | { readonly admitted: false; readonly breaker: Breaker; readonly retryInMs: number };

/** Asks for a permit. A half-open breaker gives exactly one at a time. */
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
        const retryInMs = current.probeUntilMs - step.nowMs;
        return { admitted: false, breaker: current, retryInMs };
      }
      const probeUntilMs = step.nowMs + step.policy.probeTimeoutMs;
      const probing = { ...current, probeUntilMs };
      return { admitted: true, breaker: probing, permit: { generation, probe: true } };
    }
  }
}

/** What came of a call that was admitted. */
export interface CallResult {
  readonly permit: Permit;
  readonly verdict: Verdict;
  /** For people: why it failed. */
  readonly reason: string;
}

/** Takes in the outcome of a call. The late result of an earlier generation changes nothing. */
export function settle(breaker: Breaker, result: CallResult, step: BreakerStep): Breaker {
  const current = advance(breaker, step);
  const { permit, verdict, reason } = result;
  if (permit.generation !== current.generation) return current;
  switch (current.state) {
    case "closed": {
      if (verdict === "neutral") return current;
      const failed = verdict === "failure";
      const recent = remember(current.recent, failed, step.policy.windowSize);
      if (!failed) return { ...current, failures: 0, recent };
      const counted = { ...current, failures: current.failures + 1, recent };
      return isTooMuch(counted, step.policy) ? open(counted, reason, step) : counted;
    }
    case "open":
      return current; // No permit has an open breaker's generation.
    case "half_open":
      if (!permit.probe) return current;
      if (verdict === "success") {
        return { ...NEW_BREAKER, generation: current.generation + 1 };
      }
      if (verdict === "neutral") return { ...current, probeUntilMs: null };
      return open({ ...current, failures: current.failures + 1 }, reason, step);
  }
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

function remember(recent: readonly boolean[], failed: boolean, size: number): readonly boolean[] {
  return size === 0 ? [] : [...recent, failed].slice(-size);
}

function isTooMuch(
  breaker: { failures: number; recent: readonly boolean[] },
  policy: BreakerPolicy,
): boolean {
  if (breaker.failures >= policy.consecutiveFailures) return true;
  if (policy.windowSize === 0) return false;
  return breaker.recent.filter(Boolean).length >= policy.windowFailures;
}
