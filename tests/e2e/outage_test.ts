import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Authority, type Certificate } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";
import { onHost, restartRefserver, TOKEN, within } from "./harness.ts";
import { NetworkNamespace } from "./netns.ts";
import {
  assertAllDelivered,
  assertNothingLost,
  failedAttempts,
  holdUpResult,
  isReportHeldUp,
  mostAttempts,
  OUTAGE_CONFIG,
  pause,
  runRapidly,
  timesBegun,
} from "./outage.ts";
import { ServerProcess, startPennon } from "./server_process.ts";

/** The outage itself. */
const OUTAGE_MS = 5_000;

/** The longest wait, an attempt that came to nothing, and time for a busy machine. */
const SOON_BACK_MS = 1_600 + 2 * 1_000 + 2_000;

/** Health, a check-in, two reports, and then a check-in a second. */
const MOST_AT_RETURN = 12;

/** Whether this host gives no network namespace: that takes root, and iproute2. */
async function cannotMakeNamespace(): Promise<boolean> {
  await using space = await NetworkNamespace.make();
  return space === null;
}

const CUTS = [
  { end: "host", what: "the server's side", isOwn: false },
  { end: "inside", what: "the agent's own side", isOwn: true },
] as const;

for (const { end, what, isOwn } of CUTS) {
  Deno.test({
    name: `a link cut on ${what}: it tries seldom, recovers and has lost nothing`,
    ignore: await cannotMakeNamespace(),
  }, async () => {
    await using space = await NetworkNamespace.make();
    assert(space !== null);
    await onHost(async (host) => {
      await host.register();
      const agent = await runRapidly(host, { wrap: space.wrap });
      const id = await holdUpResult(host);
      await space.setLink(end, "down");
      await host.server.setFault({ mode: "none" });
      host.server.resetRequests();
      await pause(OUTAGE_MS);
      assertEquals(host.server.state().requests, [], "requests came over a link that is cut");
      const failed = failedAttempts(agent);
      assert(failed.length >= 3 && failed.length <= mostAttempts(OUTAGE_MS), `${failed.length}`);
      if (isOwn) {
        const local = failed.find(({ offline }) => offline === true);
        assertStringIncludes(String(local?.["why"]), "no route to it");
      }

      await space.setLink(end, "up");
      const upMs = performance.now();
      await host.until("report", () => host.logOf(id) !== undefined);
      const backInMs = performance.now() - upMs;
      assert(backInMs <= SOON_BACK_MS, `back only after ${backInMs} ms`);
      await agent.waitFor("a recovery", (line) => line.includes("connection recovered"));
      await pause(1_000); // Whatever it might want to catch up on.
      const { requests } = host.server.state();
      assert(requests.length <= MOST_AT_RETURN, requests.map(({ path }) => path).join(" "));
      assertEquals(timesBegun(agent, id), 1);
      await assertNothingLost(host, agent);
    }, { hostname: space.hostAddress });
  });
}

Deno.test({
  name: "a server that takes connections and never answers: it gives up, opens, and recovers",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using server = await ServerProcess.start();
    const folder = await Deno.makeTempDir({ prefix: "pennon-e2e-" });
    await Deno.writeTextFile(`${folder}/config.toml`, OUTAGE_CONFIG);
    const register = ["register", "--server", server.url, "--token", "-"];
    await within(startPennon(folder, register, { input: TOKEN }).ended, "the registration");
    await server.ask("commands", { type: "enable_heartbeat", params: { duration_minutes: 10 } });
    const agent = startPennon(folder, ["run", "--log-format", "json", "--log-level", "debug"]);
    try {
      await server.until("host facts", ({ systemInfo }) => systemInfo.length > 0);
      await server.ask("fault", { mode: "hang", path: "/logs$" });
      const { id } = await server.ask("commands", { type: "collect_specs" });
      const before = await server.until("report that hangs", isReportHeldUp);
      server.freeze();
      const line = "connection breaker opened";
      await within(agent.waitFor("an open breaker", (text) => text.includes(line)), line);
      await pause(OUTAGE_MS);
      const attempts = failedAttempts(agent).length;
      assert(attempts <= mostAttempts(OUTAGE_MS + 4_000), `${attempts} attempts`);

      server.thaw();
      await server.ask("fault", { mode: "none" });
      const after = await server.until("report", ({ logs }) => isTold(logs, id));
      await within(
        agent.waitFor("a recovery", (text) => text.includes("connection recovered")),
        "it",
      );
      // What it finds in its queue: no more than the agent tried.
      const queued = after.requests.slice(before.requests.length);
      assert(queued.length <= attempts + MOST_AT_RETURN, queued.map(({ path }) => path).join(" "));
      await agent.stop("SIGTERM");
      assertEquals(timesBegun(agent, id), 1);
      const { logs, agents, violations } = await server.state();
      assertEquals(logs.filter(({ command_id }) => command_id === id).length, 1);
      assertEquals([agents.length, violations], [1, []]);
      const status = startPennon(folder, ["status", "--json"]);
      await within(status.ended, "the status");
      assertAllDelivered(status.lines.join("\n"));
    } finally {
      await agent.stop("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function isTold(logs: readonly { command_id: string }[], id: string): boolean {
  return logs.some(({ command_id }) => command_id === id);
}

Deno.test({
  name: "a certificate that is wrong: not a byte of HTTP, and on with the right one",
  ignore: await lacks("openssl"),
  async fn() {
    await using own = await Authority.make();
    await using foreign = await Authority.make();
    const right = await own.sign("IP:127.0.0.1");
    // The servers of this test are one after the other on one port, with one memory.
    const data = `${own.folder}/server.sqlite`;
    const wrong: [Certificate, RegExp][] = [
      [await foreign.sign("IP:127.0.0.1"), /not trusted.*(UnknownIssuer|BadSignature)/],
      [await own.sign("DNS:elsewhere.test"), /not trusted.*(not valid for name|NotValidForName)/],
    ];
    await onHost(async (host) => {
      const config = `[tls]\nca_file = "${own.file}"\n`;
      await Deno.writeTextFile(`${host.folder}/config.toml`, OUTAGE_CONFIG + config);
      await host.register();
      const agent = await runRapidly(host, { config });
      const id = await holdUpResult(host);
      await host.server.close();
      const { port } = host.server;
      const options = { port, data };
      for (const [tls, why] of wrong) {
        const server = await restartRefserver({ ...options, tls });
        try {
          const reasons = () =>
            failedAttempts(agent).filter(({ why: told }) => why.test(String(told)));
          await host.until(`refusal for ${why}`, () => reasons().length >= 2);
          assertEquals(server.state().requests, []);
          // What never was a request may still be one that cannot be read.
          assertEquals(server.state().violations, []);
        } finally {
          await server.close();
        }
      }
      const server = await restartRefserver({ ...options, tls: right });
      try {
        await host.until("report", () => isTold(server.state().logs, id));
        await agent.waitFor("a recovery", (line) => line.includes("connection recovered"));
        await agent.stop("SIGTERM");
        assertAllDelivered((await host.pennon(["status", "--json"])).out);
        assertEquals(server.state().agents.length, 1);
      } finally {
        await server.close();
      }
    }, { tls: right, data });
  },
});
