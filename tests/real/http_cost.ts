/**
 * Reads one answer that is expensive to take apart, in a new process, with all of its bytes at hand.
 * Prints the longest CPU time between two turns of the event loop, and the memory it took at most.
 */

import { gzipSync } from "node:zlib";
import { AnswerReader } from "../../src/system/real/http/answer.ts";
import { LONGEST_INPUT_BYTES } from "../../src/system/real/http/parser.ts";

const MIB = 1_048_576;
const MAX_BODY_BYTES = 4 * MIB;
const CHUNK_BYTES = 24;

/** About as long as an ordinary answer. */
const SHORT_BYTES = 4_096;

/** Random bytes, which no packing makes shorter. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + 65_536)));
  }
  return bytes;
}

/** A gzip body of stored blocks without content: 5 bytes each, and nothing comes out. */
function emptyBlocks(count: number): Uint8Array<ArrayBuffer> {
  const head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
  const bytes = new Uint8Array(head.length + 5 * count + 13);
  bytes.set(head);
  for (let at = head.length; at < bytes.length - 8; at += 5) bytes.set([0, 0, 0, 0xff, 0xff], at);
  bytes[bytes.length - 13] = 1;
  return bytes;
}

function packed(bytes: Uint8Array<ArrayBuffer>, level: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes, { level }));
}

interface Body {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly isPacked: boolean;
  readonly isChunked: boolean;
}

/** Bodies by name. */
export const BODIES: Readonly<Record<string, () => Body>> = {
  "noise": () => ({ bytes: noise(4 * MIB), isPacked: false, isChunked: false }),
  "noise in small chunks": () => ({ bytes: noise(4 * MIB), isPacked: false, isChunked: true }),
  "packed noise in small chunks": () => ({
    bytes: packed(noise(4 * MIB - 1_000), 0),
    isPacked: true,
    isChunked: true,
  }),
  "empty blocks": () => ({ bytes: emptyBlocks(800_000), isPacked: true, isChunked: false }),
  "empty blocks in small chunks": () => ({
    bytes: emptyBlocks(800_000),
    isPacked: true,
    isChunked: true,
  }),
  "zeros, packed to a thousandth": () => ({
    bytes: packed(new Uint8Array(4 * MIB), 9),
    isPacked: true,
    isChunked: false,
  }),
};

/** The whole answer. */
function answerOf({ bytes, isPacked, isChunked }: Body): Uint8Array {
  const encoding = isPacked ? "Content-Encoding: gzip\r\n" : "";
  const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${bytes.length}`;
  const head = new TextEncoder().encode(`HTTP/1.1 200 OK\r\n${encoding}${framing}\r\n\r\n`);
  const answer = new Uint8Array(head.length + 2 * bytes.length + 100);
  answer.set(head);
  let length = head.length;
  const add = (part: Uint8Array) => {
    answer.set(part, length);
    length += part.length;
  };
  if (!isChunked) add(bytes);
  else {
    const size = new TextEncoder().encode(`${CHUNK_BYTES.toString(16)}\r\n`);
    const end = new TextEncoder().encode("\r\n");
    const whole = bytes.length - bytes.length % CHUNK_BYTES;
    for (let at = 0; at < whole; at += CHUNK_BYTES) {
      add(size);
      add(bytes.subarray(at, at + CHUNK_BYTES));
      add(end);
    }
    const rest = bytes.subarray(whole);
    if (rest.length > 0) {
      add(new TextEncoder().encode(`${rest.length.toString(16)}\r\n`));
      add(rest);
      add(end);
    }
    add(new TextEncoder().encode("0\r\n\r\n"));
  }
  return answer.subarray(0, length);
}

/** The body of an answer whose bytes are all there. */
async function read(answer: Uint8Array): Promise<Uint8Array> {
  const reader = new AnswerReader(MAX_BODY_BYTES);
  for (let at = 0; at < answer.length; at += LONGEST_INPUT_BYTES) {
    await reader.push(answer.subarray(at, at + LONGEST_INPUT_BYTES));
  }
  const { body } = await reader.answer();
  reader.close();
  return body;
}

/** CPU time of this process, in ms; Linux only. */
function processorMs(): number {
  return Number(Deno.readTextFileSync("/proc/self/schedstat").split(" ")[0]) / 1e6;
}

/** The most that was resident since the last reset, in bytes; Linux only. */
function peakBytes(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1_024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
}

if (import.meta.main) {
  const make = BODIES[Deno.args[0] ?? ""];
  if (make === undefined) throw new Error("Cannot read: no such body");
  const answer = answerOf(make());
  // What the first answer of all takes, such as the parser itself, is not the cost of this one.
  for (const isPacked of [false, true]) {
    for (const isChunked of [false, true]) {
      const bytes = new Uint8Array(SHORT_BYTES);
      await read(answerOf({ bytes: isPacked ? packed(bytes, 9) : bytes, isPacked, isChunked }));
    }
  }
  (globalThis as { gc?: () => void }).gc?.();
  let longestMs = 0;
  let lastMs = processorMs();
  const turn = () => {
    const nowMs = processorMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const timer = setInterval(turn, 1);
  await Deno.writeTextFile("/proc/self/clear_refs", "5");
  const before = peakBytes();
  const body = await read(answer);
  turn();
  clearInterval(timer);
  const tookBytes = peakBytes() - before;
  console.log(JSON.stringify({ length: body.length, longestMs, tookBytes }));
}
