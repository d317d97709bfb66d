import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { onHost, within } from "./harness.ts";
import { runRapidly } from "./outage.ts";

Deno.test("enrols, runs a command, reports it, stops at SIGTERM and goes on after a restart", () =>
  onHost(async (host) => {
    await host.register();
    const first = host.server.queueCommand({ type: "collect_specs" });
    const agent = host.run();
    await host.until("result", () => host.logOf(first) !== undefined);
    assertEquals(host.logOf(first)?.result, "success");
    await host.until("host facts", () => host.server.state().systemInfo.length > 0);
    await within(agent.stop("SIGTERM"), "the end");
    assertEquals((await agent.ended).code, 0);

    const second = host.server.queueCommand({ type: "reboot", params: { delay_minutes: 1 } });
    const again = await host.pennon(["run", "--once"]);
    assertEquals(again.code, 0, again.err);
    assertEquals(host.logOf(second)?.result, "failed");
    assertStringIncludes(host.logOf(second)?.stderr ?? "", "does not change the host");
    const { agents, violations } = host.server.state();
    assertEquals([agents.length, violations], [1, []]);
  }));

Deno.test("a scan reaches the server as the host's own package manager has it", () =>
  onHost(async (host) => {
    const { code, out } = await host.pennon(["scan", "--only", "apt", "--json"]);
    if (code !== 0) return console.log("skipped: no apt on this host that can be asked");
    const { scanners: [{ updates }] } = JSON.parse(out);
    await host.register();
    const id = host.server.queueCommand({ type: "scan_updates" });
    assertEquals((await host.pennon(["run", "--once"])).code, 0);
    assertEquals(host.logOf(id)?.result, "success");
    const key = (name: string, now: string, next: string) => `${name} ${now} ${next}`;
    const sent = host.server.state().updates.map((update) =>
      key(update.package_name, update.current_version, update.available_version)
    );
    const listed = updates.map((update: Record<string, string>) =>
      key(update["package"]!, update["current_version"]!, update["available_version"]!)
    );
    assertEquals(sent.toSorted(), listed.toSorted());
    assertEquals(host.server.state().violations, []);
  }));

Deno.test("backs off from a dead server, keeps what it has to tell, and tells it afterwards", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    await host.until("check-in", () => host.checkIns() > 0);
    const id = host.server.queueCommand({
      type: "enable_heartbeat",
      params: { duration_minutes: 1 },
    });
    // The command is handed over; then every connection is reset, its report's among them.
    await host.until("command", () => host.server.state().commands[0]?.status !== "pending");
    await host.server.setFault({ mode: "reset" });
    host.server.resetRequests();
    await agent.waitFor("an open breaker", (line) => line.includes("connection breaker opened"));
    const pending = host.logOf(id) === undefined ? 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 6_000)); // The outage itself.
    const { requests } = host.server.state();
    assert(requests.length >= 3 && requests.length <= 20, `${requests.length} in the outage`);
    // The first of three failures is the report's; from then on an attempt begins with the server's
    // health, and ends there.
    const attempts = requests.filter(({ path }) => path === "/health").map(({ atMs }) => atMs);
    const waits = attempts.slice(1).map((atMs, index) => atMs - (attempts[index] ?? 0));
    // The backoff's second wait (floor 100 ms, ceiling 800 ms), then the breaker's (0.5 s to 2 s),
    // each with some time for the machine.
    const [backoffMs = 0, ...openMs] = waits;
    assert(openMs.length >= 2, waits.join(" "));
    assert(backoffMs >= 95 && backoffMs <= 1_300, waits.join(" "));
    assert(openMs.every((ms) => ms >= 490 && ms <= 2_500), waits.join(" "));
    if (pending > 0) {
      const status = JSON.parse((await host.pennon(["status", "--json"])).out);
      assertEquals(status.buffer.pending >= pending, true);
      assertEquals(status.connection.breaker === "closed", false);
    }
    await host.server.setFault({ mode: "none" });
    await host.until("report", () => host.logOf(id) !== undefined);
    await agent.waitFor("a recovery", (line) => line.includes("connection recovered"));
    await host.until("empty buffer", () => host.server.state().logs.length > 0);
    await agent.stop("SIGTERM");
    const status = JSON.parse((await host.pennon(["status", "--json"])).out);
    assertEquals(status.buffer.pending, 0);
    assertEquals(status.buffer.delivered, status.buffer.appended);
    assertEquals(host.server.state().violations, []);
  }));

