/** An agent that is started where `run --once` worked before, as when a trial becomes a service. */

import { assertEquals } from "@std/assert";
import { World } from "../fakes/world.ts";

Deno.test("an agent that starts after a cycle of run --once is on record before its first check-in", async () => {
  const world = new World();
  await world.open();
  assertEquals(await world.once(), true);
  assertEquals(world.saved.at(-1)?.isOnce, true);
  const before = world.checkIns();
  await world.start();
  // If it dies now, no cycle of `run --once` stands for it.
  assertEquals([world.checkIns(), world.saved.at(-1)?.isOnce], [before, false]);
  await world.stop();
});
