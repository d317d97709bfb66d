/** A bad item of a list: it holds up neither its neighbours nor its command's log, and soon becomes a dead letter. */

import { assert, assertEquals } from "@std/assert";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { log, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;

interface Told {
  readonly items: number;
  readonly bad: readonly number[];
  readonly status: number;
}

function list({ items, bad }: Told): string {
  const updates = Array.from({ length: items }, (_, number) => ({
    package_name: `p${number}`,
    severity: bad.includes(number) ? "dreadful" : "low",
  }));
  return JSON.stringify({ command_id: "scan", updates });
}

/** Reports a list and its command's log to a server that is well but for the bad items. */
async function tell(told: Told, change: (world: World) => Promise<void> | void = () => {}) {
  const world = new World();
  world.maxAttempts = 10;
  world.server.poison = { text: "dreadful", status: told.status };
  await world.start();
  await world.advance(0);
  world.buffer.append([
    { kind: "updates", commandId: "scan", snapshotOf: null, body: list(told) },
    log("scan"),
  ]);
  world.loop.afterAppend();
  const took = { goodMin: Infinity, logMin: Infinity, deadLetteredMin: Infinity };
  for (let min = 0; min < 1_440 && Math.max(...Object.values(took)) === Infinity; min += 0.25) {
    await world.advance(MINUTE_MS / 4);
    if (min === 0) await change(world);
    const { reports } = world;
    const arrived = reports.filter(({ report }) => report === "updates")
      .flatMap(({ body }) => body["updates"] as unknown[]).length;
    if (arrived === told.items - told.bad.length) took.goodMin = Math.min(min, took.goodMin);
    const hasLog = reports.some(({ report }) => report === "logs");
    if (hasLog) took.logMin = Math.min(min, took.logMin);
    const { deadLetters } = world.buffer.counts();
    if (deadLetters === told.bad.length) took.deadLetteredMin = Math.min(min, took.deadLetteredMin);
  }
  world.cutOff();
  await world.stop();
  return { ...took, world };
}

const ROWS: [items: number, bad: number[]][] = [
  [2, [0]],
  [2, [1]],
  [5, [2]],
  [200, [0]],
  [200, [137]],
  [200, [199]],
  [200, [10, 110]],
  [200, [3, 4, 77, 150]],
];

for (const status of [500, 400]) {
  for (const [items, bad] of ROWS) {
    Deno.test(`HTTP ${status}: ${items} items, bad ones ${bad}: the log goes with the good ones, the rest is dead-lettered in minutes`, async () => {
      const { goodMin, logMin, deadLetteredMin, world } = await tell({ items, bad, status });
      assert(goodMin <= 2, `the good ones after ${goodMin} min`);
      assert(logMin <= goodMin + 0.5, `the log after ${logMin} min`);
      assert(deadLetteredMin <= 10, `dead-lettered after ${deadLetteredMin} min`);
      const left = world.buffer.list({ state: "dead_lettered" });
      assertEquals(left.map(({ body }) => JSON.parse(body).updates.length), bad.map(() => 1));
    });
  }
}

Deno.test("a bad item without neighbours holds up no log, and keeps its ten attempts", async () => {
  for (const status of [500, 404, 400]) {
    const { logMin, deadLetteredMin } = await tell({ items: 1, bad: [0], status });
    assertEquals(logMin, 0, `HTTP ${status}`);
    assert(deadLetteredMin > 8, `HTTP ${status}: set aside after ${deadLetteredMin} min`);
  }
});

Deno.test("a bad item that is alone is dead-lettered after three refusals", async () => {
  const { world } = await tell({ items: 2, bad: [0], status: 400 });
  const alone = world.server.requests.filter(({ path, body }) => {
    const updates = body["updates"] as { severity: string }[];
    return path.endsWith("/updates") && updates.length === 1 && updates[0]?.severity === "dreadful";
  });
  assertEquals(alone.length, 3);
});

Deno.test("a restart in the middle holds up no log, and no neighbour", async () => {
  const world = new World();
  world.maxAttempts = 10;
  world.server.poison = { text: "dreadful", status: 500 };
  await world.start();
  world.buffer.append([
    {
      kind: "updates",
      commandId: "scan",
      snapshotOf: null,
      body: list({ items: 4, bad: [2], status: 500 }),
    },
    log("scan"),
  ]);
  await world.advance(0);
  for (let start = 0; start < 6; start++) {
    world.cutOff();
    await world.stop();
    await world.start();
    await world.advance(1.7 * INTERVAL_MS); // No restart brings the check-in before it forward.
  }
  const kinds = world.reports.map(({ report }) => report);
  assertEquals(kinds.filter((kind) => kind === "logs").length, 1);
  assertEquals(world.buffer.list().map(({ kind }) => kind), ["updates"]);
  world.cutOff();
  await world.stop();
});

Deno.test("a server that takes no list for a while costs a single item no more than before", async () => {
  // Logs get through: only what takes lists is broken, and no neighbour shows whose fault it is.
  const world = new World();
  world.maxAttempts = 10;
  await world.start();
  await world.advance(0);
  const item = (n: number) => ({
    kind: "updates" as const,
    commandId: `scan-${n}`,
    snapshotOf: null,
    body: list({ items: 1, bad: [], status: 500 }),
  });
  world.buffer.append([item(0), log("scan-0")]);
  world.loop.afterAppend();
  await world.advance(MINUTE_MS);
  assertEquals(world.reports.length, 2, "lists got through until now");
  world.server.poison = { text: '"updates"', status: 500 };
  world.buffer.append([item(1), log("scan-1")]);
  world.loop.afterAppend();
  await world.advance(20 * MINUTE_MS);
  assertEquals(world.reports.at(-1)?.body["command_id"], "scan-1");
  const { pending, deadLetters } = world.buffer.counts();
  assertEquals([pending, deadLetters], [1, 0]);
  world.server.poison = null;
  await world.advance(60 * MINUTE_MS);
  assertEquals(world.buffer.counts().pending, 0);
  await world.stop();
});
