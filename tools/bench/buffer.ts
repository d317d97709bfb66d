/**
 * `deno task bench:buffer`: what the buffer costs, beside bare `write`+`fdatasync` of the same bytes
 * and beside `classic-level`, in the same minute. Exits 1 where a target is missed, or where it
 * cannot measure. Needs Linux, a real disk and, for `classic-level`, npm.
 *
 * `--rounds N` (15), `--events N` (50,000 for start and memory), `--folder PATH` on the disk that is
 * to be measured, `--small-heap` for V8 as it is in the executable.
 */

import { parseArgs } from "@std/cli/parse-args";
import { V8_FLAGS } from "../build/v8_flags.ts";
import type { Speeds, Start, Task } from "./buffer/child.ts";
import { fileSystemOf } from "./buffer/file_system.ts";
import { type Finding, report, speedRatios } from "./buffer/verdict.ts";
import { median, quartiles } from "./statistics.ts";

const ROOT = new URL("../../", import.meta.url);

const TARGET_ONE_BY_ONE = 0.85;
const TARGET_BATCHES = 0.4;
const TARGET_EVENTS_PER_S = 100_000;
const TARGET_START_MS = 300;
const TARGET_GROWTH_MB = 15;

/** Of starts, each in a process of its own. */
const STARTS = 7;

/** Names of `buffer/`'s contestants. */
const PENNON = "pennon";
const BARE = "write+fdatasync";

