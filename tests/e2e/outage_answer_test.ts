import { assert, assertEquals } from "@std/assert";
import type { FaultInput } from "../../tools/refserver/faults.ts";
import type { LoggedRequest } from "../../tools/refserver/request_log.ts";
import { type Host, onHost } from "./harness.ts";
import {
  assertNothingLost,
  failedAttempts,
  holdUpResult,
  mostAttempts,
  pause,
  RAPID_MS,
  runRapidly,
  TIMEOUT_MS,
  timesBegun,
  told,
} from "./outage.ts";

/** Time for a busy machine, over what is promised. */
const GRACE_MS = 2_000;

/** A request that was sent before an answer came may arrive so long after that answer left. */
const ON_ITS_WAY_MS = 1_000;

/** What a wait that the server asks for is stretched by at most. */
const JITTER = 0.2;

Deno.test("a proxy's page with status 200, then 502: nothing counts as delivered, all comes later", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    const id = await holdUpResult(host);
    const sinceMs = performance.now();
    host.server.resetRequests();
    await host.server.setFault({ mode: "html", status: 200 });
    await agent.waitFor("an open breaker", (line) => line.includes("connection breaker opened"));
    await host.server.setFault({ mode: "html", status: 502 });
    const refusals = (why: string) =>
      failedAttempts(agent).filter((line) => String(line["why"]).startsWith(why))
        .length;
    await host.until("gateway's page", () => refusals("HTTP 502") >= 2);
    assert(refusals("HTTP 200, but not the answer promised") >= 2);
    const outageMs = performance.now() - sinceMs;
    const { requests } = host.server.state();
    assert(requests.length <= mostAttempts(outageMs), `${requests.length} in ${outageMs} ms`);
    assertEquals(host.logOf(id), undefined);

    await host.server.setFault({ mode: "none" });
    await host.until("report", () => host.logOf(id) !== undefined);
    await assertNothingLost(host, agent);
    assertEquals([timesBegun(agent, id), timesTold(host, id)], [1, 1]);
  }));

Deno.test("a body that stalls half-way: it gives up in time, goes on, and asks for what counts", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.server.setFault({ mode: "stall", path: "/logs$", count: 1 });
    // The server has acted; the agent cannot know, and asks at its next check-in.
    const confirmed = () => told(agent, "results confirmed by the server").length;
    await host.until("word on the result", () => confirmed() === 1);
    await host.server.setFault({ mode: "stall", path: "/commands$", count: 2 });
    // Only then: what a stalled answer hands over is gone for good.
    await host.until("check-ins that stall", () => actedUponStalled(host, "/commands") === 2);
    const next = host.server.queueCommand({ type: "collect_specs" });
    await host.until("result of the next command", () => host.logOf(next) !== undefined);
    const stalled = failedAttempts(agent);
    const tookMs = stalled.map((line) => Number(line["took_ms"]));
    assertEquals(stalled.map(({ path }) => path), ["delivery", "check_in", "check_in"]);
    const isInTime = tookMs.every((ms) => ms >= TIMEOUT_MS - 5 && ms <= TIMEOUT_MS + GRACE_MS);
    assert(isInTime, tookMs.join(" "));
    await assertNothingLost(host, agent);
    assertEquals([timesBegun(agent, id), timesBegun(agent, next)], [1, 1]);
    assertEquals([timesTold(host, id), timesTold(host, next)], [1, 1]);
  }));

/** How many stalled requests on a path the server has acted upon. */
function actedUponStalled(host: Host, path: string): number {
  return host.server.state().requests
    .filter((request) => request.fault === "stall" && request.path.endsWith(path))
    .filter(({ status }) => status !== null).length;
}

