/** `deno task sim`: runs seeds side by side and tells which invariant did not hold, and where. */

import { parseArgs } from "@std/cli/parse-args";
import type { AgeChoice, SeedResult } from "./run_seed.ts";

interface Options {
  readonly from: number;
  readonly count: number;
  readonly days: number;
  readonly workers: number;
  readonly age: AgeChoice;
}

/** Reads the command line; throws an `Error` that says what does not fit. */
function readOptions(words: string[]): Options & { readonly one: number | null } {
  const given = parseArgs(words, {
    string: ["seeds", "seed", "days", "from", "workers", "age"],
    unknown: (word) => {
      throw new Error(`Cannot read "${word}": no such option`);
    },
  });
  const number = (name: string, fallback: number) => {
    const text = String(given[name] ?? fallback);
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw new Error(`Cannot read --${name} "${text}": not a number`);
  };
  const age = given["age"] ?? "both";
  if (age !== "0.1" && age !== "0.2" && age !== "both") {
    throw new Error(`Cannot read --age "${age}": neither 0.1 nor 0.2 nor both`);
  }
  const one = given["seed"] === undefined ? null : number("seed", 0);
  return {
    one,
    age,
    from: number("from", 1),
    count: number("seeds", 200),
    days: number("days", 30),
    workers: Math.max(1, number("workers", navigator.hardwareConcurrency)),
  };
}

async function runAll(options: Options, onResult: (result: SeedResult) => void): Promise<void> {
  const { from, count, days, age } = options;
  let next = from;
  const play = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      const give = () => {
        if (next >= from + count) return resolve();
        worker.postMessage({ seed: next++, days, age });
      };
      worker.onmessage = ({ data }: MessageEvent<SeedResult>) => {
        onResult(data);
        give();
      };
      worker.onerror = (event) => reject(new Error(event.message));
      give();
    });
  const workers = Array.from(
    { length: Math.min(options.workers, count) },
    () => new Worker(new URL("worker.ts", import.meta.url), { type: "module" }),
  );
  try {
    await Promise.all(workers.map(play));
  } finally {
    workers.forEach((worker) => worker.terminate());
  }
}

function tellFailure({ seed, age, violation, tail }: SeedResult, options: Options): void {
  console.log(`\nSeed ${seed}: ${violation}\nIts server is of ${age}. The end of its trace:`);
  for (const line of tail.slice(-40)) console.log(`  ${line}`);
  const choice = options.age === "both" ? "" : ` --age ${options.age}`;
  console.log(`Again: deno task sim --seed ${seed} --days ${options.days}${choice}`);
}

async function main(words: string[]): Promise<number> {
  const options = readOptions(words);
  const { days, one } = options;
  const startedMs = performance.now();
  const range = one === null ? options : { ...options, from: one, count: 1 };
  const results: SeedResult[] = [];
  await runAll(range, (result) => {
    results.push(result);
    if (result.violation !== null) tellFailure(result, options);
  });
  const tookS = (performance.now() - startedMs) / 1_000;
  const failed = results.filter(({ violation }) => violation !== null);
  const sum = (of: (result: SeedResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const faults = new Set(results.flatMap((result) => result.faults));
  if (one !== null) console.log(`Seed ${one}: trace ${results[0]?.sum}`);
  console.log(
    `${results.length} seeds x ${days} days in ${tookS.toFixed(1)} s: ${failed.length} failed; ` +
      `${sum(({ requests }) => requests)} requests, ${sum(({ starts }) => starts)} starts, ` +
      `${sum(({ turnedAway }) => turnedAway)} turned away, ` +
      `${sum(({ closed }) => closed)} rows closed by absence, ${faults.size} kinds of fault, ` +
      `${(results.length * days * 86_400 / tookS).toExponential(1)} times real time`,
  );
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`sim: ${error instanceof Error ? error.message : error}`);
    Deno.exit(2);
  }
}
