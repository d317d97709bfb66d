/** What the executable's starts cost: with a full buffer beside an empty one, `help` beside `version`. */

import { Program } from "../program.ts";
import { startRefserver } from "../refserver/refserver.ts";
import { fillBuffer } from "./backlog.ts";
import type { Figure } from "./figures.ts";
import { threadsCpuMs } from "./process_cost.ts";
import { costOf } from "./scan_times.ts";
import { median } from "./statistics.ts";

const FULL_EVENTS = 50_000;
const TARGET_START_MS = 100;
const TARGET_HELP_RATIO = 1.3;

/** Of each kind, taking turns. */
const STARTS = 5;
const SHORT_RUNS = 20;

const REGISTRATION_TOKEN = "bench-registration-token";

/** Measures both; takes some 15 s. */
export async function measureStarts(executable: string): Promise<Figure[]> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-bench-" });
  try {
    return [await measureHelp(executable), ...await measureFullBuffer(executable, folder)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measureHelp(executable: string): Promise<Figure> {
  const words = ["help", "version"] as const;
  const cpuMs = { help: [] as number[], version: [] as number[] };
  for (let run = 0; run < SHORT_RUNS; run++) {
    for (const word of words) {
      cpuMs[word].push((await costOf({ argv: [executable, word], code: 0 })).cpuMs);
    }
  }
  return {
    what: "CPU of help",
    unit: "ms",
    agent: median(cpuMs.help),
    baseline: { name: "version", value: median(cpuMs.version) },
    target: { mostRatio: TARGET_HELP_RATIO },
  };
}

async function measureFullBuffer(executable: string, folder: string): Promise<Figure[]> {
  const hosts = ["full", "empty"] as const;
  const server = await startRefserver({ registrationTokens: [REGISTRATION_TOKEN] });
  for (const host of hosts) {
    const words = ["register", "--server", server.url, "--token", REGISTRATION_TOKEN];
    await costOf({ argv: [executable, ...words, "--state-dir", `${folder}/${host}`], code: 0 });
  }
  await server.close(); // What is measured is the start: nothing is to go out after it.
  await fillBuffer(`${folder}/full`, FULL_EVENTS);
  await fillBuffer(`${folder}/empty`, 1);
  const cpuMs = { full: [] as number[], empty: [] as number[] };
  for (let start = 0; start < STARTS; start++) {
    for (const host of hosts) cpuMs[host].push(await startCpuMs(executable, `${folder}/${host}`));
  }
  const [full, empty] = [median(cpuMs.full), median(cpuMs.empty)];
  return [
    {
      what: `CPU of a start, ${FULL_EVENTS.toLocaleString("en")} events`,
      unit: "ms",
      agent: full,
      baseline: { name: "1 event", value: empty },
    },
    {
      what: "  more than with 1 event",
      unit: "ms",
      agent: full - empty,
      baseline: { name: "1 event", value: empty },
      target: { most: TARGET_START_MS },
    },
  ];
}

/** Until its first check-in has failed, for want of a server. */
async function startCpuMs(executable: string, stateDirectory: string): Promise<number> {
  const config = `${stateDirectory}.toml`;
  await Deno.writeTextFile(config, '[polling]\nstart_spread = "0s"\n');
  const own = ["--state-dir", stateDirectory, "--config", config];
  const program = new Program({ argv: [executable, "run", ...own] });
  try {
    await program.waitFor("a failed check-in", (line) => line.includes("connection refused"));
    return await threadsCpuMs(program.processId);
  } finally {
    await program.stop();
  }
}
