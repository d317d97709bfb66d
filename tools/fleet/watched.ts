/**
 * A fleet of which a share is in rapid polling, because people watch it: Pennon through a kill of its
 * server and through an outage of that server's database, both kinds of agents apart.
 */

import { whole } from "./figure_tables.ts";
import { PENNON } from "./pennon_policy.ts";
import { defaultCapacity, type Outage } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import type { Table } from "./table.ts";

/** The outages that a person may well be watching. */
export const WATCHED_OUTAGES: readonly Outage[] = [
  { name: "kill of 300 s", ms: 300_000, leadMs: 60_000, tailMs: 600_000 },
  {
    name: "database outage of 100 s",
    ms: 100_000,
    leadMs: 60_000,
    tailMs: 600_000,
    isDatabase: true,
  },
];

/** Part of the fleet that is in rapid polling. */
const WATCHED_SHARE = 0.01;

/** One kind of agents in one outage. */
export interface WatchedFigures {
  readonly outage: string;
  readonly polling: "rapid" | "normal";
  /** Agents that sent at least one request into the outage. */
  readonly touched: number;
  readonly requests: { readonly mean: number; readonly max: number };
  /** Seconds from the end of the outage to the first good check-in of the touched. */
  readonly backS: { readonly median: number; readonly p90: number; readonly max: number };
}

/** Lives through each outage; the same options give the same figures. */
export function watchedFigures(options: { agents: number; seed: number }): WatchedFigures[] {
  const { agents, seed } = options;
  const watched = Math.ceil(agents * WATCHED_SHARE);
  return WATCHED_OUTAGES.flatMap((outage) => {
    const scenario = { outage, cut: "staggered", isRapid: false } as const;
    // Three times what the unwatched ask for at rest, and one and a half times what the watched do.
    const capacity = defaultCapacity(agents, false) + defaultCapacity(watched, true);
    const tally = simulate({ agents, seed, watched, capacity, policy: PENNON, scenario });
    const of = (polling: WatchedFigures["polling"], from: number, to: number): WatchedFigures => {
      const dead = [...tally.dead.slice(from, to)];
      const touched = dead.flatMap((count, index) => count > 0 ? [from + index] : []);
      const backMs = touched.map((agent) => tally.backMs[agent]!).toSorted((a, b) => a - b);
      const at = (part: number) => (backMs[Math.ceil(part * backMs.length) - 1] ?? 0) / 1_000;
      const sum = dead.reduce((total, count) => total + count, 0);
      return {
        outage: outage.name,
        polling,
        touched: touched.length,
        requests: {
          mean: sum / Math.max(1, touched.length),
          max: dead.reduce((most, count) => Math.max(most, count), 0),
        },
        backS: { median: at(0.5), p90: at(0.9), max: at(1) },
      };
    };
    return [of("rapid", 0, watched), of("normal", watched, agents)];
  });
}

/** The figures as a table. */
export function watchedTable(rows: readonly WatchedFigures[]): Table {
  return {
    head: ["outage", "polling", "touched", "in vain", "most", "back 50%", "90%", "100%"],
    rows: rows.map(({ outage, polling, touched, requests, backS }) => [
      outage,
      polling,
      whole(touched),
      requests.mean.toFixed(1),
      String(requests.max),
      ...[backS.median, backS.p90, backS.max].map((value) => `${value.toFixed(1)} s`),
    ]),
  };
}
