/**
 * `deno task fuzz`: damaged texts for every parser, and which of them it did not stand.
 *
 * `--cases N` for each parser, and `--seconds N` at most; `--only PATTERN`; `--seed N`, else drawn anew.
 */

import { parseArgs } from "@std/cli/parse-args";
import { LONGEST_LINE_MS } from "./fuzz_parser.ts";
import { PARSERS } from "./parsers.ts";
import type { FuzzReport } from "./worker.ts";

interface Options {
  readonly cases: number;
  /** For each parser; `undefined`: as long as its cases take. */
  readonly seconds: number | undefined;
  readonly only: RegExp;
  readonly seed: number | undefined;
}

function readOptions(words: string[]): Options {
  const given = parseArgs(words, {
    string: ["cases", "seconds", "only", "seed"],
    unknown: (word) => {
      throw new Error(`Cannot read "${word}": no such option`);
    },
  });
  const cases = Number(given["cases"] ?? 100_000);
  if (!Number.isInteger(cases) || cases < 1) throw new Error("Cannot read --cases: not a number");
  const seconds = given["seconds"] === undefined ? undefined : Number(given["seconds"]);
  if (seconds !== undefined && !(seconds > 0)) {
    throw new Error("Cannot read --seconds: not a number");
  }
  const seed = given["seed"] === undefined ? undefined : Number(given["seed"]);
  return { cases, seconds, only: new RegExp(String(given["only"] ?? "")), seed };
}

async function runAll(options: Options, onResult: (result: FuzzReport) => void): Promise<void> {
  const names = PARSERS.map(({ name }) => name).filter((name) => options.only.test(name));
  const play = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      const give = () => {
        const name = names.shift();
        if (name === undefined) return resolve();
        const { cases, seconds, seed } = options;
        worker.postMessage({ name, cases, seconds, seed });
      };
      worker.onmessage = ({ data }: MessageEvent<FuzzReport>) => {
        onResult(data);
        give();
      };
      worker.onerror = (event) => reject(new Error(event.message));
      give();
    });
  const workers = Array.from(
    { length: Math.min(navigator.hardwareConcurrency, names.length) },
    () => new Worker(new URL("worker.ts", import.meta.url), { type: "module" }),
  );
  try {
    await Promise.all(workers.map(play));
  } finally {
    workers.forEach((worker) => worker.terminate());
  }
}

async function main(words: string[]): Promise<number> {
  let failed = 0;
  await runAll(readOptions(words), ({ name, cases, failure, tookMs, longestLineMs }) => {
    const isSlow = longestLineMs > LONGEST_LINE_MS;
    if (failure !== null || isSlow) failed += 1;
    console.log(
      `${name.padEnd(20)} ${cases} cases in ${(tookMs / 1_000).toFixed(1)} s, 10 MB in a line: ` +
        `${longestLineMs.toFixed(0)} ms at most${isSlow ? ", TOO LONG" : ""}`,
    );
    if (failure !== null) console.log(`  FAILED ${failure}`);
  });
  console.log(failed === 0 ? "Every parser stood it." : `${failed} parsers did not stand it.`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`fuzz: ${error instanceof Error ? error.message : error}`);
    Deno.exit(2);
  }
}
