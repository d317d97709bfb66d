import { assert, assertEquals } from "@std/assert";
import { onHost } from "./harness.ts";
import { assertNothingLost, holdUpResult, pause, runRapidly, told } from "./outage.ts";

/** Long enough for the breaker to open, with the short times of these tests. */
const OUTAGE_MS = 6_000;

Deno.test("a database that is away: /health, which is well, is not asked, and nothing is lost", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    const id = await holdUpResult(host);
    host.server.resetRequests();
    await host.server.setFault({ mode: "database_down" });
    await pause(OUTAGE_MS);
    const { requests } = host.server.state();
    // One for the report that hangs: when its time is up, the server was not reached on that way.
    const healths = requests.filter(({ path }) => path === "/health").length;
    const checkIns = requests.filter(({ path }) => path.endsWith("/commands")).length;
    assert(healths <= 1 && checkIns >= 3, `${healths} healths, ${checkIns} check-ins`);
    assert(told(agent, "connection breaker opened").length > 0);
    await host.server.setFault({ mode: "none" });
    await host.until("report", () => host.logOf(id) !== undefined);
    await agent.waitFor("a recovery", (line) => line.includes("connection recovered"));
    await assertNothingLost(host, agent);
  }));

Deno.test("a renewal that a database outage refuses: no operator is called, and it is renewed after it", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    await host.server.setFault({ mode: "database_down" });
    host.server.revokeTokens("access");
    await agent.waitFor("a refusal", (line) => line.includes("server refused the tokens"));
    await host.server.setFault({ mode: "none" });
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.until("report", () => host.logOf(id) !== undefined);
    assert(!agent.lines.some((line) => line.includes("operator action required")));
    assertEquals(told(agent, "access token renewed").length, 1);
    await assertNothingLost(host, agent);
    // A server of 0.2 answers a renewal with 500 then, as it would any request.
  }, { age: "0.1" }));

Deno.test("a permanent heartbeat outlasts a command, and its end leaves no entry of the server's own", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    const permanent = host.server.queueCommand({
      type: "enable_heartbeat",
      params: { duration_minutes: -1 },
    });
    await host.until("word of it", () => host.logOf(permanent) !== undefined);
    assertEquals(
      host.logOf(permanent)?.stdout,
      "rapid polling for 60 min, the longest allowed (duration_minutes is -1)",
    );
    const specs = host.server.queueCommand({ type: "collect_specs" });
    await host.until("report", () => host.logOf(specs) !== undefined);
    const checkIns = () => host.server.state().agents[0]!.checkIns;
    const before = checkIns();
    await host.until("two check-ins", () => checkIns() >= before + 2);
    const leftMs = Date.parse(host.server.state().agents[0]!.rapidUntil ?? "") - Date.now();
    assert(leftMs > 55 * 60_000, `${leftMs} ms are left`);
    const off = host.server.queueCommand({ type: "disable_heartbeat" });
    await host.until("its end", () => host.logOf(off) !== undefined);
    const then = checkIns();
    await host.until("a check-in", () => checkIns() > then);
    const ends = host.server.state().commands.filter(({ type }) => type === "disable_heartbeat");
    assertEquals(ends.map(({ id }) => id), [off]);
    assertEquals(host.server.state().agents[0]!.rapidUntil, null);
    await agent.stop("SIGTERM");
    assertEquals(host.server.state().violations, []);
    // A server of 0.2 makes an entry of its own whenever it hands a command to an agent at rest.
  }, { age: "0.1" }));
