import { assert, assertEquals } from "@std/assert";
import type { CommandOutcome } from "../../src/buffer/journal.ts";
import { ceilingMs } from "../../src/breaker/policies.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { HttpError } from "../../src/system/http.ts";
import { settle } from "../fakes/clock.ts";
import { backoff, INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld, log, World } from "../fakes/world.ts";

Deno.test("run() checks in at once, then in its own slot of every interval", () =>
  inWorld(async (world) => {
    assertEquals(world.checkIns(), 1);
    await world.advance(10 * INTERVAL_MS);
    assert(world.checkIns() >= 10 && world.checkIns() <= 12, String(world.checkIns()));
  }));

Deno.test("a start, its first check-in and its first report are one jittered action", async () => {
  const world = new World({ hostFacts: true });
  world.startSpreadMs = 60_000;
  await world.start();
  assertEquals(world.server.requests.length, 0);
  let waitedS = 0;
  for (; world.server.requests.length === 0 && waitedS < 60; waitedS++) await world.advance(1_000);
  assert(waitedS > 1 && waitedS < 60, `${waitedS} s`);
  assertEquals([world.checkIns(), world.server.count("/system-info")], [1, 1]);
  await world.stop();
});

Deno.test("onHostEvent() brings one check-in within 60 s of waking, and heeds a hint in 5 min", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS / 2);
    const before = world.checkIns();
    world.loop.onHostEvent("woke");
    world.loop.onHostEvent("woke");
    await world.advance(60_000);
    assertEquals(world.checkIns(), before + 1);
    world.loop.onHostEvent("woke");
    assertEquals(world.log.told("host is back").length, 1);
    await world.advance(300_000);
    world.loop.onHostEvent("woke");
    assertEquals(world.log.told("host is back").length, 2);
  }));

Deno.test("run() tells the host's facts once an hour, whatever else it does", () =>
  inWorld(async (world) => {
    await world.advance(3 * 3_600_000);
    const told = world.server.reports.filter(({ report }) => report === "system-info");
    assert(told.length >= 2 && told.length <= 4, String(told.length));
  }));

Deno.test("run() runs a command once and reports it", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "install_updates");
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.ran, ["c1"]);
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["c1"]);
    world.server.queue("c1", "install_updates"); // A server that repeats itself.
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.ran, ["c1"]);
    assertEquals(world.buffer.counts().pending, 0);
  }));

Deno.test("run() goes on checking in while a command takes its time", () =>
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    world.handler = { repeatable: true, run: () => promise };
    world.server.queue("slow", "install_updates");
    await world.advance(5 * INTERVAL_MS);
    assert(world.checkIns() >= 5);
    resolve({ events: [log("slow")], rapidPollingMs: null });
    await world.advance(0);
    // The result goes out as soon as it is there.
    assertEquals(world.reports.length, 1);
  }));

Deno.test("run() backs off from a server that is gone, and loses nothing meanwhile", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "install_updates");
    world.handler = {
      repeatable: true,
      run: (command) => {
        world.server.mood = { kind: "gone" };
        return Promise.resolve(world.done(command));
      },
    };
    await world.advance(INTERVAL_MS * 2);
    world.server.requests.length = 0;
    await world.advance(28 * 60_000);
    const { length } = world.server.requests;
    assert(length > 0 && length <= 20, `${length} requests into a dead server`);
    assertEquals(world.buffer.counts().pending, 1);
    assertEquals(world.buffer.list()[0]?.attempts, 0);
    world.server.mood = { kind: "well" };
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["c1"]);
    const [recovered] = world.log.told("connection recovered");
    assert(recovered);
    assertEquals(recovered["buffered"], 1);
    assert(Number(recovered["attempts"]) > 3);
  }));

