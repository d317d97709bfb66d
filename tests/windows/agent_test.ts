import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { StandIn } from "./stand_in.ts";
import { enveloped, type HostOptions, hostTest, type WindowsHost } from "./windows_host.ts";

const TOKEN = "a-registration-token";

function agentTest(
  name: string,
  work: (host: WindowsHost, server: Refserver) => Promise<void>,
  options: HostOptions = {},
): void {
  hostTest(name, async (host) => {
    const server = await startRefserver({
      registrationTokens: [TOKEN],
      limits: { agent: 0, register: 0, public: 0 },
    });
    try {
      await work(host, server);
    } finally {
      await server.close();
    }
  }, options);
}

async function succeeds(host: WindowsHost, words: readonly string[], input = ""): Promise<string> {
  const { code, out, err } = await host.pennon(words, { input });
  assertEquals([words[0], code, code === 0 ? "" : err], [words[0], 0, ""]);
  return out;
}

async function register(host: WindowsHost, server: Refserver): Promise<void> {
  await succeeds(host, ["register", "--server", server.url, "--token", "-"], TOKEN);
}

agentTest(
  "an agent on Windows enrols, checks in, scans on command and tells",
  async (host, server) => {
    await host.powershell("stdout = out", { out: enveloped("winupdate/two.json") });
    await host.configure('[scanners]\nenabled = ["winupdate"]\n');
    await register(host, server);
    assertEquals(server.state().agents[0]?.osType, "windows");
    const id = server.queueCommand({ type: "scan_updates" });
    await succeeds(host, ["run", "--once"]);
    const state = server.state();
    assertEquals(state.logs.find((log) => log.command_id === id)?.result, "success");
    assertEquals(state.updates.map(({ package_type }) => package_type), [
      "windows_update",
      "windows_update",
    ]);
    assertStringIncludes(await succeeds(host, ["status"]), "winupdate");
  },
);

agentTest("one agent has the state folder, until it is killed", async (host, server) => {
  await register(host, server);
  const first = host.start(["run"]);
  const output = first.output();
  try {
    await until(() => server.state().requests.some(({ path }) => path.endsWith("/commands")));
    const second = await host.pennon(["run", "--once"]);
    assertEquals(second.code, 1);
    assertStringIncludes(second.err, "already runs an agent");
    const { running, process_id: processId } = JSON.parse(
      await succeeds(host, ["status", "--json"]),
    );
    assertEquals([running, processId], [true, first.pid]);
  } finally {
    first.kill("SIGKILL");
    await first.stdin.close().catch(() => {});
    await output;
  }
  // What it held went with it.
  await succeeds(host, ["run", "--once"]);
  assertEquals(JSON.parse(await succeeds(host, ["status", "--json"])).running, false);
});

/** Times so short that a test sees in seconds what takes minutes. */
const SHORT_TIMES = `
[polling]
interval = "10s"
start_spread = "0s"
[backoff]
base = "400ms"
cap = "1600ms"
floor = "100ms"
[breaker]
consecutive_failures = 3
min_open = "1s"
max_open = "2s"
[scanners]
enabled = ["winupdate"]
`;

agentTest("an outage and a kill in it lose nothing", losesNothing);

agentTest(
  "an outage and a kill lose nothing in this Windows' own ProgramData",
  async (host, server) => {
    await losesNothing(host, server);
    const names = [...Deno.readDirSync("C:\\ProgramData\\Pennon")].map(({ name }) => name).sort();
    assertEquals(names, ["State", "config.toml"]);
    const state = [...Deno.readDirSync("C:\\ProgramData\\Pennon\\State")].map(({ name }) => name);
    assertEquals(["identity.json", "buffer.sqlite"].filter((name) => !state.includes(name)), []);
  },
  { isShared: true },
);

async function losesNothing(host: WindowsHost, server: Refserver): Promise<void> {
  await host.configure(SHORT_TIMES);
  await register(host, server);
  const reports = (id: string) => server.state().logs.filter((log) => log.command_id === id).length;
  await server.setFault({ mode: "reset", path: "/logs$" });
  const id = server.queueCommand({ type: "collect_specs" });
  await whileRunning(host, async () => {
    await until(() => server.state().requests.some(({ path }) => path.endsWith("/logs")));
    await server.setFault({ mode: "reset" });
    const status = async () => JSON.parse(await succeeds(host, ["status", "--json"]));
    while ((await status()).connection.breaker === "closed") await until(() => true);
    assertEquals([reports(id), (await status()).buffer.pending >= 1], [0, true]);
  });
  const state = [...Deno.readDirSync(`${host.programData}\\State`)];
  assertEquals(state.some(({ name }) => name === "buffer.sqlite"), true);
  await whileRunning(host, async () => {
    await server.setFault({ mode: "none" });
    await until(() => reports(id) > 0);
  });
  await succeeds(host, ["run", "--once"]);
  assertEquals([reports(id), server.state().violations], [1, []]);
}

agentTest(
  "errors go to the Event Log by a played eventcreate, which Wine does not have",
  async (host, server) => {
    const eventcreate = await host.eventcreate("exit = 0");
    await host.configure(SHORT_TIMES);
    await register(host, server);
    // Only an operator can help then.
    await server.setFault({ mode: "status", status: 403 });
    await whileRunning(host, () => recorded(eventcreate), ["--event-log"]);
    const [{ argv } = { argv: [] }] = await eventcreate.runs();
    assertEquals(
      argv.slice(1, -1),
      ["/l", "APPLICATION", "/so", "Pennon", "/t", "ERROR"]
        .concat("/id", "1", "/d"),
    );
    assertMatch(
      argv.at(-1) ?? "",
      /^operator action required \(connection\.operator_required\); cause: /,
    );
  },
);

agentTest(
  "a hook is an .exe of the administrators', with its arguments and facts",
  async (host, server) => {
    const folder = `${host.folder}\\ProgramData\\Pennon\\hooks`;
    const hook = await StandIn.make(folder, "on_outage.exe", "exit = 0");
    await host.configure(
      `${SHORT_TIMES}[hooks]\non_outage = true\noutage_after = "1s"\n` +
        'on_outage_arguments = ["--page", "a \\"b\\" %PATH%"]\n',
    );
    await register(host, server);
    await server.setFault({ mode: "reset" });
    await whileRunning(host, () => recorded(hook));
    const [run] = await hook.runs();
    assertEquals(run?.argv.slice(1), ["--page", 'a "b" %PATH%']);
    assertEquals(run?.environment.includes("PENNON_EVENT=outage_began"), true);
  },
);

/** Runs the agent for as long as `work` takes, and kills it. */
async function whileRunning(
  host: WindowsHost,
  work: () => Promise<void>,
  options: readonly string[] = [],
): Promise<void> {
  const agent = host.start(["run", ...options]);
  const output = agent.output();
  try {
    await work();
  } finally {
    agent.kill("SIGKILL");
    await agent.stdin.close().catch(() => {});
    await output;
  }
}

/** Waits, bounded, for another process. */
async function until(isReached: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    if (isReached()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("Cannot wait longer");
}

/** Waits, bounded, until a played program was run. */
async function recorded(program: StandIn): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    if ((await program.runs()).length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Cannot wait longer for a program");
}
