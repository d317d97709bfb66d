import { assert, assertEquals, assertMatch } from "@std/assert";
import { Program } from "../../tools/program.ts";
import { lacks } from "../real/lacks.ts";
import { within } from "./harness.ts";
import { pause } from "./outage.ts";
import { RawServer } from "./raw_server.ts";
import { startPennon } from "./server_process.ts";

const LIMIT_S = 5;

const CONFIG = `
[watchdog]
limit = "${LIMIT_S}s"
[polling]
interval = "10s"
start_spread = "0s"
[scanners]
enabled = []
`;

/**
 * Holds one thread of a process as a debugger does (ptrace(2), PTRACE_ATTACH = 16; waitpid(2),
 * __WALL), the others go on: to them the event loop of that thread no longer turns.
 */
const HOLD_THREAD = `
import ctypes, os, sys
process, name = sys.argv[1:3]
for thread in os.listdir(f"/proc/{process}/task"):
    with open(f"/proc/{process}/task/{thread}/comm") as file:
        if thread == process or not file.read().startswith(name): continue
    if ctypes.CDLL(None).ptrace(16, int(thread), 0, 0) != 0: sys.exit("ptrace refused")
    os.waitpid(int(thread), 0x40000000)
    print("held", flush=True)
    os.waitpid(int(thread), 0x40000000)  # Its end: a traced thread is there until it is reaped.
    sys.exit(0)
sys.exit("no such thread")
`;

/** Deno names the thread of a worker after its number; there is one. */
const WORKER_THREAD = "worker-";

interface Story {
  readonly server: RawServer;
  readonly agent: Program;
  readonly hold: () => Promise<Program>;
  readonly startAgain: () => Program;
}

async function withAgent(story: (parts: Story) => Promise<void>): Promise<void> {
  await using server = new RawServer();
  const folder = await Deno.makeTempDir({ prefix: "pennon-watchdog-" });
  await Deno.writeTextFile(`${folder}/config.toml`, CONFIG);
  const programs: Program[] = [];
  const start = (words: readonly string[], input = "") => {
    const program = startPennon(folder, words, { input });
    programs.push(program);
    return program;
  };
  try {
    const words = ["register", "--server", server.url, "--token", "-"];
    const enrolment = start(words, "a-registration-token");
    assertEquals((await within(enrolment.ended, "enrolment")).code, 0);
    const agent = start(["run"]);
    await server.until("check-in", () => server.count(/\/commands$/) === 1);
    await story({
      server,
      agent,
      startAgain: () => start(["run"]),
      async hold() {
        const argv = ["-c", HOLD_THREAD, String(agent.processId), WORKER_THREAD];
        const holder = new Program({ argv: ["python3", ...argv] });
        programs.push(holder);
        await holder.waitFor("hold on the thread", (line) => line === "held");
        return holder;
      },
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop("SIGKILL")));
    await Deno.remove(folder, { recursive: true });
  }
}

const isLinux = Deno.build.os === "linux";
const isReady = isLinux && !await lacks("python3");
const missing = isReady ? "" : " (lacks Linux with python3)";

Deno.test({
  name: `an event loop that stands still ends the process, and the next start goes on${missing}`,
  ignore: !isReady,
  fn: () =>
    withAgent(async ({ server, agent, hold, startAgain }) => {
      server.commands.push({ id: "before", type: "collect_specs", params: {} });
      await server.until("log", () => server.requests.some(({ body }) => body.includes("before")));
      await hold();
      const startMs = performance.now();
      const { code } = await within(agent.ended, "end of the agent");
      const tookS = (performance.now() - startMs) / 1_000;
      assertEquals(code, 1);
      assert(tookS >= LIMIT_S * 0.9, `it ended after ${tookS} s already`);
      assertMatch(
        agent.lines.at(-1) ?? "",
        /^\S+ ERROR event loop blocked, ending to be started again blocked_s=5$/,
      );
      const known = server.count(/\/commands$/);
      startAgain();
      server.commands.push({ id: "after", type: "collect_specs", params: {} });
      await server.until("check-in", () => server.count(/\/commands$/) > known);
      await server.until("log", () => server.requests.some(({ body }) => body.includes("after")));
    }),
});

Deno.test({
  name: `SIGTERM ends a process whose event loop stands still within 5 s${missing}`,
  ignore: !isReady,
  fn: () =>
    withAgent(async ({ agent, hold }) => {
      await hold();
      const startMs = performance.now();
      await agent.stop("SIGTERM");
      assert(performance.now() - startMs < 5_000);
    }),
});

Deno.test({
  name: "a process that was stopped for longer than the limit goes on",
  ignore: !isLinux,
  fn: () =>
    withAgent(async ({ server, agent }) => {
      Deno.kill(agent.processId, "SIGSTOP");
      await pause((LIMIT_S + 2) * 1_000);
      Deno.kill(agent.processId, "SIGCONT");
      const known = server.count(/\/commands$/);
      await server.until("check-in", () => server.count(/\/commands$/) > known);
    }),
});