Deno.test("run() waits between failures as the backoff says, and not longer", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(INTERVAL_MS * 2);
    // What follows the first check-in, at its instant.
    const instants = world.server.requests.filter(({ path }) => !/public-key|\/config$/.test(path))
      .map(({ atMs }) => atMs);
    const first = instants.findIndex((_, index) => index > 0);
    assert(first > 0);
    for (let index = first + 1; index < Math.min(instants.length, first + 4); index++) {
      const waitMs = (instants[index] ?? 0) - (instants[index - 1] ?? 0);
      const ceiling = ceilingMs(index - first, backoff);
      assert(waitMs >= 500 && waitMs <= ceiling, `wait ${index - first}: ${waitMs} ms`);
    }
  }));

Deno.test("run() checks the health of a server that failed before anything else", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(INTERVAL_MS * 1.7);
    world.server.healthStatus = "waiting for configuration";
    world.server.mood = { kind: "well" };
    world.server.requests.length = 0;
    await world.advance(INTERVAL_MS * 4);
    assert(world.server.count("/health") > 1);
    assertEquals(world.checkIns(), 0); // Up, but not usable.
    world.server.healthStatus = "healthy";
    await world.advance(INTERVAL_MS);
    assert(world.checkIns() > 0);
  }));

Deno.test("run() makes one probe at a time while the breaker is half-open", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(30 * 60_000);
    assert(world.log.told("connection breaker opened").length > 1);
    world.server.mood = { kind: "well" };
    world.server.requests.length = 0;
    await world.advance(INTERVAL_MS);
    assertEquals(world.server.requests.slice(0, 2).map(({ path }) => path.split("/").at(-1)), [
      "health",
      "commands",
    ]);
    assertEquals(world.log.told("connection breaker closed").length, 1);
  }));

Deno.test("run() makes the probe when the breaker allows it, also if reports alone have opened it", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS);
    world.server.hangsAt = "/logs";
    world.buffer.append([log("a"), log("b")]);
    const opened = new Set<number>();
    for (let seconds = 0; seconds < 3 * 3_600; seconds++) {
      await world.advance(1_000);
      const { breaker } = world.agent.loop.state.connection;
      if (breaker.state !== "open") continue;
      opened.add(breaker.untilMs);
      const lateMs = world.system.clock.monotonicMs() - breaker.untilMs;
      assert(lateMs <= 1_000, `the probe is late by ${lateMs} ms`);
    }
    assert(opened.size > 0, "reports open the breaker");
    assert(world.checkIns() < 3 * 3_600_000 / INTERVAL_MS + 3 * opened.size, "not often");
  }));

Deno.test("run() sends nothing before Retry-After is over", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "answers", status: 429, headers: { "retry-after": "900" } };
    await world.advance(INTERVAL_MS * 1.7);
    const turnedAway = world.server.requests.length;
    const lastMs = world.server.requests.at(-1)?.atMs ?? 0;
    world.server.mood = { kind: "well" };
    const leftMs = lastMs + 900_000 - world.system.clock.monotonicMs();
    await world.advance(leftMs - 1);
    assertEquals(world.server.requests.length, turnedAway);
    await world.advance(181_000); // A fifth more at most.
    assert(world.server.requests.length > turnedAway);
  }));

Deno.test("run() renews its token on a 401 and goes on", () =>
  inWorld(async (world) => {
    world.server.acceptedToken = "access-2";
    world.server.queue("c1", "install_updates");
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.server.count("/renew"), 1);
    assertEquals(world.ran, ["c1"]);
  }));

Deno.test("run() polls rapidly from a heartbeat command on, until it ends", () =>
  inWorld(async (world) => {
    world.handler = {
      repeatable: true,
      run: (command) => Promise.resolve(world.done(command, 600_000)),
    };
    world.server.queue("h1", "install_updates", { duration_minutes: 10 });
    await world.advance(INTERVAL_MS * 1.7);
    const [first, second] = world.server.requests.filter(({ path }) => path.endsWith("/commands"))
      .slice(-2);
    assert(first && second && second.atMs - first.atMs <= 5_500);
    assertEquals(
      (second.body["metadata"] as Record<string, unknown>)["rapid_polling_enabled"],
      true,
    );
    await world.advance(600_000);
    world.server.requests.length = 0;
    await world.advance(INTERVAL_MS * 2);
    assert(world.checkIns() <= 3, "still rapid");
  }));

