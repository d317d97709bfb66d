import { assert, assertEquals } from "@std/assert";
import type { CommandOutcome } from "../../src/buffer/command.ts";
import { INTERVAL_MS, inWorld, log, NEVER, World } from "../fakes/world.ts";

Deno.test("run() checks in at once, then in its own slot of every interval", () =>
  inWorld(async (world) => {
    assertEquals(world.checkIns(), 1);
    await world.advance(10 * INTERVAL_MS);
    assert(world.checkIns() >= 10 && world.checkIns() <= 12, String(world.checkIns()));
  }));

Deno.test("a start, its first check-in and its first report are one jittered action", async () => {
  const world = new World();
  world.startSpreadMs = 60_000;
  world.systemInfo = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
  await world.start();
  assertEquals(world.server.requests.length, 0);
  let waitedS = 0;
  for (; world.server.requests.length === 0 && waitedS < 60; waitedS++) await world.advance(1_000);
  assert(waitedS > 1 && waitedS < 60, `${waitedS} s`);
  assertEquals([world.checkIns(), world.server.count("/system-info")], [1, 1]);
  await world.stop();
});

Deno.test("takeHint() brings one check-in within 60 s of waking, and heeds a hint in 5 min", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS / 2);
    const before = world.checkIns();
    world.loop.takeHint("woke");
    world.loop.takeHint("woke");
    await world.advance(60_000);
    assertEquals(world.checkIns(), before + 1);
    world.loop.takeHint("woke");
    assertEquals(world.log.told("host is back").length, 1);
    await world.advance(300_000);
    world.loop.takeHint("woke");
    assertEquals(world.log.told("host is back").length, 2);
  }));

Deno.test("run() tells the host's facts once an hour, whatever else it does", () =>
  inWorld(async (world) => {
    world.systemInfo = {
      kind: "system_info",
      commandId: null,
      snapshotOf: "system_info",
      body: "{}",
    };
    await world.advance(3 * 3_600_000);
    const told = world.server.reports.filter(({ report }) => report === "system-info");
    assert(told.length >= 2 && told.length <= 4, String(told.length));
  }));

Deno.test("run() runs a command once and reports it", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "scan_updates");
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.ran, ["c1"]);
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["c1"]);
    world.server.queue("c1", "scan_updates"); // A server that repeats itself.
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.ran, ["c1"]);
    assertEquals(world.buffer.counts().pending, 0);
  }));

Deno.test("run() goes on checking in while a command takes its time", () =>
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    world.handler = { repeatable: true, run: () => promise };
    world.server.queue("slow", "scan_updates");
    await world.advance(5 * INTERVAL_MS);
    assert(world.checkIns() >= 5);
    resolve({ events: [log("slow")], rapidPollingMs: null });
    await world.advance(0);
    // The result goes out as soon as it is there.
    assertEquals(world.server.reports.length, 1);
  }));

Deno.test("run() polls rapidly from a heartbeat command on, until it ends", () =>
  inWorld(async (world) => {
    world.handler = {
      repeatable: true,
      run: (command) => Promise.resolve(world.done(command, 600_000)),
    };
    world.server.queue("h1", "enable_heartbeat", { duration_minutes: 10 });
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

Deno.test("run() resumes what a crash left: safe commands run, others are reported", async () => {
  const world = new World();
  await world.start();
  world.journal.receive([
    { id: "new", type: "scan_updates", params: "{}" },
    { id: "begun", type: "scan_updates", params: "{}" },
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
  assertEquals(other.server.reports.map(({ body }) => body["text"]), [
    "failed: interrupted: the agent stopped in the middle of it",
  ]);
  await other.stop();
});

Deno.test("run() reports a command whose handler throws", () =>
  inWorld(async (world) => {
    world.handler = { repeatable: true, run: () => Promise.reject(new Error("no such thing")) };
    world.server.queue("c1", "scan_updates");
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.server.reports[0]?.body["text"], "failed: no such thing");
    assertEquals(world.journal.unfinished(), []);
  }));

Deno.test("run() sorts in what was appended, while the server is away too", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(2 * INTERVAL_MS); // Until it knows, and asks for nothing to send.
    world.buffer.append([log("c1")]);
    const isSorted = () =>
      [...world.system.databases.values()].flatMap((database) =>
        database.all("SELECT is_sorted FROM events").map((row) => row["is_sorted"])
      );
    assertEquals(isSorted(), [0]);
    world.loop.afterAppend();
    await world.advance(1);
    assertEquals(isSorted(), [1]);
  }));

Deno.test("runOnce() does one cycle: check in, run, deliver", async () => {
  const world = new World();
  await world.start();
  await world.stop();
  world.server.queue("c1", "scan_updates");
  assertEquals(await world.loop.runOnce({ stop: NEVER, cut: NEVER }), true);
  assertEquals(world.server.reports.length, 1);
  world.server.mood = { kind: "gone" };
  assertEquals(await world.loop.runOnce({ stop: NEVER, cut: NEVER }), false);
  assertEquals(await world.loop.runOnce({ stop: NEVER, cut: NEVER }), false);
  assert(world.log.told("check-in withheld").length > 0, "left alone");
});
