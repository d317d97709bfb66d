/**
 * Reads one of the worst answers in a new process, and prints the CPU time and memory that it took from
 * the last bytes that came to the result.
 */

import { readAnswer, type ReadBody } from "../../src/server/answer.ts";
import { readCheckIn } from "../../src/server/check_in_answer.ts";
import { readAnyObject } from "../../src/server/protocol.ts";
import { AnswerReader } from "../../src/system/real/http/answer.ts";
import { LONGEST_INPUT_BYTES } from "../../src/system/real/http/parser.ts";

const MIB = 1_048_576;

/** Repeats a piece up to 4 MiB, less the text around it, and ends with a value. */
const fill = (piece: string) => piece.repeat(Math.floor((4 * MIB - 200) / sizeBytes(piece))) + "1";
const sizeBytes = (text: string) => new TextEncoder().encode(text).length;
const nest = (open: string, close: string, depth: number) =>
  open.repeat(depth) + 1 + close.repeat(depth);
const many = (count: number, make: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => make(at)).join();
const list = (commands: string) => `{"commands":[${commands}]}`;
const acknowledged = (ids: string) => `{"commands":[],"acknowledged_ids":[${ids}]}`;
const command = (params: string, at = 0) => `{"id":"c${at}","type":"t","params":${params}}`;

/** A refusal whose words are about a million UTF-16 units. */
const refusal = (unit: string) => `{"error":"${unit.repeat(1_000_000 / unit.length)}"}`;
const readRefusal: ReadBody<unknown> = (body) => {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const value = readAnswer({ status: 500, headers: {}, body: bytes }, readAnyObject, 0);
  return { ok: true, value };
};

/** A text, and one byte up to a length. */
function within(start: string, byte: number, length = 4 * MIB): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length).fill(byte);
  bytes.set(new TextEncoder().encode(start));
  bytes.set(new TextEncoder().encode('"}'), length - 2);
  return bytes;
}

/** Answers by name: the function that reads each, and its text. */
type Kind = readonly [read: ReadBody<unknown>, body: () => string | Uint8Array<ArrayBuffer>];

export const KINDS: Readonly<Record<string, Kind>> = {
  "bytes that are no UTF-8": [readCheckIn, () => new Uint8Array(4 * MIB).fill(0xff)],
  "a text that is no UTF-8": [readCheckIn, () => within('{"commands":"', 0xff)],
  "another text that is no UTF-8": [readAnyObject, () => within('{"a":"', 0xff, MIB)],
  "characters of two bytes": [readCheckIn, () => list(command(`{"a":"${fill("\u00e9")}"}`))],
  "emoji": [readCheckIn, () => list(`"${fill("\u{1f600}")}"`)],
  "texts without content": [readCheckIn, () => list(fill('"",'))],
  "a text of emoji": [readAnyObject, () => `{"a":"${"\u{1f600}".repeat(MIB / 4 - 10)}"}`],
  "a refusal of emoji": [readRefusal, () => refusal("\u{1f600}")],
  "a refusal of characters without width": [readRefusal, () => refusal("\u200b")],
  "a refusal of tags": [readRefusal, () => refusal("\u{e0041}")],
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

/** An answer of which all but the last input has been read. */
async function almostRead(body: Uint8Array): Promise<[AnswerReader, last: Uint8Array]> {
  const reader = new AnswerReader(4 * MIB);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;
  await reader.push(new TextEncoder().encode(head));
  let at = 0;
  for (; at + LONGEST_INPUT_BYTES < body.length; at += LONGEST_INPUT_BYTES) {
    await reader.push(body.subarray(at, at + LONGEST_INPUT_BYTES));
  }
  return [reader, body.subarray(at)];
}

if (import.meta.main) {
  const [read, make] = KINDS[Deno.args[0] ?? ""] ?? [];
  if (read === undefined || make === undefined) throw new Error("Cannot read: no such answer");
  const made = make();
  const bytes = typeof made === "string" ? new TextEncoder().encode(made) : made;
  const [reader, last] = await almostRead(bytes);
  (globalThis as { gc?: () => void }).gc?.();
  const before = Deno.memoryUsage().rss;
  const startMs = processorMs();
  await reader.push(last);
  const { body } = await reader.answer();
  const answer = read(body);
  const tookMs = processorMs() - startMs;
  const tookBytes = Deno.memoryUsage().rss - before;
  console.log(JSON.stringify({ length: body.length, tookMs, tookBytes, ok: answer.ok }));
}
