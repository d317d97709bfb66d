/** What a breaker's transition was, as a value: one for each, for the log and for whoever listens. */

import type { Breaker } from "./breaker.ts";

/** A transition of a breaker. */
export interface BreakerChange {
  readonly from: Breaker["state"];
  readonly to: Breaker["state"];
  /** For people: why it opened; empty when it closes. */
  readonly why: string;
  /** In a row, up to here. */
  readonly failures: number;
  /** How long it will stay open, in ms; `null` in any other state. */
  readonly openForMs: number | null;
  /** Since it first opened, in ms; 0 when it does so now. */
  readonly troubleMs: number;
}

/** The transition between two states of one breaker, or `null`: there was none. */
export function breakerChange(
  before: Breaker,
  after: Breaker,
  nowMs: number,
): BreakerChange | null {
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
