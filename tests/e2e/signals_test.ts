/** Whenever a signal comes and whatever a command is doing, it ends: no signal is swallowed. */

import { assert, assertEquals } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import { EXECUTABLE, within } from "./harness.ts";
import { pause } from "./outage.ts";
import { RawServer } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

const CONFIG = `
[polling]
start_spread = "0s"
[scanners]
enabled = []
`;

/** After the start; from source a start takes longer, and says less. */
const INSTANTS_MS = EXECUTABLE === undefined
  ? Array.from({ length: 11 }, (_, n) => n * 100)
  : Array.from({ length: 41 }, (_, n) => n * 10);

/** So many at a time. */
const AT_ONCE = 4;

const isWindows = Deno.build.os === "windows";

/** `words` of a command; `code` of one that ends in time by itself, where another than a signal's is right. */
interface Case {
  readonly name: string;
  readonly words: readonly string[];
  readonly isEnrolled: boolean;
  /** Where a request of the command hangs. */
  readonly hangsAt?: RegExp;
  /** The codes that are right besides the signal's own. */
  readonly codes: readonly number[];
}

const CASES: readonly Case[] = [
  { name: "run", words: ["run"], isEnrolled: true, codes: [0] },
  { name: "run --once", words: ["run", "--once"], isEnrolled: true, codes: [0] },
  {
    name: "register, with a silent server",
    words: ["register", "--token", "a-token", "--server"],
    isEnrolled: false,
    hangsAt: /register$/,
    codes: [],
  },
  {
    name: "register, waiting for stdin",
    words: ["register", "--token", "-", "--server"],
    isEnrolled: false,
    codes: [],
  },
  {
    name: "unregister, with a silent server",
    words: ["unregister"],
    isEnrolled: true,
    hangsAt: /agents\/[^/]+$/,
    codes: [],
  },
  { name: "scan", words: ["scan"], isEnrolled: false, codes: [0, 1] },
  { name: "status --watch", words: ["status", "--watch"], isEnrolled: true, codes: [0] },
  { name: "config show", words: ["config", "show"], isEnrolled: false, codes: [0] },
];

/** A command on a folder and with a server of its own; `story` gets it when it has been started. */
async function withCommand(
  { words, isEnrolled, hangsAt }: Case,
  story: (command: Program, server: RawServer) => Promise<void>,
): Promise<void> {
  await using server = new RawServer();
  const folder = await Deno.makeTempDir({ prefix: "pennon-signals-" });
  await Deno.writeTextFile(`${folder}/config.toml`, CONFIG);
  if (isEnrolled) await enrol(folder, server.url);
  const { promise: over, resolve } = Promise.withResolvers<void>();
  if (hangsAt) server.attackNext(hangsAt, () => over);
  const whole = words.at(-1) === "--server" ? [...words, server.url] : words;
  const command = startPennon(folder, whole, { input: null });
  try {
    await story(command, server);
  } finally {
    resolve();
    await command.stop("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
}

/** As `register` leaves it. */
async function enrol(folder: string, serverUrl: string): Promise<void> {
  await Deno.mkdir(`${folder}/state`, { mode: 0o700 });
  const identity = {
    schema: "pennon.identity/1",
    agent_id: "raw-agent",
    server_url: serverUrl,
    access_token: "a-token",
    refresh_token: "a-refresh-token",
    interval_ms: null,
    registered_ms: 0,
  };
  await Deno.writeTextFile(`${folder}/state/identity.json`, JSON.stringify(identity), {
    mode: 0o600,
  });
}

async function assertEnds(
  command: Program,
  signal: "SIGINT" | "SIGTERM",
  given: Case,
  when: string,
) {
  const startMs = performance.now();
  try {
    Deno.kill(command.processId, signal);
  } catch {
    // It has ended by itself.
  }
  const { code } = await within(command.ended, `end of ${given.name}, ${signal} ${when}`);
  const tookS = (performance.now() - startMs) / 1_000;
  const codes = [signal === "SIGINT" ? 130 : 143, ...given.codes];
  assert(codes.includes(code), `${given.name}, ${signal} ${when}: ended with ${code}`);
  assert(tookS < 4, `${given.name}, ${signal} ${when}: ended after ${tookS} s`);
}

for (const given of CASES) {
  Deno.test({
    name: `a signal at any instant of its start ends ${given.name}`,
    ignore: isWindows,
    async fn() {
      const instants = INSTANTS_MS.entries();
      async function goOn() {
        for (const [index, ms] of instants) {
          const signal = index % 2 === 0 ? "SIGTERM" : "SIGINT";
          await withCommand(given, async (command) => {
            await pause(ms);
            await assertEnds(command, signal, given, `after ${ms} ms`);
          });
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, goOn));
    },
  });
}

for (const given of CASES.filter(({ hangsAt }) => hangsAt)) {
  Deno.test({
    name: `a signal at once ends ${given.name}`,
    ignore: isWindows,
    async fn() {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        await withCommand(given, async (command, server) => {
          await server.until("request", () => server.attacked > 0);
          const startMs = performance.now();
          await assertEnds(command, signal, given, "in the request");
          assert(performance.now() - startMs < 1_000);
        });
      }
    },
  });
}

for (const [signal, code] of [["SIGTERM", 0], ["SIGHUP", 129]] as const) {
  Deno.test({
    name: `${signal} ends an agent whose server is silent within 5 s, and it has stopped by itself`,
    ignore: isWindows,
    fn: () => assertDrains(signal, code),
  });
}

async function assertDrains(signal: "SIGTERM" | "SIGHUP", expected: number): Promise<void> {
  const given = {
    name: "run",
    words: ["run"],
    isEnrolled: true,
    hangsAt: /commands$/,
    codes: [],
  };
  await withCommand(given, async (command, server) => {
    await server.until("request", () => server.attacked > 0);
    const startMs = performance.now();
    Deno.kill(command.processId, signal);
    const { code } = await within(command.ended, "end of the agent");
    const tookS = (performance.now() - startMs) / 1_000;
    assertEquals(code, expected);
    assert(tookS > 3.9 && tookS < 5, `${tookS} s`);
  });
}