Deno.test("rapid polling never overrides a backoff, whose waits are then 30 s at most", () =>
  inWorld(async (world) => {
    await world.stop();
    await world.start({ ...NEW_STATE, rapidUntilMs: world.system.clock.monotonicMs() + 3_600_000 });
    world.server.mood = { kind: "gone" };
    await world.advance(10_000);
    world.server.requests.length = 0;
    await world.advance(28 * 60_000);
    const instants = world.server.requests.map(({ atMs }) => atMs);
    assert(instants.length >= 56 && instants.length <= 112, `${instants.length} requests`);
    instants.slice(1).forEach((atMs, index) => {
      const gapMs = atMs - instants[index]!;
      assert(gapMs <= 30_000, `${gapMs} ms after the one before`);
    });
  }));

Deno.test("run() resumes what a crash left: safe commands run, others are reported", async () => {
  const world = new World();
  await world.start();
  world.journal.receive([
    { id: "new", type: "install_updates", params: "{}" },
    { id: "begun", type: "install_updates", params: "{}" },
  ]);
  world.journal.start("begun");
  await world.stop();
  await world.start();
  await world.advance(INTERVAL_MS);
  assertEquals(world.ran.toSorted(), ["begun", "new"]);
  await world.stop();

  const other = new World();
  await other.start();
  other.journal.receive([{ id: "install", type: "install_updates", params: "{}" }]);
  other.journal.start("install");
  await other.stop();
  other.handler = { ...other.handler, repeatable: false };
  await other.start();
  await other.advance(INTERVAL_MS);
  assertEquals(other.ran, []);
  assertEquals(other.server.reports.map(({ body }) => [body["result"], body["stderr"]]), [
    ["failed", "interrupted: the agent stopped in the middle of it"],
  ]);
  await other.stop();
});

Deno.test("run() reports a command whose handler throws", () =>
  inWorld(async (world) => {
    world.handler = { repeatable: true, run: () => Promise.reject(new Error("no such thing")) };
    world.server.queue("c1", "install_updates");
    await world.advance(INTERVAL_MS * 2);
    const [report] = world.reports;
    assertEquals([report?.body["result"], report?.body["stderr"]], ["failed", "no such thing"]);
    assertEquals(world.journal.unfinished(), []);
  }));

Deno.test("run() dead-letters a refused event and delivers the others", () =>
  inWorld(async (world) => {
    world.server.poison = { text: "bad", status: 400 };
    world.buffer.append([log("bad"), log("good")]);
    await world.advance(INTERVAL_MS * 5);
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["good"]);
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals([pending, deadLetters], [0, 1]);
    assertEquals(world.buffer.list({ state: "dead_lettered" })[0]?.attempts, 3);
    const tries = world.server.requests.filter(({ body }) => body["command_id"] === "bad");
    const waits = tries.slice(1).map(({ atMs }, index) => atMs - (tries[index]?.atMs ?? 0));
    assertEquals(waits, [60_000, 60_000]);
  }));

Deno.test("run() pauses when the server's window is spent", () =>
  inWorld(async (world) => {
    const { clock } = world.system;
    const resetS = Math.ceil(clock.nowMs() / 1_000) + INTERVAL_MS * 2 / 1_000 + 60;
    world.server.rateLimit = {
      date: new Date(clock.nowMs()).toUTCString(),
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(resetS),
    };
    world.buffer.append([log("a"), log("b")]);
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.reports.length, 1);
    world.server.rateLimit = {};
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.reports.length, 2);
  }));

