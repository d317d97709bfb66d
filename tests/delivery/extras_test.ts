import { assert, assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { log, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;

function extra(number: number): NewEvent {
  const body = JSON.stringify({ event_type: "scan", metadata: { number } });
  return { kind: "agent_event", commandId: null, snapshotOf: null, body };
}

const breakers: NewEvent = {
  kind: "circuit_breakers",
  commandId: null,
  snapshotOf: null,
  body: '{"subsystems":[]}',
};

async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  world.maxAttempts = 3;
  await world.start();
  await work(world);
  await world.stop();
}

/** The agent events of each call that was accepted. */
function pages(
  { server }: World,
): { id: string; created_at: string; metadata: { number: number } }[][] {
  return server.reports.filter(({ report }) => report === "events")
    .map(({ body }) => body["events"] as []);
}

Deno.test("agent events go in pages, each with the id and the instant of its row, behind all results", () =>
  withWorld(async (world) => {
    world.buffer.append([...Array.from({ length: 150 }, (_, at) => extra(at)), log("c1")]);
    const rows = world.buffer.list({ state: "pending" }).filter(({ kind }) =>
      kind === "agent_event"
    );
    await world.advance(5 * MINUTE_MS);
    assertEquals(world.reports[0]?.report, "logs");
    const events = pages(world).flat();
    assert(pages(world).every((page) => page.length <= 100) && pages(world).length <= 4);
    assertEquals(events.map(({ metadata }) => metadata.number), rows.map((_, at) => at));
    assertEquals(events.map(({ id }) => id), rows.map(({ id }) => id));
    assertEquals(
      events.map(({ created_at }) => Date.parse(created_at)),
      rows.map(({ createdMs }) => Math.floor(createdMs)),
    );
    assertEquals(world.buffer.counts().pending, 0);
  }));

Deno.test("extras take a third of the server's window at most, and all go in the end", () =>
  withWorld(async (world) => {
    world.server.rateLimit = {
      "x-ratelimit-limit": "15",
      "x-ratelimit-remaining": "14",
      "x-ratelimit-reset": "60",
    };
    world.buffer.append(Array.from({ length: 60 }, () => breakers));
    await world.advance(15 * MINUTE_MS);
    const instants = world.server.requests.filter(({ path }) => path.endsWith("/circuit-breakers"))
      .map(({ atMs }) => atMs);
    assertEquals([instants.length, world.buffer.counts().pending], [60, 0]);
    for (const fromMs of instants) {
      const inWindow = instants.filter((atMs) => atMs >= fromMs && atMs < fromMs + MINUTE_MS);
      assert(inWindow.length <= 5, `${inWindow.length} within a minute`);
    }
  }));

Deno.test("a result does not wait for extras that have used up their third", () =>
  withWorld(async (world) => {
    world.buffer.append(Array.from({ length: 100 }, () => breakers));
    await world.advance(2 * MINUTE_MS);
    assert(world.buffer.counts().pending > 50);
    world.buffer.append([log("c1")]);
    world.loop.afterAppend();
    await world.advance(2_000);
    assertEquals(world.server.count("/logs"), 1);
    await world.advance(15 * MINUTE_MS);
  }));

Deno.test("an event that the server refuses holds up no other: they go one by one, and it becomes a dead letter", () =>
  withWorld(async (world) => {
    world.server.poison = { text: '"number":7}', status: 400 };
    world.buffer.append(Array.from({ length: 20 }, (_, at) => extra(at)));
    await world.advance(60 * MINUTE_MS);
    const arrived = pages(world).flat().map(({ metadata }) => metadata.number);
    assertEquals(new Set(arrived).size, 19);
    assertEquals(arrived.length, 19);
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals([pending, deadLetters], [0, 1]);
    assert(world.buffer.list({ state: "dead_lettered" })[0]?.body.includes('"number":7}'));
  }));

Deno.test("a server that has none of these routes takes the extras, and none is sent again", () =>
  withWorld(async (world) => {
    world.server.poison = { text: "event_type", status: 404 };
    world.server.isPoisonPlain = true;
    world.buffer.append(Array.from({ length: 20 }, (_, at) => extra(at)));
    await world.advance(10 * MINUTE_MS);
    assertEquals(world.buffer.counts().pending, 0);
    assert(world.server.count("/events") <= 2);
  }));

Deno.test("what the server takes of the agent's own events blames no report that fails, and begins no new try", () =>
  withWorld(async (world) => {
    world.server.poison = { text: '"command_id"', status: 500 };
    world.buffer.append(["c1", "c2", "c3", "c4"].map((id) => log(id)));
    const tries = () => world.server.requests.filter(({ path }) => path.endsWith("/logs")).length;
    for (let second = 0; second < 1_800; second += 5) {
      world.buffer.append([extra(second)]);
      await world.advance(5_000);
    }
    const waiting = world.buffer.list({ state: "pending" }).filter(({ kind }) => kind === "log");
    assertEquals(waiting.length, 4);
    assert(tries() < 60, `${tries()} tries in half an hour`);
  }));

for (const status of [500, 403]) {
  Deno.test(`a server that answers extras alone with ${status} delays no result and no check-in`, () =>
    withWorld(async (world) => {
      world.server.poison = { text: "event_type", status };
      world.server.isPoisonPlain = true;
      world.buffer.append(Array.from({ length: 20 }, (_, at) => extra(at)));
      for (let number = 0; number < 12; number++) {
        world.buffer.append([log(`c${number}`), extra(100 + number)]);
        world.loop.afterAppend();
        await world.advance(10_000);
        assertEquals(world.server.count("/logs"), number + 1);
        await world.advance(10 * MINUTE_MS);
      }
      assert(world.checkIns() >= 23, `${world.checkIns()}`);
      world.server.poison = null;
      await world.advance(2 * 60 * MINUTE_MS);
      assertEquals(world.buffer.counts().pending, 0);
    }));
}