Deno.test("kill -9 in the middle of a check-in, then a start: it goes on, registered once", () =>
  onHost(async (host) => {
    await host.register();
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.server.setFault({ mode: "hang", path: "/commands$" });
    const agent = host.run();
    await host.until("check-in", () => host.checkIns() > 0);
    await agent.stop("SIGKILL");
    await host.server.setFault({ mode: "none" });
    const again = host.run();
    await host.until("result", () => host.logOf(id) !== undefined);
    await again.stop("SIGTERM");
    assertEquals(host.server.state().agents.length, 1);
    assertEquals(host.server.state().logs.filter(({ command_id }) => command_id === id).length, 1);
  }));

Deno.test("kill -9 in the middle of a command, then a start: the command is not lost", () =>
  onHost(async (host) => {
    await host.register();
    const id = host.server.queueCommand({ type: "scan_updates" });
    const agent = host.run();
    await agent.waitFor("the scan", (line) => line.includes("command started"));
    await agent.stop("SIGKILL");
    const again = host.run();
    await host.until("result", () => host.logOf(id) !== undefined);
    await again.stop("SIGTERM");
    assertEquals(host.server.state().logs.filter(({ command_id }) => command_id === id).length, 1);
  }));

Deno.test("SIGTERM in the middle of a command: it stops soon, and the command is run again", () =>
  onHost(async (host) => {
    await host.register();
    const id = host.server.queueCommand({ type: "scan_updates" });
    const agent = host.run();
    await agent.waitFor("the scan", (line) => line.includes("command started"));
    await within(agent.stop("SIGTERM"), "the end");
    assertEquals((await agent.ended).code, 0);
    assertEquals((await host.pennon(["run", "--once"])).code, 0);
    assertEquals(host.server.state().logs.filter(({ command_id }) => command_id === id).length, 1);
  }));

for (const { old, tellings } of [{ old: false, tellings: 1 }, { old: true, tellings: 2 }]) {
  const server = old ? "an old server hears it twice" : "a server that is asked has it once";
  Deno.test(`an answer that was lost costs no event and brings no second command: ${server}`, () =>
    onHost(async (host) => {
      await host.register();
      // The next check-in asks: it comes soon.
      const agent = await runRapidly(host, { takesFacts: !old });
      await host.server.setFault({ mode: "lost_answer", path: "/logs$", count: 1 });
      const id = host.server.queueCommand({ type: "collect_specs" });
      const told = () => host.server.state().logs.filter(({ command_id }) => command_id === id);
      if (old) await host.until("second telling", () => told().length === tellings);
      else {
        const isConfirmed = (line: string) => line.includes("results confirmed by the server");
        await agent.waitFor("the server's word", isConfirmed);
      }
      await agent.stop("SIGTERM");
      assertEquals(told().length, tellings);
      const status = JSON.parse((await host.pennon(["status", "--json"])).out);
      // The other one has begun rapid polling.
      assertEquals([status.commands.finished, status.commands.reported], [0, 2]);
      const { code, out } = await host.pennon(["events", "list", "--json"]);
      assertEquals([code, JSON.parse(out).total], [0, 0]);
    }, old ? { age: "0.1", old } : {}));
}

Deno.test("neither a proxy's page nor a redirect is believed, and no token goes astray", () =>
  onHost(async (host) => {
    await host.register();
    await host.server.setFault({ mode: "html", status: 200 });
    const agent = host.run();
    await agent.waitFor("a failure", (line) => line.includes("not the answer promised"));
    await host.server.setFault({ mode: "redirect" });
    await agent.waitFor("a refusal", (line) => line.includes("a redirect, which is not followed"));
    await host.server.setFault({ mode: "none" });
    await agent.waitFor("a recovery", (line) => line.includes("connection recovered"));
    await agent.stop("SIGTERM");
    const secret = JSON.parse(await Deno.readTextFile(`${host.stateDirectory}/identity.json`));
    assert(!agent.lines.some((line) => line.includes(secret.access_token)));
  }));

Deno.test("renews a token that the server no longer takes; without that, says so", () =>
  onHost(async (host) => {
    await host.register();
    host.server.revokeTokens("access");
    assertEquals((await host.pennon(["run", "--once"])).code, 0);
    host.server.revokeTokens("access");
    host.server.revokeTokens("refresh");
    const { code, err } = await host.pennon(["run", "--once"]);
    assertEquals(code, 1);
    assertStringIncludes(err, "server refused the tokens, trying again");
  }));

Deno.test("two agents on one state folder: the second says who has it", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    await host.until("check-in", () => host.checkIns() > 0);
    const { code, err } = await host.pennon(["run"]);
    assertEquals(code, 1);
    assertStringIncludes(err, `process ${agent.processId} already runs an agent`);
    assertStringIncludes((await host.pennon(["status"])).out, `process ${agent.processId}`);
    await agent.stop("SIGTERM");
    assertStringIncludes((await host.pennon(["status"])).out, "not running");
  }));
