/**
 * Measures what it costs to take the most expensive answers apart, with the V8 flags of the
 * executable, each in a new process.
 */

import { assert } from "@std/assert";
import { script } from "../../tools/program.ts";
import { V8_FLAGS } from "../../tools/build/v8_flags.ts";
import { BODIES } from "./http_cost.ts";

/** Longest time without a turn of the event loop, in ms of CPU time. */
const LONGEST_MS = 50;

/** Four times the longest body. */
const MOST_BYTES = 4 * 4_194_304;

/** Other load on the machine can slow a run down. */
const TRIES = 5;

async function measure(kind: string): Promise<{ longestMs: number; tookBytes: number }> {
  const [program, run, ...rest] = script("tests/real/http_cost.ts", kind);
  const args = [run ?? "", `${V8_FLAGS},--expose-gc`, ...rest];
  const { stdout } = await new Deno.Command(program, { args, stderr: "inherit" }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const kind of Object.keys(BODIES)) {
  Deno.test({
    name: `reading a body of ${kind} blocks for at most ${LONGEST_MS} ms and takes at most 16 MiB`,
    // The measurement reads /proc/self.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const tries: string[] = [];
      for (let count = 0; count < TRIES; count++) {
        const { longestMs, tookBytes } = await measure(kind);
        if (longestMs <= LONGEST_MS && tookBytes <= MOST_BYTES) return;
        tries.push(`${longestMs} ms, ${tookBytes} bytes`);
      }
      assert(false, tries.join("; "));
    },
  });
}
