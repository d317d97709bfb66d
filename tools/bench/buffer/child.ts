/**
 * The measured process of `deno task bench:buffer`, which reads its one line of JSON:
 * `speed FOLDER ROUNDS`, `fill FOLDER EVENTS`, `start FOLDER`.
 */

import process from "node:process";
import type { NewEvent } from "../../../src/buffer/buffer.ts";
import { openBuffer } from "../../../src/buffer/store.ts";
import { realSystem } from "../../../src/system/real.ts";
import { costOf } from "../process_cost.ts";
import { bareGrowing, bareReused } from "./bare.ts";
import { BATCH, type Contestant, makeBatches, makeEvents } from "./contestant.ts";
import { level, openLevel } from "./level.ts";
import { LIMITS, LOOK, pennon } from "./pennon.ts";

/** What is measured in each round. */
export type Task = "one by one" | "batches" | "sort in" | "drain";

/** What an event cost, in microseconds, round by round. */
export interface Cost {
  readonly took: number[];
  /** Of that, what this process had a processor for, in all its threads. */
  readonly cpu: number[];
}

/** By task and by contestant. */
export type Speeds = Record<Task, Record<string, Cost>>;

/** One start: how long until there is something to send, and what the process then holds. */
export interface Start {
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly ownBytes: number;
  /** Events that were found waiting. */
  readonly events: number;
  readonly levelMs: number | null;
}

/** A round is short, so that all meet the same weather, and has several of SQLite's checkpoints. */
const ONE_BY_ONE = 200;
const BATCHES = 60;
const DRAINED = 200;

async function speed(folder: string, rounds: number): Promise<Speeds> {
  const contestants = [
    await pennon(folder),
    bareGrowing(folder),
    bareReused(folder),
    ...await orNone(() => level(folder)),
  ];
  const speeds: Speeds = { "one by one": {}, batches: {}, "sort in": {}, drain: {} };
  const events = makeEvents(ONE_BY_ONE);
  const batches = makeBatches(BATCHES);
  // The first round is for the compiler, and for files to be there.
  for (let round = -1; round < rounds; round++) {
    const order = contestants.map((_, at) => contestants[(at + round + 1) % contestants.length]!);
    for (const [task, run] of tasks(events, batches)) {
      for (const contestant of order) {
        if (task === "sort in" && contestant.indexPending === undefined) continue;
        const { took, cpu } = await run(contestant);
        if (round < 0) continue;
        const cost = speeds[task][contestant.name] ??= { took: [], cpu: [] };
        cost.took.push(took);
        cost.cpu.push(cpu);
      }
    }
    for (const contestant of contestants) await contestant.clear();
  }
  for (const contestant of contestants) await contestant.close();
  return speeds;
}

/** In their order in a round: what is drained was kept before. */
function tasks(
  events: readonly NewEvent[],
  batches: readonly NewEvent[][],
): [Task, (contestant: Contestant) => Promise<Spent>][] {
  return [
    ["one by one", (contestant) =>
      timed(events.length, async () => {
        for (const event of events) await contestant.append([event]);
      })],
    ["batches", (contestant) =>
      timed(batches.length * BATCH, async () => {
        for (const batch of batches) await contestant.append(batch);
      })],
    [
      "sort in",
      (contestant) =>
        timed(events.length + batches.length * BATCH, () => contestant.indexPending?.()),
    ],
    ["drain", (contestant) => timed(DRAINED, async () => await contestant.drain(DRAINED))],
  ];
}

interface Spent {
  readonly took: number;
  readonly cpu: number;
}

async function timed(events: number, work: () => void | Promise<void>): Promise<Spent> {
  const cpuBefore = process.cpuUsage();
  const beganMs = performance.now();
  await work();
  const tookMs = performance.now() - beganMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { took: tookMs * 1_000 / events, cpu: (user + system) / events };
}

/** Sorts in after each append, as the agent's loop does, and leaves without closing, as one killed. */
async function fill(folder: string, count: number): Promise<number> {
  const contestants = [await pennon(folder), ...await orNone(() => level(folder))];
  for (let left = count; left > 0; left -= BATCH) {
    const [batch = []] = makeBatches(1);
    for (const contestant of contestants) {
      await contestant.append(batch.slice(0, left));
      contestant.indexPending?.();
    }
  }
  return count;
}

async function start(folder: string): Promise<Start> {
  const cpuBefore = process.cpuUsage();
  const beganMs = performance.now();
  const { buffer } = await openBuffer(realSystem(), folder, LIMITS);
  buffer.next(LOOK);
  const tookMs = performance.now() - beganMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { ownBytes } = await costOf(Deno.pid);
  const cpuMs = (user + system) / 1_000;
  const events = buffer.counts().pending;
  return { tookMs, cpuMs, ownBytes, events, levelMs: await startLevel(folder) };
}

async function startLevel(folder: string): Promise<number | null> {
  try {
    const beganMs = performance.now();
    await openLevel(folder);
    return performance.now() - beganMs;
  } catch {
    return null;
  }
}

async function orNone(open: () => Promise<Contestant>): Promise<Contestant[]> {
  try {
    return [await open()];
  } catch (error) {
    console.error(`No npm store beside it: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

if (import.meta.main) {
  const [task, folder = "", count = "0"] = Deno.args;
  const answer = task === "speed"
    ? await speed(folder, Number(count))
    : task === "fill"
    ? await fill(folder, Number(count))
    : await start(folder);
  console.log(JSON.stringify(answer));
  Deno.exit(0);
}
