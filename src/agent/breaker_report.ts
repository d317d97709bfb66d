/**
 * Reports the circuit breakers to a server of RedFlag 0.2 when one of them has changed: that of the
 * connection and each scanner's.
 */

import type { Breaker } from "../breaker/breaker.ts";
import type { NewEvent } from "../buffer/buffer.ts";
import { encodeBody } from "../server/limits.ts";
import type { Clock } from "../system/system.ts";

/** At most one report per this time: the server only logs them. */
const REPORT_EVERY_MS = 300_000;

/** The breakers by name. */
type Breakers = readonly (readonly [name: string, breaker: Breaker])[];

/** Says when the breakers are to be reported. */
export class BreakerReport {
  readonly #clock: Clock;
  #reported: string;
  #nextAtMs = -Infinity;

  /** `breakers`: as they are at the start, which is no change. */
  constructor(clock: Clock, breakers: Breakers) {
    this.#clock = clock;
    this.#reported = standingOf(breakers);
  }

  /** The report of what has changed since the latest one; `null`: nothing, or it is too early. */
  next(breakers: Breakers): NewEvent | null {
    const standing = standingOf(breakers);
    const atMs = this.#clock.monotonicMs();
    if (standing === this.#reported || atMs < this.#nextAtMs) return null;
    this.#reported = standing;
    this.#nextAtMs = atMs + REPORT_EVERY_MS;
    const nowMs = this.#clock.nowMs();
    const body = encodeBody({
      timestamp: new Date(nowMs).toISOString(),
      subsystems: breakers.map(([name, breaker]) => ({
        name,
        state: breaker.state === "half_open" ? "half-open" : breaker.state,
        recent_failures: breaker.failures,
        consecutive_success: successesOf(breaker),
        ...(breaker.state === "open" && {
          next_attempt: new Date(nowMs + breaker.untilMs - atMs).toISOString(),
        }),
      })),
    });
    return { kind: "circuit_breakers", commandId: null, snapshotOf: "circuit_breakers", body };
  }
}

/** Changes with each transition, also where a breaker has closed again meanwhile. */
function standingOf(breakers: Breakers): string {
  return breakers.filter(([, { generation }]) => generation > 0)
    .map(([name, { generation }]) => `${name}:${generation}`).join(" ");
}

/** The latest results that were no failures, as far as the breaker keeps results. */
function successesOf(breaker: Breaker): number {
  if (breaker.state !== "closed") return 0;
  return breaker.recent.length - 1 - breaker.recent.lastIndexOf(true);
}
