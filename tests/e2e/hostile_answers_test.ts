import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import type { Program } from "../../tools/program.ts";
import { EXECUTABLE, within } from "./harness.ts";
import { answer, type Attack, RawServer } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

/**
 * Most that the agent may ever have had resident. From source, Deno's own compiler is in the same
 * process.
 */
const MOST_RESIDENT_MB = EXECUTABLE === undefined ? 350 : 150;

/** A program that is asked to stop has ended after this. */
const STOP_MS = 5_000;

/** What an endless answer writes in the end, if no one closes the connection. */
const ENDLESS_BYTES = 64 * 1_048_576;

const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"
[http]
timeout = "3s"
connect_timeout = "3s"
health_timeout = "3s"
[backoff]
base = "200ms"
cap = "400ms"
floor = "100ms"
[breaker]
min_open = "1s"
max_open = "1s"
[scanners]
enabled = []
`;

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

interface Story {
  readonly server: RawServer;
  readonly agent: Program;
}

async function withAgent(story: (parts: Story) => Promise<void>): Promise<void> {
  await using server = new RawServer();
  const folder = await Deno.makeTempDir({ prefix: "pennon-hostile-" });
  await Deno.writeTextFile(`${folder}/config.toml`, CONFIG);
  try {
    const words = ["register", "--server", server.url, "--token", "-"];
    const enrolment = startPennon(folder, words, { input: "a-registration-token" });
    assertEquals((await within(enrolment.ended, "enrolment")).code, 0);
    const agent = startPennon(folder, ["run", "--log-format", "json"]);
    try {
      await story({ server, agent });
    } finally {
      await agent.stop("SIGKILL");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The most that a process has ever had resident, in MB. */
async function mostResidentMb(processId: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${processId}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
}

/** The agent does what a good answer asks of it. */
async function assertGoesOn({ server }: Story, id: string): Promise<void> {
  server.commands.push({ id, type: "collect_specs", params: {} });
  const done = () =>
    server.requests.some(({ path, body }) => path.endsWith("/logs") && body.includes(`"${id}"`));
  await server.until(`log of ${id}`, done);
}

async function assertStops({ agent }: Story): Promise<void> {
  const startMs = performance.now();
  await agent.stop("SIGTERM");
  const tookMs = performance.now() - startMs;
  assert(tookMs < STOP_MS, `it took ${tookMs} ms to stop`);
}

const ignore = Deno.build.os !== "linux";

for (const [name, attack] of Object.entries(ATTACKS)) {
  Deno.test({
    name: `${name}: the agent lives, stays small, takes the next good answer and stops in time`,
    ignore,
    fn: () =>
      withAgent(async (story) => {
        const { server, agent } = story;
        server.attackNext(/\/commands$/, attack);
        await server.until("hostile answer", () => server.attacked === 1);
        await assertGoesOn(story, "after-the-attack");
        const residentMb = await mostResidentMb(agent.processId);
        assert(residentMb < MOST_RESIDENT_MB, `${residentMb} MB were resident`);
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
