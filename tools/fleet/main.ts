/**
 * `deno task sim:fleet`: a fleet of agents lives through an outage of its server, under Pennon's
 * policy and under others. Figures on stdout, progress on stderr; writes to `docs/` alone.
 */

import { agentTable, loadTable, overloadNote } from "./figure_tables.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { plotSvg } from "./plot.ts";
import { reportMarkdown, scenarioTitle } from "./report.ts";
import { scenarioName } from "./scenario.ts";
import { runScenario, type ScenarioRun } from "./scenario_run.ts";
import { textTable } from "./table.ts";
import { TARGET_AGENTS, targetsOf } from "./targets.ts";
import { type WatchedFigures, watchedFigures, watchedTable } from "./watched.ts";

const DOCS = new URL("../../docs/", import.meta.url);

function main(args: readonly string[]): number {
  const options = readOptions(args);
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  if (typeof options === "string") {
    console.error(`Cannot simulate a fleet: ${options}\n${USAGE}`);
    return 2;
  }
  const startMs = performance.now();
  const done = options.scenarios.map((scenario) => {
    console.error(`${scenarioName(scenario)} ...`);
    const capacity = options.capacity(scenario.isRapid);
    const run = runScenario(scenario, { ...options, capacity });
    console.log(`${scenarioText(run)}\n`);
    return run;
  });
  const watched = watchedFigures(options);
  console.log(`1 % of the fleet in rapid polling\n\n${textTable(watchedTable(watched))}\n`);
  const isKept = printTargets(done, options);
  if (options.isWriting) write(done, watched, options);
  console.error(`${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
  return isKept ? 0 : 1;
}

function scenarioText({ scenario, runs }: ScenarioRun): string {
  const figures = runs.map((run) => run.figures);
  return [
    scenarioTitle(scenario),
    textTable(loadTable(figures)),
    textTable(agentTable(figures)),
    overloadNote(figures),
  ].filter((part) => part !== "").join("\n\n");
}

/** Whether Pennon keeps what it promises of a fleet of this size. */
function printTargets(done: readonly ScenarioRun[], { agents }: Options): boolean {
  if (agents !== TARGET_AGENTS) return true;
  const targets = done.flatMap(({ scenario, runs }) =>
    runs.filter(({ figures }) => figures.policy === "pennon")
      .flatMap(({ figures }) => targetsOf(scenario, figures))
      .map((target) => ({ ...target, name: scenarioName(scenario) }))
  );
  for (const { name, what, found, isMet } of targets) {
    console.log(`${isMet ? "met   " : "MISSED"}  ${name}: ${what}: ${found}`);
  }
  return targets.every(({ isMet }) => isMet);
}

function write(
  done: readonly ScenarioRun[],
  watched: readonly WatchedFigures[],
  options: Options,
): void {
  Deno.writeTextFileSync(new URL("fleet.md", DOCS), reportMarkdown(done, watched, options));
  for (const run of done) {
    const file = `${scenarioName(run.scenario)}.svg`;
    Deno.writeTextFileSync(new URL(file, DOCS), plotSvg(run));
  }
}

if (import.meta.main) Deno.exit(main(Deno.args));
