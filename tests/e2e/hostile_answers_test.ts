import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import { within } from "./harness.ts";
import { assertGoesOn, assertSmall, assertStops, CONFIG, withAgent } from "./hostile.ts";
import { answer, type Attack } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

/** What an endless answer writes in the end, if no one closes the connection. */
const ENDLESS_BYTES = 64 * 1_048_576;

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

function says(text: string): Attack {
  return (write) => write(text);
}

/** Writes `first` and then `unit` without end. */
function endlessly(first: string, unit: string): Attack {
  return async (write) => {
    await write(first);
    const block = unit.repeat(Math.max(1, Math.floor(32_768 / unit.length)));
    for (let sent = 0; sent < ENDLESS_BYTES; sent += block.length) await write(block);
  };
}

function body(text: string): Attack {
  return (write) => write(answer(text));
}

function gzipped(text: Uint8Array): Attack {
  const packed = new Uint8Array(gzipSync(text, { level: 9 }));
  const head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" +
    `Content-Length: ${packed.length}\r\n\r\n`;
  return async (write) => {
    await write(head);
    await write(packed);
  };
}

const MIB = 1_048_576;

/** A gzip body in chunks of 24 bytes, which are the smallest that a body may have throughout. */
function gzipInChunks(packed: Uint8Array): Attack {
  return async (write) => {
    await write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let at = 0; at < packed.length;) {
      const parts: number[] = [];
      for (const end = Math.min(packed.length, at + 24_000); at < end; at += 24) {
        const chunk = packed.subarray(at, at + 24);
        parts.push(...latin1(`${chunk.length.toString(16)}\r\n`), ...chunk, 13, 10);
      }
      await write(new Uint8Array(parts));
    }
    await write("0\r\n\r\n");
  };
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Stored blocks of DEFLATE without content: 5 bytes each, and nothing comes out. */
function emptyBlocks(count: number): Uint8Array {
  const head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
  const bytes = new Uint8Array(head.length + 5 * count + 13);
  bytes.set(head);
  for (let at = head.length; at < bytes.length - 8; at += 5) bytes.set([0, 0, 0, 0xff, 0xff], at);
  bytes[bytes.length - 13] = 1;
  return bytes;
}

/** Random bytes, as long as they may be once they are packed without compression. */
function noise(): Uint8Array {
  const bytes = new Uint8Array(4 * MIB - 1_000);
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

function refusal(text: string): Attack {
  const bytes = new TextEncoder().encode(JSON.stringify({ error: text }));
  return async (write) => {
    await write(`HTTP/1.1 500 No\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    await write(bytes);
  };
}

const ATTACKS: Readonly<Record<string, Attack>> = {
  "a chunk size of -5": says(`${CHUNKED}-5\r\nhello\r\n`),
  "a chunk size of +5, 1e3, 0x10, nothing, zz": async (write) => {
    for (const size of ["+5", "1e3", "0x10", "", "zz"]) {
      await write(`${CHUNKED}${size}\r\nhello\r\n`);
    }
  },
  "a length of -5": says("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
  "a length of 1e3": says("HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\nhello"),
  "a gzip bomb": gzipped(new Uint8Array(400 * MIB)),
  "noise in chunks of 24 bytes, packed": gzipInChunks(
    new Uint8Array(gzipSync(noise(), { level: 0 })),
  ),
  "empty blocks in chunks of 24 bytes, packed": gzipInChunks(emptyBlocks(800_000)),
  "4 MiB that are no UTF-8": async (write) => {
    await write(`HTTP/1.1 200 OK\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    await write(new Uint8Array(4 * MIB).fill(0xff));
  },
  "an error text of emoji": refusal("\u{1f600}".repeat(MIB / 2 - 10)),
  "an error text of tags": refusal("\u{e0041}".repeat(MIB / 2 - 10)),
  "4 MiB in chunks of one byte": endlessly(CHUNKED, "1\r\n[\r\n"),
  "trailers without end": endlessly(`${CHUNKED}0\r\n`, "T: 1\r\n"),
  "a chunk extension without end": endlessly(`${CHUNKED}5;`, "a"),
  "a header without end": endlessly("HTTP/1.1 200 OK\r\nX: ", "a"),
  "1xx answers without end": endlessly("", "HTTP/1.1 100 Continue\r\n\r\n"),
  "a body without end": endlessly("HTTP/1.1 200 OK\r\n\r\n", "x"),
  "two answers in one": (write) =>
    write(new Uint8Array([...answer('{"commands":[]}'), ...answer('{"commands":[')])),
  "4 MiB of [": body("[".repeat(4 * MIB)),
  "4 MiB of empty lists": body(`[${"[],".repeat(4 * MIB / 3 - 2)}[]]`),
  "a million acknowledged ids": body(
    JSON.stringify({ commands: [], acknowledged_ids: Array(1_000_000).fill("x") }).slice(
      0,
      4 * MIB,
    ),
  ),
  "400,000 acknowledged ids": body(
    JSON.stringify({ commands: [], acknowledged_ids: Array(400_000).fill("abcd") }),
  ),
  "parameters nested 20,000 deep": body(
    `{"commands":[{"id":"deep","type":"collect_specs","params":{"a":${"[".repeat(20_000)}${
      "]".repeat(20_000)
    }}}]}`,
  ),
  "headers of 70 KB": says(
    `HTTP/1.1 302 Found\r\nLocation: http://${"x".repeat(70_000)}/\r\nContent-Length: 0\r\n\r\n`,
  ),
  "an error text of 3 MiB": (write) =>
    write(
      `HTTP/1.1 500 No\r\nContent-Length: ${3 * MIB + 12}\r\n\r\n{"error":"${
        "e".repeat(3 * MIB)
      }"}`,
    ),
};

const ignore = Deno.build.os !== "linux";

for (const [name, attack] of Object.entries(ATTACKS)) {
  Deno.test({
    name: `${name}: the agent lives, stays small, takes the next good answer and stops in time`,
    ignore,
    fn: () =>
      withAgent(async (story) => {
        const { server } = story;
        server.attackNext(/\/commands$/, attack);
        await server.until("hostile answer", () => server.attacked === 1);
        await assertGoesOn(story, "after-the-attack");
        await assertSmall(story);
        await assertStops(story);
      }),
  });
}

Deno.test({
  name: "an agent that a hostile answer is just coming to stops in time, and so does register",
  ignore,
  fn: () =>
    withAgent(async (story) => {
      const slowly: Attack = async (write) => {
        await write(CHUNKED);
        for (let count = 0; count < 600; count++) {
          await write("1\r\n[\r\n");
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      story.server.attackNext(/\/commands$/, slowly);
      await story.server.until("slow answer", () => story.server.attacked === 1);
      await assertStops(story);
      story.server.attackNext(/\/register$/, says(`${CHUNKED}-5\r\nhello\r\n`));
      const folder = await Deno.makeTempDir({ prefix: "pennon-hostile-" });
      await Deno.writeTextFile(`${folder}/config.toml`, CONFIG);
      try {
        const words = ["register", "--server", story.server.url, "--token", "-"];
        const enrolment = startPennon(folder, words, { input: "a-registration-token" });
        assertEquals((await within(enrolment.ended, "enrolment")).code, 1);
        assert(enrolment.lines.some((line) => line.includes("that is not HTTP")));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }),
});
