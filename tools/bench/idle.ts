/**
 * `deno task bench`: what the agent costs while nothing happens, beside a Deno process that only
 * waits. Needs Linux; exits 1 only where it cannot measure.
 *
 * `--window-s N` and `--check-ins N` measure for less or more than a minute and an hour's worth.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program } from "../program.ts";
import { BenchAgent, findExecutable, pause } from "./bench_agent.ts";
import { allHold, type Figure, idleTable } from "./idle_table.ts";
import { costOf, cpuPercent, type ProcessCost } from "./process_cost.ts";

const TARGET_CPU_PERCENT = 0.5;
const TARGET_OWN_MB = 30;

/** Until what a start costs is over. */
const WARM_UP_MS = 15_000;

/** Rapid polling is every 5 s: so many check-ins are an hour of it. */
const HOUR_OF_CHECK_INS = 720;

/** At 1 s each, where the agent takes no shorter interval. */
const FEWER_CHECK_INS = 90;

const BASELINE = "setInterval(() => {}, 5000)";

interface Look {
  readonly agent: ProcessCost;
  readonly baseline: ProcessCost;
}

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs(args, { string: ["window-s", "check-ins"] });
  const windowS = Number(flags["window-s"] ?? 60);
  const wanted = Number(flags["check-ins"] ?? HOUR_OF_CHECK_INS);
  const executable = await findExecutable();
  if (executable === null) {
    console.log("No dist/pennon-linux-x64 here; `deno task build` makes it. Instead:");
  }
  const name = executable === null ? "the program from source" : "dist/pennon-linux-x64";
  console.log(`Agent: ${name}. Baseline: Deno ${Deno.version.deno}, deno eval '${BASELINE}'.`);
  const idle = new Program({ argv: [Deno.execPath(), "eval", BASELINE] });
  try {
    const cpu = await measureCpu({ executable, idle, windowS });
    const memory = await measureMemory({ executable, idle, wanted });
    const figures = [...cpu, ...memory];
    console.log("");
    for (const line of idleTable(figures)) console.log(line);
    console.log(`\n${allHold(figures) ? "Every target holds." : "NOT every target holds."}`);
    return 0;
  } finally {
    await idle.stop("SIGKILL");
  }
}

async function measureCpu(
  { executable, idle, windowS }: { executable: string | null; idle: Program; windowS: number },
): Promise<Figure[]> {
  console.log(`Rapid polling at 5 s: ${WARM_UP_MS / 1_000} s to warm up, ${windowS} s measured`);
  await using agent = await BenchAgent.start({ executable, rapidInterval: "5s" });
  await pause(WARM_UP_MS);
  const known = agent.checkIns;
  const before = await look(agent, idle);
  await pause(windowS * 1_000);
  const after = await look(agent, idle);
  console.log(`  ${agent.checkIns - known} check-ins`);
  const toldS = Math.round(WARM_UP_MS / 1_000 + windowS);
  const percent = (who: keyof Look) => cpuPercent(before[who], after[who]);
  return [
    {
      what: "CPU, of one core",
      unit: "%",
      agent: percent("agent"),
      baseline: percent("baseline"),
      target: TARGET_CPU_PERCENT,
    },
    {
      what: "CPU in an hour",
      unit: "s",
      agent: percent("agent") * 36,
      baseline: percent("baseline") * 36,
    },
    ownMemory(`own memory, ${toldS} s on`, after),
  ];
}

async function measureMemory(
  { executable, idle, wanted }: { executable: string | null; idle: Program; wanted: number },
): Promise<Figure[]> {
  const { started, checkIns } = await startFast(executable, wanted);
  await using agent = started;
  const atStart = await look(agent, idle);
  const beganMs = performance.now();
  await agent.untilCheckIns(checkIns);
  const afterwards = await look(agent, idle);
  const tookS = (performance.now() - beganMs) / 1_000;
  console.log(`  ${agent.checkIns} check-ins in ${tookS.toFixed(0)} s`);
  return [
    ownMemory("own memory, just started", atStart),
    ownMemory(`own memory, ${checkIns} check-ins on`, afterwards),
    resident("resident, just started", atStart),
    resident(`resident, ${checkIns} check-ins on`, afterwards),
  ];
}

function ownMemory(what: string, { agent, baseline }: Look): Figure {
  const figure = { agent: agent.ownBytes / 1e6, baseline: baseline.ownBytes / 1e6 };
  return { what, unit: "MB", ...figure, target: TARGET_OWN_MB };
}

function resident(what: string, { agent, baseline }: Look): Figure {
  const figure = { agent: agent.residentBytes / 1e6, baseline: baseline.residentBytes / 1e6 };
  return { what, unit: "MB", ...figure };
}

/** An agent as fast as the configuration allows, and how many check-ins it has time for. */
async function startFast(
  executable: string | null,
  wanted: number,
): Promise<{ started: BenchAgent; checkIns: number }> {
  try {
    console.log(`Rapid polling at 100 ms: ${wanted} check-ins`);
    const started = await BenchAgent.start({ executable, rapidInterval: "100ms" });
    return { started, checkIns: wanted };
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes("rapid_interval")) throw error;
    const checkIns = Math.min(wanted, FEWER_CHECK_INS);
    console.log(`  refused by this agent; at 1 s instead, and ${checkIns} check-ins`);
    return { started: await BenchAgent.start({ executable, rapidInterval: "1s" }), checkIns };
  }
}

async function look(agent: BenchAgent, idle: Program): Promise<Look> {
  return { agent: await costOf(agent.processId), baseline: await costOf(idle.processId) };
}

if (import.meta.main) {
  try {
    if (Deno.build.os !== "linux") throw new Error("Cannot measure: this needs Linux's /proc");
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
