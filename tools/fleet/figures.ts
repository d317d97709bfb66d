/** The figures of a run, worked out from what was counted: peaks, attempts in vain, ways back. */

import type { Setup } from "./simulate.ts";
import type { Tally } from "./tally.ts";

/** The highest rates after the server's return, in requests a second. */
export interface Peaks {
  readonly checkIns1s: number;
  readonly checkIns10s: number;
  /** `/health` included. */
  readonly requests1s: number;
  readonly requests10s: number;
}

/** After how many ms so many are back; `Infinity`: they were not when the run ended. */
export interface Quantiles {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The outcome of one run. */
export interface Figures {
  readonly policy: string;
  /** Check-ins a second while all is well: agents by the mean time between an agent's two. */
  readonly ordinary: number;
  readonly peaks: Peaks;
  /** Agents that sent at least one request into the dead server. */
  readonly touched: number;
  readonly deadPerAgent: { readonly mean: number; readonly max: number };
  /** Of the touched. */
  readonly back: Quantiles;
  /** Of the whole fleet: the first check-in after the return, whoever noticed the outage. */
  readonly fleetBack: Quantiles;
  /** Requests an overloaded server turned away or answered too late: before its end, and after. */
  readonly overloadedBefore: number;
  readonly refused: number;
  readonly timedOut: number;
}

/** Works the figures out. */
export function figuresOf({ agents, policy, scenario }: Setup, tally: Tally): Figures {
  const { checkIns, healths, dead, backMs, touched, before, after } = tally;
  const fromS = tally.options.deadUntilMs / 1_000;
  const toS = tally.endMs / 1_000;
  const checkInsAfter = checkIns.subarray(fromS, toS);
  const requestsAfter = checkInsAfter.map((count, second) => count + healths[fromS + second]!);
  return {
    policy: policy.name,
    ordinary: agents * 1_000 / policy.periodMs(scenario.isRapid),
    peaks: {
      checkIns1s: peakRate(checkInsAfter, 1),
      checkIns10s: peakRate(checkInsAfter, 10),
      requests1s: peakRate(requestsAfter, 1),
      requests10s: peakRate(requestsAfter, 10),
    },
    touched,
    deadPerAgent: {
      mean: touched === 0 ? 0 : dead.reduce((sum, count) => sum + count, 0) / touched,
      max: dead.reduce((most, count) => Math.max(most, count), 0),
    },
    back: quantiles(backMs.filter((_, agent) => dead[agent]! > 0)),
    fleetBack: quantiles(backMs),
    overloadedBefore: before.refused + before.timedOut,
    refused: after.refused,
    timedOut: after.timedOut,
  };
}

/** The highest mean rate in any `windowS` seconds on end that begin with a whole second. */
export function peakRate(counts: Uint32Array, windowS: number): number {
  let sum = 0;
  let highest = 0;
  counts.forEach((count, second) => {
    sum += count - (second >= windowS ? counts[second - windowS]! : 0);
    highest = Math.max(highest, sum);
  });
  return highest / windowS;
}

/** The smallest of `values` that so many of them do not exceed. 0 where there are none. */
export function quantiles(values: Float64Array): Quantiles {
  const sorted = values.toSorted();
  const at = (part: number) => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  return { medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
