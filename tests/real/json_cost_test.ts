/**
 * Measures the cost of reading the worst answers with the V8 flags of the executable, each in a new
 * process, since the first run, before optimization, is the slowest.
 */

import { assert } from "@std/assert";
import { script } from "../../tools/program.ts";
import { V8_FLAGS } from "../../tools/build/v8_flags.ts";
import { KINDS } from "./json_cost.ts";

/** Longest synchronous stretch, in ms of CPU time. */
const LONGEST_MS = 50;

/** Four times the longest answer, plus what the first answer of any length takes. */
const MOST_BYTES = 4 * 4_194_304 + 2_097_152;

/** Other load on the machine can slow a run down. */
const TRIES = 5;

async function measure(kind: string): Promise<{ tookMs: number; tookBytes: number }> {
  const [program, run, ...rest] = script("tests/real/json_cost.ts", kind);
  const args = [run ?? "", `${V8_FLAGS},--expose-gc`, ...rest];
  const { stdout } = await new Deno.Command(program, { args, stderr: "inherit" }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const kind of Object.keys(KINDS)) {
  Deno.test({
    name: `reading an answer of ${kind} takes at most ${LONGEST_MS} ms and 18 MiB`,
    // The measurement reads /proc/self/schedstat.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const tries: string[] = [];
      for (let count = 0; count < TRIES; count++) {
        const { tookMs, tookBytes } = await measure(kind);
        if (tookMs <= LONGEST_MS && tookBytes <= MOST_BYTES) return;
        tries.push(`${tookMs} ms, ${tookBytes} bytes`);
      }
      assert(false, tries.join("; "));
    },
  });
}
