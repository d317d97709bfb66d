/** What Pennon promises of a fleet of 100,000, held against a run's figures. */

import { seconds, times } from "./figure_tables.ts";
import type { Figures } from "./figures.ts";
import type { Scenario } from "./scenario.ts";

/** The promises are for a fleet of this size. */
export const TARGET_AGENTS = 100_000;

/** One promise. */
export interface Target {
  readonly what: string;
  readonly found: string;
  readonly isMet: boolean;
}

/** The targets for a scenario; none for those that promise nothing. */
export function targetsOf({ outage, cut, isRapid }: Scenario, figures: Figures): Target[] {
  if (cut !== "staggered" || isRapid) return [];
  if (outage.name === "28m") return longOutage(figures);
  if (outage.name === "20s") return shortOutage(figures);
  return [];
}

function longOutage({ peaks, ordinary, back, deadPerAgent }: Figures): Target[] {
  const ratio = peaks.checkIns10s / ordinary;
  return [
    {
      what: "peak of check-ins after the return, in 10 s: at most 1.5x the ordinary rate",
      found: times(ratio),
      isMet: ratio <= 1.5,
    },
    {
      what: "99 % back within 600 s",
      found: seconds(back.p99Ms),
      isMet: back.p99Ms <= 600_000,
    },
    {
      what: "requests of an agent into the dead server: at most 20",
      found: String(deadPerAgent.max),
      isMet: deadPerAgent.max <= 20,
    },
  ];
}

function shortOutage({ back }: Figures): Target[] {
  return [{
    what: "half of the touched back within 15 s",
    found: seconds(back.medianMs),
    isMet: back.medianMs <= 15_000,
  }];
}
