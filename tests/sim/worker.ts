/** A worker of `main.ts`: plays the seeds that it is given, one after the other. */

/// <reference lib="deno.worker" />

import { type AgeChoice, runSeed } from "./run_seed.ts";

interface Played {
  readonly seed: number;
  readonly days: number;
  readonly age: AgeChoice;
}

self.onmessage = async ({ data }: MessageEvent<Played>) => {
  self.postMessage(await runSeed(data.seed, data.days, data.age));
};
