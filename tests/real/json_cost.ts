/** Reads one of the worst answers in a new process, and prints the CPU time and memory it took. */

import { readCheckIn } from "../../src/server/check_in_answer.ts";
import { readAnyObject } from "../../src/server/protocol.ts";

const MIB = 1_048_576;

/** Repeats a piece up to 4 MiB, less the text around it, and ends with a value. */
const fill = (piece: string) => piece.repeat(Math.floor((4 * MIB - 200) / piece.length)) + "1";
const nest = (open: string, close: string, depth: number) =>
  open.repeat(depth) + 1 + close.repeat(depth);
const many = (count: number, make: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => make(at)).join();
const list = (commands: string) => `{"commands":[${commands}]}`;
const acknowledged = (ids: string) => `{"commands":[],"acknowledged_ids":[${ids}]}`;
const command = (params: string, at = 0) => `{"id":"c${at}","type":"t","params":${params}}`;

/** Answers by name: the function that reads each, and its text. */
export const KINDS: Readonly<Record<string, readonly [typeof readAnyObject, () => string]>> = {
  "brackets alone": [readCheckIn, () => "[".repeat(4 * MIB)],
  "one command that is a deep list": [readCheckIn, () => list(nest("[", "]", 2 * MIB - 50))],
  "a million empty lists": [readCheckIn, () => list(fill("[],"))],
  "two million numbers": [readCheckIn, () => list(fill("1,"))],
  "commands without end": [readCheckIn, () => list(fill('{"id":"a"},'))],
  "200 large commands": [
    readCheckIn,
    () => list(many(200, (at) => command(`{"a":"${"x".repeat(20_000)}"}`, at))),
  ],
  "deep params": [readCheckIn, () => list(command(nest('{"a":', "}", 690_000)))],
  "params that are one text": [readCheckIn, () => list(command(`{"a":"${fill("x")}"}`))],
  "params of escapes": [readCheckIn, () => list(command(`{"a":"${fill('\\"')}"}`))],
  "params of numbers": [readCheckIn, () => list(command(`{"a":[${fill("1e308,")}]}`))],
  "a number of 4 million digits": [readCheckIn, () => list(command(`{"a":${fill("1")}}`))],
  "100,000 acknowledged ids": [
    readCheckIn,
    () => acknowledged(fill('"3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",')),
  ],
  "two million acknowledged numbers": [readCheckIn, () => acknowledged(fill("1,"))],
  "members without end": [readCheckIn, () => `{"commands":[],${fill('"a":1,').slice(0, -2)}}`],
  "another answer of brackets": [readAnyObject, () => "[".repeat(4 * MIB)],
  "keys that are long": [
    readAnyObject,
    () => `{${many(4_999, (at) => `"k${at}${"x".repeat(195)}":1`)}}`,
  ],
  "keys with escapes": [
    readAnyObject,
    () => `{${many(4_999, (at) => `"k${at}${"\\n".repeat(95)}":1`)}}`,
  ],
  "a shape per object": [readAnyObject, () => `{"a":[${many(3_332, (at) => `{"k${at}":1}`)}]}`],
  "texts whose hashes collide": [
    readAnyObject,
    () => `{"a":[${many(9_997, (at) => `"${at % 152 * 65_536 + Math.floor(at / 152)}"`)}]}`,
  ],
};

/** CPU time of this process, in ms; Linux only. */
function processorMs(): number {
  return Number(Deno.readTextFileSync("/proc/self/schedstat").split(" ")[0]) / 1e6;
}

if (import.meta.main) {
  const [read, text] = KINDS[Deno.args[0] ?? ""] ?? [];
  if (read === undefined || text === undefined) throw new Error("Cannot read: no such answer");
  // A flat string, as a decoded answer is.
  const body = new TextDecoder().decode(new TextEncoder().encode(text()));
  (globalThis as { gc?: () => void }).gc?.();
  const before = Deno.memoryUsage().rss;
  const startMs = processorMs();
  const answer = read(body);
  const tookMs = processorMs() - startMs;
  const tookBytes = Deno.memoryUsage().rss - before;
  console.log(JSON.stringify({ length: body.length, tookMs, tookBytes, ok: answer.ok }));
}
