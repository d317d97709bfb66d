import { assert, assertEquals } from "@std/assert";
import { log, World } from "../fakes/world.ts";

const ITEMS = 200;

function list(bad: ReadonlySet<number>): string {
  const updates = Array.from({ length: ITEMS }, (_, number) => ({
    package_name: `p${number}`,
    severity: bad.has(number) ? "dreadful" : "low",
  }));
  return JSON.stringify({ command_id: "scan", updates });
}

/** A loop that has a list and its command's log to tell, for two days. */
async function tell(bad: readonly number[], change: (world: World) => void = () => {}) {
  const world = new World();
  world.maxAttempts = 10;
  world.server.poison = { text: "dreadful", status: 500 };
  await world.start();
  world.buffer.append([
    { kind: "updates", commandId: "scan", snapshotOf: "u", body: list(new Set(bad)) },
    log("scan"),
  ]);
  change(world);
  await world.advance(2 * 86_400_000);
  await world.stop();
  const { reports } = world.server;
  const arrived = reports.filter(({ report }) => report === "updates")
    .flatMap(({ body }) => body["updates"] as { package_name: string }[]);
  return { world, arrived, requests: world.server.count("/updates") };
}

Deno.test("one bad item of 200, wherever it is: 199 arrive, one is set aside, in 18 requests", async () => {
  for (const bad of [0, 1, 24, 99, 100, 137, 198, 199]) {
    const { world, arrived, requests } = await tell([bad]);
    assertEquals(new Set(arrived.map((update) => update.package_name)).size, ITEMS - 1);
    assertEquals(arrived.length, ITEMS - 1);
    assert(requests <= 2 * Math.log2(ITEMS) + 3, `${requests} requests`);
    const { pending, setAside } = world.buffer.counts();
    assertEquals([pending, setAside], [0, 1]);
    assert(world.buffer.list()[0]?.body.includes(`"p${bad}"`));
    // What the command has to say comes after all of its list.
    assertEquals(world.server.reports.at(-1)?.report, "logs");
  }
});

Deno.test("several bad items are each alone in the end, and all others arrive", async () => {
  const bad = [3, 4, 77, 150];
  const { world, arrived } = await tell(bad);
  assertEquals(arrived.length, ITEMS - bad.length);
  assertEquals(world.buffer.counts().setAside, bad.length);
});

Deno.test("a server that breaks over every report for a day costs no attempt but one", async () => {
  const { world, arrived } = await tell([], ({ server, system }) => {
    server.poison = { text: "scan", status: 500 };
    void system.clock.sleep(86_400_000, new AbortController().signal).then(() => {
      server.poison = null;
    });
  });
  assertEquals(arrived.length, ITEMS);
  const { pending, setAside, appended, delivered } = world.buffer.counts();
  assertEquals([pending, setAside, appended - delivered], [0, 0, 0]);
  assert(world.server.count("/updates") < 500, `${world.server.count("/updates")} requests`);
});

Deno.test("a list that is too large goes out in halves", async () => {
  const { world, arrived, requests } = await tell([], ({ server }) => {
    server.poison = { text: '"p0","severity":"low"},{"package_name":"p1"', status: 413 };
  });
  assertEquals(arrived.length, ITEMS);
  assertEquals(world.buffer.counts().setAside, 0);
  assert(requests < 20, `${requests}`);
});
