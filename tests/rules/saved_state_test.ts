import { assert, assertEquals } from "@std/assert";
import { NEW_STATE } from "../../src/loop/state.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld, log, World } from "../fakes/world.ts";

Deno.test("a check-in writes the state ahead without waiting for the disk, and once durably", () =>
  inWorld(async (world) => {
    for (let count = 0; count < 5; count++) {
      const before = world.saved.length;
      const checkIns = world.checkIns();
      while (world.checkIns() === checkIns) await world.advance(INTERVAL_MS / 10);
      assertEquals(world.savedDurably.slice(before), [false, true]);
      // Ahead of it the next one is already due later.
      const nowMs = world.system.clock.nowMs();
      assert((world.saved[before]?.nextCheckInAtMs ?? 0) > nowMs + INTERVAL_MS / 4);
    }
  }));

Deno.test("in rapid polling a check-in writes the state once, and a crash in the next one is provided for", async () => {
  const world = new World();
  const { clock } = world.system;
  const rapidUntilMs = clock.monotonicMs() + 600_000;
  await world.start({ ...NEW_STATE, rapidUntilMs });
  await world.advance(60_000);
  for (let count = 0; count < 5; count++) {
    const before = world.saved.length;
    const checkIns = world.checkIns();
    while (world.checkIns() === checkIns) await world.advance(100);
    assertEquals(world.savedDurably.slice(before), [true]);
    const { nextCheckInAtMs, afterCrashAtMs } = world.saved.at(-1)!;
    assertEquals(afterCrashAtMs! - nextCheckInAtMs!, 5_000);
  }
  // When rapid polling is over an interval is long, and each check-in is written ahead of again.
  await world.advance(900_000);
  const [before, checkIns] = [world.saved.length, world.checkIns()];
  while (world.checkIns() === checkIns) await world.advance(10_000);
  assertEquals(world.saved.at(-1)?.afterCrashAtMs, null);
  assert(world.savedDurably.slice(before).includes(false));
  await world.stop();
});

Deno.test("a check-in that is due later by what is saved is not written ahead", () =>
  inWorld(async (world) => {
    await world.advance(INTERVAL_MS / 10);
    const before = world.saved.length;
    world.loop.onHostEvent("woke"); // Brings a check-in within a minute.
    await world.advance(60_000);
    assertEquals(world.savedDurably.slice(before), [true]);
  }));

Deno.test("a delivery that changes nothing of the state writes nothing", () =>
  inWorld(async (world) => {
    const deliver = async (count: number) => {
      for (let number = 0; number < count; number++) {
        world.buffer.append([log(`c${number}`)]);
        world.loop.afterAppend();
        await world.advance(2_000);
      }
    };
    await deliver(10); // Then the breaker remembers no more answers.
    const before = world.saved.length;
    await deliver(3);
    assertEquals(world.server.count("/logs"), 13);
    assertEquals(world.saved.length, before);
    world.server.mood = { kind: "gone" };
    world.buffer.append([log("d")]);
    world.loop.afterAppend();
    await world.advance(2_000);
    assertEquals(world.saved.at(-1)?.connection.paths.delivery.failures, 1);
    assertEquals(world.savedDurably.at(-1), true);
  }));

Deno.test("what was written ahead alone is written durably in the end", async () => {
  const world = new World();
  world.server.mood = { kind: "gone" };
  await world.start();
  await world.advance(0);
  assertEquals(world.savedDurably, [false, true]);
  await world.stop();
});
