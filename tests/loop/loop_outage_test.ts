import { assert, assertEquals } from "@std/assert";
import { ceilingMs } from "../../src/loop/backoff.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { backoff, INTERVAL_MS, inWorld, log } from "../fakes/world.ts";

Deno.test("run() backs off from a server that is gone, and loses nothing meanwhile", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "scan_updates");
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
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["c1"]);
    const [recovered] = world.log.told("connection recovered");
    assert(recovered);
    assertEquals(recovered["buffered"], 1);
    assert(Number(recovered["attempts"]) > 3);
  }));

Deno.test("run() waits between failures as the backoff says, and not longer", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(INTERVAL_MS * 2);
    const instants = world.server.requests.map(({ atMs }) => atMs);
    const first = instants.findIndex((_, index) => index > 0);
    assert(first > 0);
    for (let index = first + 1; index < Math.min(instants.length, first + 4); index++) {
      const waitMs = (instants[index] ?? 0) - (instants[index - 1] ?? 0);
      const ceiling = ceilingMs(index - first, backoff);
      assert(waitMs >= 500 && waitMs <= ceiling, `wait ${index - first}: ${waitMs} ms`);
    }
  }));

Deno.test("run() asks a doubtful server's health before anything else", () =>
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
    world.server.queue("c1", "scan_updates");
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.server.count("/renew"), 1);
    assertEquals(world.ran, ["c1"]);
  }));

Deno.test("run() asks for a person once, keeps what it has, and tries once an hour", () =>
  inWorld(async (world) => {
    world.server.acceptedToken = "access-2";
    world.server.refreshToken = "refresh-2";
    await world.advance(INTERVAL_MS * 1.7);
    world.server.requests.length = 0;
    await world.advance(6 * 3_600_000);
    const renewals = world.server.count("/renew");
    assert(renewals >= 4 && renewals <= 7, `${renewals} in six hours`);
    const errors = world.log.events.filter(({ level }) => level === "error");
    assertEquals(errors.length, 1);
    assert(world.saved.at(-1)?.connection.needsPerson);
  }));

Deno.test("rapid polling never overrides a backoff", () =>
  inWorld(async (world) => {
    await world.stop();
    await world.start({ ...NEW_STATE, rapidUntilMs: world.system.clock.monotonicMs() + 3_600_000 });
    world.server.mood = { kind: "gone" };
    await world.advance(10_000);
    world.server.requests.length = 0;
    await world.advance(28 * 60_000);
    assert(world.server.requests.length <= 20, `${world.server.requests.length} requests`);
  }));

Deno.test("run() sets a refused event aside and delivers the others", () =>
  inWorld(async (world) => {
    world.server.poison = { text: "bad", status: 400 };
    world.buffer.append([log("bad"), log("good")]);
    await world.advance(INTERVAL_MS * 5);
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["good"]);
    const { pending, setAside } = world.buffer.counts();
    assertEquals([pending, setAside], [0, 1]);
    assertEquals(world.buffer.list({ state: "set_aside" })[0]?.attempts, 3);
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
    assertEquals(world.server.reports.length, 1);
    world.server.rateLimit = {};
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.server.reports.length, 2);
  }));

Deno.test("run() keeps going when the state cannot be saved, and after a restart its place", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS);
    const state = world.saved.at(-1);
    assert(state);
    const before = world.checkIns();
    for (let restart = 0; restart < 20; restart++) {
      await world.stop();
      await world.start(state);
    }
    assertEquals(world.checkIns(), before, "restarts must not bring check-ins forward");
  }));
