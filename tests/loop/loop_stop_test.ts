import { assertEquals } from "@std/assert";
import type { CommandOutcome } from "../../src/buffer/command.ts";
import { settle } from "../fakes/clock.ts";
import { INTERVAL_MS, inWorld, log, World } from "../fakes/world.ts";

Deno.test("run() that is to stop hears the answer under way, and begins nothing of it", async () => {
  const world = new World();
  world.server.mood = { kind: "hangs" };
  world.server.queue("c1", "scan_updates");
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
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["a", "b"]);
  }));

Deno.test("run() that is to stop delivers the report of a command that came to its end", () =>
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    world.handler = { repeatable: true, run: () => promise };
    world.server.queue("c1", "collect_specs");
    await world.advance(2 * INTERVAL_MS);
    const stopped = world.stop();
    await settle();
    resolve(world.done({ id: "c1", type: "collect_specs", params: {} }));
    await stopped;
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["c1"]);
  }));
