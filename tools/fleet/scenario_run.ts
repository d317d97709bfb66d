/** All policies through one scenario: their figures, and their requests through time for a plot. */

import { type Figures, figuresOf } from "./figures.ts";
import type { Policy } from "./policy.ts";
import type { Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import type { Tally } from "./tally.ts";

/** Requests by the second, around an outage. */
export interface Series {
  /** The second in `checkIns` and `requests` at which the outage begins. */
  readonly outageAtS: number;
  readonly checkIns: Uint32Array;
  /** `/health` included. */
  readonly requests: Uint32Array;
}

/** One policy's run. */
export interface PolicyRun {
  readonly figures: Figures;
  readonly series: Series;
}

/** One scenario, lived through. */
export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly capacity: number;
  readonly runs: readonly PolicyRun[];
}

/** What is to be run. */
export interface ScenarioOptions {
  readonly agents: number;
  readonly seed: number;
  readonly capacity: number;
  readonly policies: readonly Policy[];
}

/** Runs each policy in turn; the same options give the same figures. */
export function runScenario(scenario: Scenario, options: ScenarioOptions): ScenarioRun {
  const { agents, seed, capacity, policies } = options;
  const runs = policies.map((policy) => {
    const setup = { agents, seed, capacity, policy, scenario };
    const tally = simulate(setup);
    return { figures: figuresOf(setup, tally), series: seriesOf(tally, scenario) };
  });
  return { scenario, capacity, runs };
}

function seriesOf(tally: Tally, { outage }: Scenario): Series {
  const { deadFromMs, deadUntilMs } = tally.options;
  const fromS = (deadFromMs - outage.leadMs) / 1_000;
  const toS = (deadUntilMs + outage.tailMs) / 1_000;
  const checkIns = tally.checkIns.slice(fromS, toS);
  const requests = checkIns.map((count, second) => count + tally.healths[fromS + second]!);
  return { outageAtS: outage.leadMs / 1_000, checkIns, requests };
}
