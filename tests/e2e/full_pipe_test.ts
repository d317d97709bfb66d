/** stdout and stderr are a full pipe that nobody reads: each print blocks its thread for ever. */

import { assert, assertEquals } from "@std/assert";
import { Program } from "../../tools/program.ts";
import { lacks } from "../real/lacks.ts";
import { within } from "./harness.ts";
import { pause } from "./outage.ts";
import { RawServer } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

/** The watchdog's, where it is what ends the agent. */
const LIMIT_S = 5;

const CONFIG = `
[polling]
start_spread = "0s"
[scanners]
enabled = []
[watchdog]
`;

/** Fills a pipe, makes it both outputs, keeps its reading end open, and becomes another program. */
const FILL_PIPE = `
import os, sys
reader, writer = os.pipe()
os.set_inheritable(reader, True)
os.set_blocking(writer, False)
try:
    while True: os.write(writer, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(writer, True)
os.dup2(writer, 1)
os.dup2(writer, 2)
os.execv(sys.argv[1], sys.argv[1:])
`;

const INTO_FULL_PIPE = ["python3", "-c", FILL_PIPE] as const;

/** Waits until one of the program's threads is in the middle of a write to a pipe. */
async function untilBlocked({ processId }: Program): Promise<void> {
  const wait = (async () => {
    while (!isBlocked(`/proc/${processId}/task`)) await pause(50);
  })();
  await within(wait, "program that is blocked on its output");
}

/** `wchan` has the kernel's function in which a thread waits. */
function isBlocked(threads: string): boolean {
  return [...Deno.readDirSync(threads)].some(({ name }) => {
    try {
      return Deno.readTextFileSync(`${threads}/${name}/wchan`).endsWith("pipe_write");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false; // It has just ended.
      throw error;
    }
  });
}

interface Story {
  readonly server: RawServer;
  readonly run: () => Program;
  readonly intoFullPipe: (...words: string[]) => Program;
}

async function onEnrolledHost(
  watchdogLimitS: number,
  story: (parts: Story) => Promise<void>,
): Promise<void> {
  await using server = new RawServer();
  const folder = await Deno.makeTempDir({ prefix: "pennon-pipe-" });
  await Deno.writeTextFile(`${folder}/config.toml`, `${CONFIG}limit = "${watchdogLimitS}s"\n`);
  const programs: Program[] = [];
  const start = (...[words, options]: [string[], Parameters<typeof startPennon>[2]?]) => {
    const program = startPennon(folder, words, options);
    programs.push(program);
    return program;
  };
  try {
    const words = ["register", "--server", server.url, "--token", "-"];
    const enrolment = start(words, { input: "a-registration-token" });
    assertEquals((await within(enrolment.ended, "enrolment")).code, 0);
    await story({
      server,
      run: () => start(["run"]),
      intoFullPipe: (...words) => start(words, { wrap: INTO_FULL_PIPE }),
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop("SIGKILL")));
    await Deno.remove(folder, { recursive: true });
  }
}

async function endOf(program: Program): Promise<{ tookS: number; code: number }> {
  const startMs = performance.now();
  const { code } = await within(program.ended, "end of the program");
  return { tookS: (performance.now() - startMs) / 1_000, code };
}

const isReady = Deno.build.os === "linux" && !await lacks("python3");
const missing = isReady ? "" : " (lacks Linux with python3)";

Deno.test({
  name: `SIGTERM ends an agent that is blocked on a full pipe within 5 s${missing}`,
  ignore: !isReady,
  fn: () =>
    onEnrolledHost(120, async ({ intoFullPipe }) => {
      const agent = intoFullPipe("run");
      await untilBlocked(agent);
      Deno.kill(agent.processId, "SIGTERM");
      const { tookS, code } = await endOf(agent);
      assertEquals(code, 143);
      assert(tookS < 5, `${tookS} s`);
    }),
});

Deno.test({
  name: `SIGINT and SIGTERM end a command that is blocked on a full pipe within 5 s${missing}`,
  ignore: !isReady,
  fn: () =>
    onEnrolledHost(120, async ({ intoFullPipe }) => {
      const commands = [["status"], ["version"], ["config", "show"], ["no-such-command"]];
      await Promise.all(commands.map(async (words, index) => {
        const command = intoFullPipe(...words);
        await untilBlocked(command);
        Deno.kill(command.processId, index % 2 === 0 ? "SIGINT" : "SIGTERM");
        const { tookS, code } = await endOf(command);
        assertEquals(code, index % 2 === 0 ? 130 : 143);
        assert(tookS < 5, `${words} took ${tookS} s`);
      }));
    }),
});

Deno.test({
  name:
    `the watchdog ends an agent that is blocked on a full pipe, and the next start goes on${missing}`,
  ignore: !isReady,
  fn: () =>
    onEnrolledHost(LIMIT_S, async ({ server, run, intoFullPipe }) => {
      const { tookS, code } = await endOf(intoFullPipe("run"));
      assertEquals(code, 1);
      assert(tookS >= LIMIT_S * 0.9 && tookS < LIMIT_S + 5, `${tookS} s`);
      assertEquals(server.count(/\/commands$/), 0);
      run();
      await server.until("check-in", () => server.count(/\/commands$/) > 0);
    }),
});
