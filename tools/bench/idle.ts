/**
 * `deno task bench`: what the agent costs while nothing happens, a check-in, and a start, each beside
 * a baseline of the same run. Needs Linux, and strace to count synced writes; exits 1 only where it
 * cannot measure.
 *
 * `--window-s N` and `--check-ins N` measure for less or more than a minute and an hour's worth.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program, script } from "../program.ts";
import { BenchAgent, findExecutable, pause } from "./bench_agent.ts";
import { allHold, type Figure, figureTable } from "./figures.ts";
import { costOf, cpuPercent, type ProcessCost, wakeUps } from "./process_cost.ts";
import { measureStarts } from "./starts.ts";

const TARGET_CPU_PERCENT = 0.5;
const TARGET_OWN_MB = 30;
const TARGET_CHECK_IN_MS = 3;
const TARGET_WAKE_UPS = 4;
const TARGET_SYNCS = 1;

/** Until what a start costs is over. */
const WARM_UP_MS = 15_000;

/** Rapid polling is every 5 s: so many check-ins are an hour of it. */
const HOUR_OF_CHECK_INS = 720;

/** At 1 s each, where the agent takes no shorter interval. */
const FEWER_CHECK_INS = 90;

const BASELINE = "setInterval(() => {}, 5000)";
const BASELINE_NAME = "Deno's timer";

/** Of the plain requests that a check-in is compared with. */
const REQUESTS = 2_000;

/** Check-ins whose synced writes are counted. */
const TRACED_CHECK_INS = 20;

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
    const starts = executable === null ? [] : await measureStarts(executable);
    const figures = [...cpu, ...memory, ...starts];
    console.log("");
    for (const line of figureTable(figures)) console.log(line);
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
  const wokenBefore = await lookAtWakeUps(agent, idle);
  await pause(windowS * 1_000);
  const after = await look(agent, idle);
  const woken = await lookAtWakeUps(agent, idle);
  console.log(`  ${agent.checkIns - known} check-ins`);
  const toldS = Math.round(WARM_UP_MS / 1_000 + windowS);
  const percent = (who: keyof Look) => cpuPercent(before[who], after[who]);
  const perSecond = (who: keyof Look) => (woken[who] - wokenBefore[who]) / windowS;
  return [
    {
      what: "CPU, of one core",
      unit: "%",
      agent: percent("agent"),
      baseline: { name: BASELINE_NAME, value: percent("baseline") },
      target: { most: TARGET_CPU_PERCENT },
    },
    {
      what: "CPU in an hour",
      unit: "s",
      agent: percent("agent") * 36,
      baseline: { name: BASELINE_NAME, value: percent("baseline") * 36 },
    },
    {
      what: "wake-ups",
      unit: "/s",
      agent: perSecond("agent"),
      baseline: { name: BASELINE_NAME, value: perSecond("baseline") },
      target: { most: TARGET_WAKE_UPS },
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
  const known = agent.checkIns;
  await agent.untilCheckIns(checkIns);
  const afterwards = await look(agent, idle);
  const tookS = (performance.now() - beganMs) / 1_000;
  console.log(`  ${agent.checkIns} check-ins in ${tookS.toFixed(0)} s`);
  return [
    {
      what: "CPU of a check-in",
      unit: "ms",
      agent: (afterwards.agent.cpuMs - atStart.agent.cpuMs) / (agent.checkIns - known),
      baseline: { name: "a plain request", value: await requestMs(agent.serverUrl) },
      target: { most: TARGET_CHECK_IN_MS },
    },
    ...await measureSyncs(agent),
    ownMemory("own memory, just started", atStart),
    ownMemory(`own memory, ${checkIns} check-ins on`, afterwards),
    resident("resident, just started", atStart),
    resident(`resident, ${checkIns} check-ins on`, afterwards),
  ];
}

/** CPU time of one of many requests in a plain loop. */
async function requestMs(url: string): Promise<number> {
  const argv = script("tools/bench/request_loop.ts", url, String(REQUESTS), "200");
  return Number(await new Program({ argv }).waitFor("a figure", () => true)) / 1_000;
}

/** How often the agent waits for the disk in a check-in. */
async function measureSyncs(agent: BenchAgent): Promise<Figure[]> {
  const argv = ["-f", "-p", String(agent.processId), "-e", "trace=fsync,fdatasync"] as const;
  let trace: Program;
  try {
    trace = new Program({ argv: ["strace", ...argv] });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("  synced writes are not counted: there is no strace");
    return [];
  }
  await trace.waitFor("strace", (line) => line.includes("attached"));
  const known = agent.checkIns;
  await agent.untilCheckIns(known + TRACED_CHECK_INS);
  const syncs = trace.lines.filter((line) => /\bf(?:data)?sync\(/.test(line)).length;
  const checkIns = agent.checkIns - known;
  await trace.stop("SIGINT");
  return [{
    what: "synced writes of a check-in",
    unit: "",
    agent: syncs / checkIns,
    baseline: { name: "one fdatasync", value: 1 },
    target: { most: TARGET_SYNCS },
  }];
}

function ownMemory(what: string, { agent, baseline }: Look): Figure {
  return {
    what,
    unit: "MB",
    agent: agent.ownBytes / 1e6,
    baseline: { name: BASELINE_NAME, value: baseline.ownBytes / 1e6 },
    target: { most: TARGET_OWN_MB },
  };
}

function resident(what: string, { agent, baseline }: Look): Figure {
  return {
    what,
    unit: "MB",
    agent: agent.residentBytes / 1e6,
    baseline: { name: BASELINE_NAME, value: baseline.residentBytes / 1e6 },
  };
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

async function lookAtWakeUps(
  agent: BenchAgent,
  idle: Program,
): Promise<Record<keyof Look, number>> {
  return { agent: await wakeUps(agent.processId), baseline: await wakeUps(idle.processId) };
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
