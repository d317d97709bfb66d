/** What happens to the fleet: how long an outage lasts, how it begins, how often agents check in. */

/** An outage by name, with the stretch of time that is shown around it. */
export interface Outage {
  readonly name: string;
  readonly ms: number;
  /** Shown before it begins, and after its end; a run lasts at least so long. */
  readonly leadMs: number;
  readonly tailMs: number;
  /** Only the server's database is away: `/health` is well, check-ins get a 500. @default false */
  readonly isDatabase?: boolean;
}

/** All the outages there are. */
export const OUTAGES: readonly Outage[] = [
  { name: "20s", ms: 20_000, leadMs: 60_000, tailMs: 700_000 },
  { name: "28m", ms: 28 * 60_000, leadMs: 5 * 60_000, tailMs: 22 * 60_000 },
  { name: "6h", ms: 6 * 3_600_000, leadMs: 10 * 60_000, tailMs: 30 * 60_000 },
];

/**
 * How an outage begins: `staggered`, each agent notices at its next check-in; `together`, each makes
 * an attempt the instant it begins, as when a link is cut under open connections.
 */
export type Cut = "staggered" | "together";

/** All the cuts there are. */
export const CUTS: readonly Cut[] = ["staggered", "together"];

/** One thing to live through. */
export interface Scenario {
  readonly outage: Outage;
  readonly cut: Cut;
  readonly isRapid: boolean;
}

/** The name of a scenario's plot, without an ending. */
export function scenarioName({ outage, cut, isRapid }: Scenario): string {
  return `fleet-${outage.name}-${cut}${isRapid ? "-rapid" : ""}`;
}

/** A server with some air: three times the ordinary rate, or half as much again when it is rapid. */
export function defaultCapacity(agents: number, isRapid: boolean): number {
  return isRapid ? 1.5 * agents / 5 : 3 * agents / 300;
}