Deno.test("429 with Retry-After: 30: no further request on that path for 30 s, and then soon", () =>
  onHost(async (host) => {
    await host.register();
    const agent = await runRapidly(host);
    const id = host.server.queueCommand({ type: "collect_specs" });
    const fault: FaultInput = { mode: "status", status: 429, retryAfter: "30" };
    await host.server.setFault({ ...fault, path: "/logs$" });
    await host.until("report turned away", () => turnedAway(host, "/logs") === 1);
    await host.server.setFault(fault);
    await host.until("check-in turned away", () => turnedAway(host, "/commands") === 1);
    await pause(25_000);
    assert(isTurnedAway(host.server.state().requests.at(-1), "/commands"), "something was sent");
    await host.server.setFault({ mode: "none" });
    await host.until("report", () => host.logOf(id) !== undefined);
    const { requests } = host.server.state();
    for (const path of ["/commands", "/logs"]) {
      const first = requests.findIndex((request) => isTurnedAway(request, path));
      assertGap(requests.slice(first).filter((request) => request.path.endsWith(path)), 30_000);
    }
    // The server is well: that is no failure of it.
    assertEquals(told(agent, "connection breaker opened"), []);
    await assertNothingLost(host, agent);
    assertEquals(timesTold(host, id), 1);
  }));

/** Where the server says 503, and whether the agent dies and is started again right after. */
const UNAVAILABLE = [
  { what: "a check-in", path: "/commands$", isKilled: false },
  { what: "a report", path: "/logs$", isKilled: false },
  { what: "a check-in, and a restart", path: "/commands$", isKilled: true },
];

Deno.test("503 with Retry-After: 10: nothing at all is sent for 10 s, and then all of it", async () => {
  const stories = UNAVAILABLE.map(({ what, path, isKilled }) =>
    onHost(async (host) => {
      await host.register();
      const before = await runRapidly(host);
      const fault: FaultInput = { mode: "status", status: 503, retryAfter: "10", path, count: 1 };
      await host.server.setFault(fault);
      host.server.resetRequests();
      const id = host.server.queueCommand({ type: "collect_specs" });
      await host.until(`503 on ${what}`, () => host.server.state().fault.mode === "none");
      await before.waitFor("the failure", (line) => line.includes("server answered with an error"));
      const agent = isKilled ? await killAndStart(host, before) : before;
      const turnedAway = () => host.server.state().requests.find(({ status }) => status === 503)!;
      // Reports overlap: another one may have been on its way when the 503 was answered.
      const next = () =>
        host.server.state().requests.find(({ atMs }) => atMs > turnedAway().atMs + ON_ITS_WAY_MS);
      await host.until(`request after ${what}`, () => next() !== undefined);
      assertGap([turnedAway(), next()!], 10_000);
      await host.until(`report after ${what}`, () => host.logOf(id) !== undefined);
      await assertNothingLost(host, agent);
      assertEquals(timesTold(host, id), 1);
    })
  );
  const failed = (await Promise.allSettled(stories)).filter((end) => end.status === "rejected");
  if (failed[0]) throw failed[0].reason;
});

/** Kills the agent once its wait is on disk, and starts another one on the same folder. */
async function killAndStart(host: Host, agent: ReturnType<Host["start"]>) {
  const nextAttempt = async () => {
    const { out } = await host.pennon(["status", "--json"]);
    return Date.parse(JSON.parse(out).connection.next_attempt_at);
  };
  while (await nextAttempt() < Date.now() + 5_000) await pause(50);
  await agent.stop("SIGKILL");
  return host.run();
}

/** Asserts that the first two requests are as far apart as the server asked for, and not much more. */
function assertGap(requests: readonly LoggedRequest[], askedMs: number): void {
  const [first, second] = requests;
  const gapMs = (second?.atMs ?? NaN) - (first?.atMs ?? NaN);
  const told = `${gapMs} ms between ${first?.path} and ${second?.path}`;
  const mostMs = askedMs * (1 + JITTER) + RAPID_MS + GRACE_MS;
  assert(gapMs >= askedMs && gapMs <= mostMs, told);
}

function isTurnedAway(request: LoggedRequest | undefined, path: string): boolean {
  return request?.status === 429 && request.path.endsWith(path);
}

function turnedAway(host: Host, path: string): number {
  return host.server.state().requests.filter((request) => isTurnedAway(request, path)).length;
}

function timesTold(host: Host, commandId: string): number {
  return host.server.state().logs.filter(({ command_id }) => command_id === commandId).length;
}
