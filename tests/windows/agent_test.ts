import { assertEquals, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { enveloped, hostTest, type WindowsHost } from "./windows_host.ts";

const TOKEN = "a-registration-token";

function agentTest(
  name: string,
  work: (host: WindowsHost, server: Refserver) => Promise<void>,
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
  });
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

/** Waits, bounded, for another process. */
async function until(isReached: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    if (isReached()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("Cannot wait longer");
}
