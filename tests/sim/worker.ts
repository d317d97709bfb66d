/** A worker of `main.ts`: plays the seeds that it is given, one after the other. */

/// <reference lib="deno.worker" />

import { runSeed } from "./run_seed.ts";

self.onmessage = async ({ data }: MessageEvent<{ seed: number; days: number }>) => {
  self.postMessage(await runSeed(data.seed, data.days));
};
