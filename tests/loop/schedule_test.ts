import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  clampIntervalMs,
  clampRapidMs,
  nextCheckInDelayMs,
  phase,
  rapidLeftMs,
} from "../../src/loop/schedule.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld } from "../fakes/world.ts";

const polling = { intervalMs: 300_000, rapidIntervalMs: 5_000, rapidLeftMs: 0 };
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("clampIntervalMs() holds the server's interval between 10 s and a day", () => {
  const cases: [number, number | null][] = [
    [NaN, null],
    [Infinity, null],
    [-1, null],
    [0, null],
    [1, 10_000],
    [10, 10_000],
    [11, 11_000],
    [86_400, 86_400_000],
    [86_401, 86_400_000],
  ];
  for (const [seconds, expected] of cases) assertEquals(clampIntervalMs(seconds), expected);
});

Deno.test("nextCheckInDelayMs() keeps an agent's place in the interval", () => {
  const id = "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11";
  const phaseMs = phase(id) * 300_000;
  for (const nowMs of [0, 1, 299_999, 1_763_856_000_000, 1_763_856_123_456]) {
    const waitMs = nextCheckInDelayMs(polling, id, { nowMs, random: () => 0.5 });
    const offsetMs = (nowMs + waitMs - phaseMs) % 300_000;
    assert(Math.min(offsetMs, 300_000 - offsetMs) < 1, `${offsetMs} at ${nowMs}`);
  }
});

Deno.test("nextCheckInDelayMs() goes from slot to slot, whatever the jitter", () => {
  fc.assert(fc.property(fc.uuid(), unit, unit, (id, first, second) => {
    let nowMs = 1_763_856_000_000;
    nowMs += nextCheckInDelayMs(polling, id, { nowMs, random: () => first });
    const waitMs = nextCheckInDelayMs(polling, id, { nowMs, random: () => second });
    // One interval, give or take both draws.
    assert(waitMs >= 240_000 - 1 && waitMs <= 360_000 + 1, String(waitMs));
  }));
});

Deno.test("nextCheckInDelayMs() is never at once and never more than 1.6 intervals away", () => {
  fc.assert(fc.property(fc.uuid(), fc.nat(2 ** 40), unit, (id, nowMs, draw) => {
    const waitMs = nextCheckInDelayMs(polling, id, { nowMs, random: () => draw });
    assert(waitMs >= 0.4 * 300_000 - 1 && waitMs <= 1.6 * 300_000 + 1, String(waitMs));
  }));
});

Deno.test("nextCheckInDelayMs() swings by no more than the server's policy says, nor than a tenth", () => {
  const swing = (jitterMaxMs: number | null) => {
    const wait = (draw: number) => {
      const at = { nowMs: 0, random: () => draw };
      return nextCheckInDelayMs({ ...polling, jitterMaxMs }, "a", at);
    };
    return Math.round(wait(0.5) - wait(0));
  };
  assertEquals([null, 0, 7_000, 30_000, 31_000, 3_600_000].map(swing), [
    30_000,
    0,
    7_000,
    30_000,
    30_000,
    30_000,
  ]);
});

Deno.test("nextCheckInDelayMs() swings by a tenth of the interval, either way", () => {
  const wait = (draw: number) => nextCheckInDelayMs(polling, "a", { nowMs: 0, random: () => draw });
  assertEquals(Math.round(wait(0.5) - wait(0)), 30_000);
  assertEquals(Math.round(wait(1) - wait(0.5)), 30_000);
});

Deno.test("nextCheckInDelayMs() polls rapidly, give or take a tenth, until that ends", () => {
  const rapid = { ...polling, rapidLeftMs: 1 };
  assertEquals(nextCheckInDelayMs(rapid, "a", { nowMs: 0, random: () => 0 }), 4_500);
  assertEquals(nextCheckInDelayMs(rapid, "a", { nowMs: 0, random: () => 0.5 }), 5_000);
});

Deno.test("phase() is FNV-1a of the id, whatever the version: an agent keeps its place", () => {
  // The hashes are those of the algorithm's authors.
  assertEquals(phase(""), 0x811c9dc5 / 2 ** 32);
  assertEquals(phase("a"), 0xe40c292c / 2 ** 32);
  assertEquals(phase("foobar"), 0xbf9cf968 / 2 ** 32);
});

Deno.test("nextCheckInDelayMs() takes the slot that is half an interval away, and none nearer", () => {
  const phaseMs = phase("a") * 300_000;
  const wait = (nowMs: number) =>
    Math.round(nextCheckInDelayMs(polling, "a", { nowMs, random: () => 0.5 }));
  assertEquals(wait(phaseMs + 600_000), 300_000);
  assertEquals(wait(phaseMs + 600_000 + 149_999), 150_001);
  assertEquals(wait(phaseMs + 600_000 + 150_001), 449_999);
});

Deno.test("nextCheckInDelayMs() polls at the ordinary pace when no rapid time is left", () => {
  for (const rapidLeftMs of [0, -1]) {
    const waitMs = nextCheckInDelayMs({ ...polling, rapidLeftMs }, "a", {
      nowMs: 0,
      random: () => 0.5,
    });
    assert(waitMs >= 150_000, String(waitMs));
  }
  const rapid = { ...polling, rapidLeftMs: 1 };
  assertEquals(nextCheckInDelayMs(rapid, "a", { nowMs: 0, random: () => 1 }), 5_500);
});

Deno.test("phase() spreads agents evenly", () => {
  const tenths = new Array<number>(10).fill(0);
  for (let agent = 0; agent < 10_000; agent++) {
    const id = `0000${agent.toString(16).padStart(4, "0")}-0000-4000-8000-000000000000`;
    const tenth = Math.floor(phase(id) * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  assert(tenths.every((count) => count > 700 && count < 1_300), tenths.join(" "));
});

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
    world.server.queue("c1", "install_updates");
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
