/** What a measured outage came to: seconds until back, requests during it, and the goals they meet. */

/** One outage, of several agents at once. */
export interface OutageRow {
  readonly ms: number;
  /** Seconds from the outage's end until each agent was back. */
  readonly backS: readonly number[];
  readonly median: number;
  readonly p90: number;
  /** Requests of each agent during it. */
  readonly requests: readonly number[];
  /** To `/health`, of all agents together; `null`: nobody was there to count them. */
  readonly healths: number | null;
}

/** The figures for a terminal: back within 30 s at the 90th percentile, at most 20 requests. */
export function outageText(what: string, row: OutageRow): string {
  const { backS, median, p90, requests, healths } = row;
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  return [
    `${what} for ${row.ms / 1_000} s, ${backS.length} agents in rapid polling`,
    `  back after   ${backS.map(seconds).join(", ")}`,
    `  median       ${seconds(median)}, 90 % ${seconds(p90)}${p90 <= 30 ? "" : "  MISSED: 30 s"}`,
    `  requests     ${requests.join(", ")}${Math.max(...requests) <= 20 ? "" : "  MISSED: 20"}`,
    ...(healths === null ? [] : [`  to /health   ${healths} of all`]),
  ].join("\n");
}