type Child = (...args: string[]) => Promise<unknown>;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["rounds", "events", "folder"],
    boolean: ["small-heap"],
  });
  const where = flags["folder"] === undefined ? {} : { dir: String(flags["folder"]) };
  const folder = await Deno.makeTempDir({ prefix: "pennon-bench-", ...where });
  try {
    const { type, device } = await fileSystemOf(folder);
    const load = Deno.loadavg()[0]!.toFixed(1);
    const cpus = navigator.hardwareConcurrency;
    console.log(`${type} on ${device}, ${folder}; Deno ${Deno.version.deno}`);
    console.log(`${cpus} processors, with a load of ${load} from before`);
    if (type === "tmpfs") {
      throw new Error(
        `Cannot measure: "${folder}" is in memory. Next: give a "--folder" on a disk`,
      );
    }
    const child = childIn(flags["small-heap"] === true);
    const rounds = Number(flags["rounds"] ?? 15);
    const speeds = await child("speed", folder, String(rounds)) as Speeds;
    printSpeeds(speeds);
    const starts = await measureStarts(child, folder, Number(flags["events"] ?? 50_000));
    const { lines, areAllMet } = report([...speedFindings(speeds), ...starts]);
    console.log(`\n${lines.join("\n")}`);
    console.log(`\n${areAllMet ? "Every target holds." : "NOT every target holds."}`);
    return areAllMet ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function printSpeeds(speeds: Speeds): void {
  const rounds = speeds.drain[PENNON]!.took.length;
  console.log(`\nAn event, in the middle of ${rounds} rounds; beside it pennon, round by round`);
  for (const [task, contestants] of Object.entries(speeds)) {
    for (const [name, { took, cpu }] of Object.entries(contestants)) {
      const micros = (value: number) => `${value.toFixed(1)} us`.padStart(10);
      const perSecond = Math.round(1e6 / median(took)).toLocaleString("en").padStart(9);
      const ratios = speedRatios(speeds[task as Task][PENNON]!.took, took);
      const [low, middle, high] = quartiles(ratios).map((ratio) => ratio.toFixed(2));
      console.log(
        `${task.padEnd(10)}  ${name.padEnd(17)}${micros(median(took))}  ${perSecond}/s  cpu` +
          micros(median(cpu)) + (name === PENNON ? "" : `  ${middle} x (${low} to ${high})`),
      );
    }
  }
}

function speedFindings(speeds: Speeds): Finding[] {
  const took = (task: Task, name: string) => speeds[task][name]!.took;
  const ratio = (task: Task) => median(speedRatios(took(task, PENNON), took(task, BARE)));
  const oneByOne = ratio("one by one");
  const batches = ratio("batches");
  const perSecond = 1e6 / median(took("batches", PENNON));
  return [
    atLeast("append, one by one, beside bare", oneByOne, TARGET_ONE_BY_ONE),
    atLeast("append, batches of 128, beside bare", batches, TARGET_BATCHES),
    {
      what: "append, batches of 128",
      found: `${Math.round(perSecond).toLocaleString("en")}/s`,
      target: {
        text: `>= ${TARGET_EVENTS_PER_S.toLocaleString("en")}/s`,
        isMet: perSecond >= TARGET_EVENTS_PER_S,
      },
    },
  ];
}

function atLeast(what: string, ratio: number, target: number): Finding {
  const found = `${ratio.toFixed(2)} x`;
  return { what, found, target: { text: `>= ${target} x`, isMet: ratio >= target } };
}

/** Starts of full and of empty buffers take turns, beside reading the file and `classic-level`. */
async function measureStarts(child: Child, folder: string, events: number): Promise<Finding[]> {
  const [full, empty] = [`${folder}/full`, `${folder}/empty`];
  for (const each of [full, empty]) await Deno.mkdir(each);
  await child("fill", full, String(events));
  await child("fill", empty, "0");
  const [filled, emptied, readMs]: [Start[], Start[], number[]] = [[], [], []];
  for (let round = 0; round < STARTS; round++) {
    filled.push(await child("start", full) as Start);
    readMs.push(await timeReading(`${full}/buffer.sqlite`));
    emptied.push(await child("start", empty) as Start);
  }
  if (filled.some((start) => start.events !== events)) {
    throw new Error("Cannot measure: events lost");
  }
  const startMs = median(filled.map(({ tookMs }) => tookMs));
  const growthMb = (median(filled.map(({ ownBytes }) => ownBytes)) -
    median(emptied.map(({ ownBytes }) => ownBytes))) / 1e6;
  const levelMs = filled.map((start) => start.levelMs).filter((ms) => ms !== null);
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  const { size } = await Deno.stat(`${full}/buffer.sqlite`);
  return [
    {
      what: `start, ${events.toLocaleString("en")} events (${(size / 1e6).toFixed(1)} MB)`,
      found: ms(startMs),
      target: { text: `< ${ms(TARGET_START_MS)}`, isMet: startMs < TARGET_START_MS },
    },
    { what: "  of that a processor's time", found: ms(median(filled.map(({ cpuMs }) => cpuMs))) },
    { what: "  an empty one", found: ms(median(emptied.map(({ tookMs }) => tookMs))) },
    { what: "  only reading its file", found: ms(median(readMs)) },
    { what: "  classic-level", found: levelMs.length === 0 ? "-" : ms(median(levelMs)) },
    {
      what: "own memory, more than with an empty one",
      found: `${growthMb.toFixed(1)} MB`,
      target: { text: `< ${TARGET_GROWTH_MB} MB`, isMet: growthMb < TARGET_GROWTH_MB },
    },
  ];
}

async function timeReading(path: string): Promise<number> {
  const beganMs = performance.now();
  await Deno.readFile(path);
  return performance.now() - beganMs;
}

/** Runs `buffer/child.ts`, which has a lock file of its own: its npm store is nobody else's. */
function childIn(hasSmallHeap: boolean): Child {
  const lock = new URL("tools/bench/buffer/packages.lock", ROOT).pathname;
  const flags = ["run", "--quiet", "--no-prompt", `--lock=${lock}`, "--frozen", "-A"];
  if (hasSmallHeap) flags.push(V8_FLAGS);
  return async (...args) => {
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [...flags, new URL("tools/bench/buffer/child.ts", ROOT).pathname, ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stderr: "inherit",
    }).output();
    if (!success) throw new Error(`Cannot measure: "${args[0]}" failed`);
    return JSON.parse(new TextDecoder().decode(stdout));
  };
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
