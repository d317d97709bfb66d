import { assertEquals } from "@std/assert";
import { INTERVAL_MS } from "../fakes/connection.ts";
import { inWorld } from "../fakes/world.ts";
import { clampRapidMs, rapidLeftMs } from "../../src/loop/rapid.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 12);

Deno.test("rapidLeftMs() reads what the server says of rapid polling", () => {
  const rows: [Parameters<typeof rapidLeftMs>[0], number | null][] = [
    [null, null],
    [{ enabled: false, until: null }, 0],
    [{ enabled: true, until: null }, null],
    [{ enabled: true, until: "junk" }, null],
    [{ enabled: true, until: "2026-11-23T12:10:00Z" }, 600_000],
    [{ enabled: true, until: "2026-11-23T11:59:00Z" }, null],
    [{ enabled: true, until: "2036-11-23T12:00:00Z" }, 3_600_000],
    [{ enabled: true, until: "9999-99-99T99:99:99Z" }, null],
  ];
  for (const [told, expected] of rows) assertEquals(rapidLeftMs(told, NOW_MS, 0), expected);
});

Deno.test("rapidLeftMs() lets an instant lengthen rapid polling, and never shorten it", () => {
  const told = { enabled: true, until: "2026-11-23T12:10:00Z" };
  const rows = [[0, 600_000], [599_999, 600_000], [600_000, null], [3_600_000, null]] as const;
  for (const [leftMs, expected] of rows) {
    assertEquals(rapidLeftMs(told, NOW_MS, leftMs), expected, `${leftMs}`);
  }
  assertEquals(rapidLeftMs({ enabled: false, until: null }, NOW_MS, 3_600_000), 0);
});

Deno.test("a heartbeat of an hour outlasts commands, and the shorter ones that overlap it", () =>
  inWorld(async (world) => {
    const leftMs = () => (world.loop.state.rapidUntilMs ?? 0) - world.system.clock.monotonicMs();
    world.loop.afterCommand({ events: [], rapidPollingMs: 3_600_000 });
    await world.advance(10_000);
    world.server.rapidPolling = {
      enabled: true,
      until: new Date(world.system.clock.nowMs() + 600_000).toISOString(),
    };
    world.server.queue("c1", "scan_updates");
    await world.advance(10_000);
    assertEquals(world.ran, ["c1"]);
    assertEquals(leftMs(), 3_580_000);
    world.loop.afterCommand({ events: [], rapidPollingMs: 300_000 });
    assertEquals(leftMs(), 3_580_000);
    world.server.rapidPolling = null;
    world.loop.afterCommand({ events: [], rapidPollingMs: 0 });
    assertEquals(world.loop.state.rapidUntilMs, null);
  }));

Deno.test("clampRapidMs() holds a wish between nothing and an hour", () => {
  assertEquals([-1, 0, 1, 3_600_000, 3_600_001, NaN, Infinity, -Infinity].map(clampRapidMs), [
    0,
    0,
    1,
    3_600_000,
    3_600_000,
    0,
    0,
    0,
  ]);
});

Deno.test("rapid polling is told when it begins and when it is ended, and no more", () =>
  inWorld(async (world) => {
    const told = () =>
      world.log.events.filter(({ message }) => message.startsWith("rapid polling"))
        .map(({ message, fields }) => [message, fields["for_s"]]);
    world.loop.afterCommand({ events: [], rapidPollingMs: 0 });
    await world.advance(INTERVAL_MS);
    assertEquals(told(), [], "it was off");
    for (const rapidPollingMs of [600_400, 600_000]) {
      world.loop.afterCommand({ events: [], rapidPollingMs });
      await world.advance(1_000);
    }
    assertEquals(told(), [["rapid polling on", 600]]);
    for (let count = 0; count < 2; count++) {
      world.loop.afterCommand({ events: [], rapidPollingMs: 0 });
      await world.advance(1_000);
    }
    assertEquals(told().slice(1), [["rapid polling off", 0]]);
  }));
