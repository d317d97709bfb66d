/**
 * `deno task bench:drain`: a full buffer goes out to a server that takes 20 ms for each answer, while
 * the agent polls rapidly. Tells how long that takes, the CPU time of each event beside a plain loop of
 * requests, and how late check-ins are. Needs Linux and the executable (`deno task build`).
 *
 * `--events N` (50,000), `--delay-ms N` (20). Exits 1 where a target is missed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program, script } from "../program.ts";
import { fillBuffer } from "./backlog.ts";
import { findExecutable, pause } from "./bench_agent.ts";
import { costOf } from "./process_cost.ts";
import type { Figures } from "./slow_server.ts";

/** Rapid polling, which a check-in may miss by this. */
const INTERVAL_MS = 5_000;
const MOST_LATE_MS = 2_000;
/** An interval is longer by chance, by a tenth. */
const JITTER = 0.1;

/** For 50,000 events. */
const LONGEST_S = 180;
const MOST_MICROS = 300;

const PATIENCE_MS = 60_000;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs([...args], { string: ["events", "delay-ms"] });
  const events = Number(flags["events"] ?? 50_000);
  const delayMs = String(flags["delay-ms"] ?? 20);
  const executable = await findExecutable();
  if (executable === null) {
    throw new Error("Cannot measure: there is no executable. Next: deno task build");
  }
  const server = new Program({ argv: script("tools/bench/slow_server.ts", delayMs) });
  const folder = await Deno.makeTempDir({ prefix: "pennon-bench-" });
  const pennon = (words: readonly string[], input = "") => {
    const own = ["--state-dir", `${folder}/state`, "--config", `${folder}/config.toml`];
    return new Program({ argv: [executable, ...words, ...own], input });
  };
  try {
    const url = `http://127.0.0.1:${await firstLine(server)}`;
    const perRequest = Number(
      await firstLine(
        new Program({ argv: script("tools/bench/request_loop.ts", url, "5000", "200") }),
      ),
    );
    await configure(folder);
    const enrolment = pennon(["register", "--server", url, "--token", "-"], "token");
    const { code } = await enrolment.ended;
    if (code !== 0) throw new Error(`Cannot register: ${enrolment.lines.join("\n")}`);
    await fillBuffer(`${folder}/state`, events);
    const known = await figuresOf(url);
    const agent = pennon(["run"]);
    try {
      const start = await untilFirst(url, known);
      const before = await costOf(agent.processId);
      const end = await untilDelivered(url, known.reports + events);
      const after = await costOf(agent.processId);
      const tookS = (performance.now() - start) / 1_000;
      const micros = 1_000 * (after.cpuMs - before.cpuMs) / events;
      return report({ events, tookS, micros, perRequest, lateMs: mostLate(end) });
    } finally {
      await agent.stop("SIGKILL");
    }
  } finally {
    await server.stop("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
}

function report(
  { events, tookS, micros, perRequest, lateMs }: {
    events: number;
    tookS: number;
    micros: number;
    perRequest: number;
    lateMs: number;
  },
): number {
  const longestS = LONGEST_S * events / 50_000;
  const ratio = (micros / perRequest).toFixed(2);
  const verdicts: [string, boolean][] = [
    [
      `${events} events in ${tookS.toFixed(1)} s (target ${longestS.toFixed(0)})`,
      tookS <= longestS,
    ],
    [
      `CPU ${micros.toFixed(0)} us an event (target ${MOST_MICROS}); a plain request ` +
      `${perRequest.toFixed(0)} us, ratio ${ratio}`,
      micros <= MOST_MICROS,
    ],
    [
      `check-ins late by ${lateMs.toFixed(0)} ms at most (target ${MOST_LATE_MS})`,
      lateMs <= MOST_LATE_MS,
    ],
  ];
  for (const [text, holds] of verdicts) console.log(`${holds ? "holds " : "MISSED"}  ${text}`);
  return verdicts.every(([, holds]) => holds) ? 0 : 1;
}

/** By how much the longest time between two check-ins is longer than it may be drawn. */
function mostLate({ checkInsMs }: Figures): number {
  // The first ones come before rapid polling is on.
  const rapid = checkInsMs.slice(1);
  const gaps = rapid.slice(1).map((atMs, index) => atMs - (rapid[index] ?? atMs));
  return Math.max(0, ...gaps.map((gapMs) => gapMs - INTERVAL_MS * (1 + JITTER)));
}

async function configure(folder: string): Promise<void> {
  const polling = `[polling]\nrapid_interval = "${INTERVAL_MS / 1_000}s"\nstart_spread = "0s"\n`;
  await Deno.writeTextFile(`${folder}/config.toml`, `${polling}[scanners]\nenabled = []\n`);
}

function firstLine(program: Program): Promise<string> {
  return program.waitFor("a line", () => true);
}

async function figuresOf(url: string): Promise<Figures> {
  return await (await fetch(`${url}/figures`)).json();
}

/** When the first report has come. */
async function untilFirst(url: string, { reports }: Figures): Promise<number> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 20) {
    if ((await figuresOf(url)).reports > reports) return performance.now();
    await pause(20);
  }
  throw new Error("Cannot measure: the agent reports nothing");
}

async function untilDelivered(url: string, wanted: number): Promise<Figures> {
  let known = -1;
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 200) {
    const figures = await figuresOf(url);
    if (figures.reports >= wanted) return figures;
    if (figures.reports > known) waitedMs = 0;
    known = figures.reports;
    await pause(200);
  }
  throw new Error(`Cannot measure: the agent stopped at ${known} of ${wanted} reports`);
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