Deno.test("run() keeps going when the state cannot be saved, and after a restart its place", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS);
    const before = world.checkIns();
    for (let restart = 0; restart < 20; restart++) {
      await world.stop();
      await world.start();
    }
    assertEquals(world.checkIns(), before, "restarts must not bring check-ins forward");
  }));

Deno.test("run() that is to stop hears the answer under way, and begins nothing of it", async () => {
  const world = new World();
  world.server.mood = { kind: "hangs" };
  world.server.queue("c1", "install_updates");
  await world.start();
  await world.advance(0);
  assertEquals(world.checkIns(), 1);
  const stopped = world.stop();
  await settle();
  world.server.answerHanging();
  await stopped;
  // The server never hands it over again: it is in the journal, for the next start.
  assertEquals(world.journal.unfinished().map(({ id, state }) => [id, state]), [
    ["c1", "received"],
  ]);
  assertEquals(world.ran, []);
});

Deno.test("run() that is cut off ends, and takes that for no failure of the server", async () => {
  const world = new World();
  world.server.mood = { kind: "hangs" };
  await world.start();
  await world.advance(0);
  const stopped = world.stop();
  world.cutOff();
  await stopped;
  assertEquals(world.checkIns(), 1);
  assertEquals(world.saved.at(-1)?.connection.paths.check_in.failures, 0);
});

Deno.test("run() that is cut off in a renewal ends, and blames neither the server nor the token", async () => {
  const world = new World();
  world.server.acceptedToken = "access-2";
  world.server.hangsAt = "/renew";
  await world.start();
  await world.advance(0);
  assertEquals(world.server.count("/renew"), 1);
  const stopped = world.stop();
  world.cutOff();
  await stopped;
  const { paths, breaker, operatorAction, outage } = world.loop.state.connection;
  assertEquals([paths.check_in.failures, breaker.state, operatorAction, outage], [
    0,
    "closed",
    null,
    null,
  ]);
});

Deno.test("run() that is to stop still delivers what it can", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "hangs" };
    world.buffer.append([log("a"), log("b")]);
    world.loop.afterCommand({ events: [], rapidPollingMs: null });
    await settle();
    assertEquals(world.server.count("/logs"), 1);
    const stopped = world.stop();
    world.server.answerHanging();
    await stopped;
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["a", "b"]);
  }));

Deno.test("run() that is to stop delivers the report of a command that came to its end", () =>
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    world.handler = { repeatable: true, run: () => promise };
    world.server.queue("c1", "install_updates");
    await world.advance(2 * INTERVAL_MS);
    const stopped = world.stop();
    await settle();
    resolve(world.done({ id: "c1" }));
    await stopped;
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["c1"]);
  }));

Deno.test("run() sorts in what was appended, while the server is away too", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(2 * INTERVAL_MS); // Until it knows, and asks for nothing to send.
    world.buffer.append([log("c1")]);
    const isSorted = () =>
      [...world.system.databases.values()].flatMap((database) =>
        database.all("SELECT is_indexed FROM events").map((row) => row["is_indexed"])
      );
    assertEquals(isSorted(), [0]);
    world.loop.afterAppend();
    await world.advance(1);
    assertEquals(isSorted(), [1]);
  }));

Deno.test("run() checks in soon after a heartbeat command that ended in the middle of a check-in", async () => {
  for (const rapidPollingMs of [600_000, 0]) {
    const world = new World();
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    world.handler = { repeatable: true, run: () => promise };
    world.server.queue("c1", "install_updates");
    await world.start();
    await world.advance(0);
    world.server.hangsAt = "/commands";
    while (world.checkIns() === 1) await world.advance(1_000);
    resolve({ events: [], rapidPollingMs });
    await settle();
    // The body that is under way did not say so: neither is what the server makes of that its word.
    world.server.rapidPolling = { enabled: rapidPollingMs === 0, until: "2030-01-01T00:00:00Z" };
    world.server.hangsAt = null;
    world.server.answerHanging();
    await settle();
    world.server.rapidPolling = null;
    await world.advance(4_999);
    assertEquals(world.checkIns(), 2, "no server has it asked more often than in rapid polling");
    await world.advance(1);
    assertEquals(world.checkIns(), 3);
    const { body } = world.server.requests.filter(({ path }) => path.endsWith("/commands"))[2]!;
    const metadata = body["metadata"] as Record<string, unknown>;
    assertEquals(metadata["rapid_polling_enabled"], rapidPollingMs > 0);
    await world.advance(10_000);
    assertEquals(world.checkIns() > 3, rapidPollingMs > 0);
    await world.stop();
  }
});

