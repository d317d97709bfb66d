/** `docs/fleet.md`: the figures of all scenarios, how they are made, and what the model leaves out. */

import { agentTable, loadTable, overloadNote, whole } from "./figure_tables.ts";
import { type Scenario, scenarioName } from "./scenario.ts";
import type { ScenarioRun } from "./scenario_run.ts";
import { markdownTable } from "./table.ts";
import { TARGET_AGENTS, targetsOf } from "./targets.ts";
import { type WatchedFigures, watchedTable } from "./watched.ts";

/** What made the figures. */
export interface ReportOptions {
  readonly agents: number;
  readonly seed: number;
}

/** The page's text. */
export function reportMarkdown(
  done: readonly ScenarioRun[],
  watched: readonly WatchedFigures[],
  options: ReportOptions,
): string {
  const parts = [
    headMarkdown(done, options),
    ...targetsMarkdown(done, options),
    watchedMarkdown(watched),
    "## The scenarios",
    ...done.map(scenarioMarkdown),
    MODEL,
  ];
  return `${parts.join("\n\n")}\n`;
}

/** A scenario in words. */
export function scenarioTitle({ outage, cut, isRapid }: Scenario): string {
  return `${outage.name}, ${cut}, rapid polling ${isRapid ? "on" : "off"}`;
}

function headMarkdown(done: readonly ScenarioRun[], { agents, seed }: ReportOptions): string {
  const capacities = new Set(done.map(({ capacity }) => `${whole(capacity)}/s`));
  return `# A fleet through an outage

A simulation of ${whole(agents)} agents against one server that stops and comes back. Pennon's
agents use the agent's own code (breaker, backoff, schedule); the others follow the rules below.
This command makes the page:

\`\`\`
deno task sim:fleet --agents ${agents} --seed ${seed} --write && deno fmt docs
\`\`\`

The same seed gives the same figures. The server's capacity is ${
    [...capacities].join(" and, with rapid polling, ")
  }
of check-ins.

- **ordinary/s**: check-ins per second during normal operation. **check-ins**, **requests**
  (\`/health\`
  included): the highest rate after the server's return in any 1 s and any 10 s, and its multiple
  of the policy's own ordinary rate.
- **touched**: agents that sent at least one request into the outage. **in vain**: their requests
  into the dead server, on average, and at **most** by one agent.
- **back**: for the touched agents, the time from the server's return to the first successful
  check-in. **all 50%**: the same for half of the whole fleet; agents that never noticed the outage
  are due at their next check-in, so after a short outage this does not measure recovery.
- **refused**, **late**: requests that the server, after its return, refused, or answered after the
  client had given up.`;
}

function targetsMarkdown(done: readonly ScenarioRun[], { agents }: ReportOptions): string[] {
  if (agents !== TARGET_AGENTS) return [];
  const rows = done.flatMap(({ scenario, runs }) =>
    runs.filter(({ figures }) => figures.policy === "pennon")
      .flatMap(({ figures }) => targetsOf(scenario, figures))
      .map(({ what, found, isMet }) =>
        `- ${isMet ? "met" : "**missed**"}, ${scenario.outage.name}: ${what}: ${found}`
      )
  );
  return rows.length === 0 ? [] : ["## Targets", rows.join("\n")];
}

function watchedMarkdown(watched: readonly WatchedFigures[]): string {
  return `## Watched agents

One in a hundred agents is in rapid polling, because a person watches it; the others poll normally.
During rapid polling no wait is longer than 30 s. In the outage of the database \`/health\` is
well and check-ins get a 500, as with RedFlag 0.1.18.

${markdownTable(watchedTable(watched))}`;
}

function scenarioMarkdown({ scenario, runs }: ScenarioRun): string {
  const figures = runs.map((run) => run.figures);
  const parts = [
    `### ${scenarioTitle(scenario)}`,
    `![Requests per second through time](${scenarioName(scenario)}.svg)`,
    markdownTable(loadTable(figures)),
    markdownTable(agentTable(figures)),
    overloadNote(figures),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

const MODEL = `## The model, and what it leaves out

Policies:

- **pennon**: the agent's functions with their default numbers. After a failure an attempt is
  \`/health\` first (5 s), then the check-in (30 s, 5 s for the breaker's probe).
- **redflag-normal**, **redflag-rapid**: wait 0 to 29 whole seconds, check in, sleep 300 s or 5 s,
  whatever the result. Rapid polling replaces one by the other; both are in every table.
- **fixed-5s**: after a failure every 5 s exactly; after a success the interval exactly.
- **equal-jitter**: after the nth failure c/2 + U(0, c/2), c = min(300 s, 5 s x 2^(n-1)).
  **decorrelated-jitter**: min(300 s, U(5 s, 3 x the wait before)). Both: after a success the
  interval +- 10 %.
- The interval is 300 s, 5 s with rapid polling. Rapid polling, if on, is on for every agent and for
  the whole run: a worst case, since a real server grants it to few agents and not for hours.

Cuts: **staggered**, each agent notices at its next check-in. **together**, every agent makes an
attempt at the instant when the outage begins, and follows its policy from there.

The server is one queue, first come first served. A check-in is one unit of work, \`/health\`
a tenth of one. The queue holds as many requests as it serves check-ins in 10 s; beyond
that a connection is refused at once. The server also processes a request whose client has given up.
In the outage every connection is refused at once, which is favourable: if connections hang, the
server sees fewer attempts, and agents notice later.

Not modelled, mostly in favour of every policy alike:

- A request takes 0 to 20 ms to the server and its answer no time; nothing is lost, TLS costs
  nothing, clocks are exact.
- The server returns completely in one instant; no cold caches, no load balancer.
- Only check-ins and \`/health\` are sent. A real agent that is back also delivers its buffer
  (limited by the slow start and the server's rate limits), and renews an expired token: after an
  outage of hours expect up to one renewal and a few deliveries per agent in addition.
- No 503, 429 or \`Retry-After\`: a busy server just refuses, so agents get no advice.
- No agent starts, stops, sleeps or loses its own network.
- One run per cell: peaks come from one seed, and a peak in 1 s contains some 5 % of chance at some
  hundreds of requests per second.
- RedFlag's loops are modelled from a description of them, not run.
- A run ends two intervals after 99.9 % of the touched agents are back, and at most 2 h after the
  return; "never" means not until then.`;