Deno.test("runOnce() does one cycle: check in, run, deliver", async () => {
  const world = new World();
  await world.open();
  world.server.queue("c1", "install_updates");
  assertEquals(await world.once(), true);
  assertEquals(world.reports.length, 1);
  world.server.mood = { kind: "gone" };
  assertEquals(await world.once(), false);
  assertEquals(await world.once(), false);
  assert(world.log.told("check-in not sent").length > 0, "left alone");
});

Deno.test("onHostEvent() has an offline host tried at random within 30 s, and not later than it would have", async () => {
  const world = new World();
  let chance = 0.9;
  world.system.random = () => chance;
  const { sendHttp } = world.server;
  let isOffline = true;
  world.server.sendHttp = (request) => {
    if (!isOffline) return sendHttp(request);
    return Promise.reject(new HttpError("Cannot connect: no route", { reason: "offline" }));
  };
  await world.start();
  const { clock } = world.system;
  const waitMs = () => world.loop.state.connection.paths.check_in.notBeforeMs - clock.monotonicMs();
  for (let second = 0; second < 600 && waitMs() < 20_000; second++) await world.advance(1_000);
  assert(waitMs() >= 20_000);
  isOffline = false;
  const leftMs = waitMs();
  world.loop.onHostEvent("network_up");
  assertEquals(waitMs(), Math.min(leftMs, 27_000));
  await world.advance(300_000);
  isOffline = true;
  for (let second = 0; second < 1_200 && waitMs() < 20_000; second++) await world.advance(1_000);
  isOffline = false;
  chance = 0.1;
  world.loop.onHostEvent("network_up");
  assertEquals(waitMs(), 3_000);
  await world.advance(2_999);
  assert(world.loop.state.connection.outage !== null);
  await world.advance(1);
  assertEquals(world.loop.state.connection.outage, null);
  await world.stop();
});

Deno.test("onHostEvent() of a host that woke spreads its check-in, and puts none off that is due sooner", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS / 2);
    const { clock } = world.system;
    const dueInMs = () => (world.loop.state.nextCheckInAtMs ?? -Infinity) - clock.monotonicMs();
    for (let second = 0; second < 900 && dueInMs() < 61_000; second++) await world.advance(1_000);
    assert(dueInMs() >= 61_000);
    let before = world.checkIns();
    world.loop.onHostEvent("woke");
    await world.advance(0);
    assertEquals(world.checkIns(), before, "not at once: others woke too");
    assert(dueInMs() > 0 && dueInMs() <= 60_000, `${dueInMs()} ms`);
    await world.advance(60_000);
    assertEquals(world.checkIns(), before + 1);
    await world.advance(INTERVAL_MS + 1);
    await world.advance(dueInMs() - 50);
    before = world.checkIns();
    world.loop.onHostEvent("woke");
    await world.advance(50);
    assertEquals(world.checkIns(), before + 1);
    await world.advance(INTERVAL_MS + 1);
    before = world.checkIns();
    world.loop.afterCommand({ events: [], rapidPollingMs: 0 }); // The server is to see it at once.
    world.loop.onHostEvent("woke");
    await world.advance(0);
    assertEquals(world.checkIns(), before + 1);
  }));
