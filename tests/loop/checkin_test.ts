import { assertEquals } from "@std/assert";
import { INTERVAL_MS, inWorld, type World } from "../fakes/world.ts";

/** A command whose log reaches the server, while its answer does not; then the server is well. */
async function loseAnswer(world: World): Promise<void> {
  const { server } = world;
  world.handler = {
    repeatable: true,
    run: (command) => {
      server.mood = { kind: "hangs" };
      return Promise.resolve(world.done(command));
    },
  };
  server.queue("c1", "scan_updates");
  await world.advance(INTERVAL_MS);
  assertEquals([server.count("/logs"), server.reports.length], [1, 0]);
  await world.advance(40_000); // Past the call's time limit.
  assertEquals(world.journal.unconfirmed(), ["c1"]);
  server.answerHanging();
}

function asked(world: World): unknown[] {
  return world.server.requests.filter(({ path }) => path.endsWith("/commands"))
    .map(({ body }) => body["pending_acknowledgments"]).filter((ids) => ids !== undefined);
}

Deno.test("checkIn() asks for the result whose answer was lost, and it is not sent again", () =>
  inWorld(async (world) => {
    world.server.hasResults = (ids) => [...ids];
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(asked(world), [["c1"]]);
    assertEquals([world.server.count("/logs"), world.buffer.counts().pending], [1, 0]);
    assertEquals(world.journal.counts().reported, 1);
  }));

Deno.test("checkIn() that gets no word on it sends the result again", () =>
  inWorld(async (world) => {
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(asked(world), [["c1"]]);
    assertEquals([world.server.count("/logs"), world.buffer.counts().pending], [2, 0]);
    assertEquals(world.journal.counts().reported, 1);
  }));

Deno.test("a result without an answer goes again right after the check-in that asked for it", () =>
  inWorld(async (world) => {
    const { server } = world;
    world.handler = {
      repeatable: true,
      run: (command) => Promise.resolve(world.done(command, 600_000)),
    };
    server.poison = { text: "c1", status: 502 };
    server.queue("c1", "scan_updates");
    while (server.count("/logs") === 0) await world.advance(100);
    server.poison = null;
    await world.advance(20_000); // Rapid polling: a check-in every 5 s.
    assertEquals([server.count("/logs"), server.reports.length], [2, 1]);
  }));

Deno.test("checkIn() believes no word on a result that was not asked for", () =>
  inWorld(async (world) => {
    world.server.hasResults = () => ["c1", "c2", "other"];
    world.journal.receive([{ id: "c2", type: "reboot", params: "{}" }]);
    world.server.mood = { kind: "gone" };
    world.journal.finish("c2", () => {
      const body = '{"command_id":"c2"}';
      world.buffer.append([{ kind: "log", commandId: "c2", snapshotOf: null, body }]);
    });
    assertEquals(world.journal.confirm(["c2"]), 0);
    world.server.mood = { kind: "well" };
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.server.reports.map(({ body }) => body["command_id"]), ["c2"]);
    assertEquals(asked(world), []);
  }));

Deno.test("checkIn() says nothing of results while there is none to ask for", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "scan_updates");
    await world.advance(3 * INTERVAL_MS);
    assertEquals([asked(world), world.journal.counts().reported], [[], 1]);
  }));

Deno.test("checkIn() asks the disk for nothing but what it asked the server for", () =>
  inWorld(async (world) => {
    const looked: (readonly string[])[] = [];
    const confirm = world.journal.confirm.bind(world.journal);
    world.journal.confirm = (ids) => {
      looked.push(ids);
      return confirm(ids);
    };
    const others = Array.from({ length: 100_000 }, (_, number) => `other-${number}`);
    world.server.hasResults = (ids) => ["../x", ...ids, ...others];
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(looked.filter((ids) => ids.length > 0), [["c1"]]);
    assertEquals(world.journal.counts().reported, 1);
    const told = world.log.told("part of an answer ignored").map((
      { part, count },
    ) => [part, count]);
    assertEquals(told, [["acknowledged_ids", 1], ["acknowledged_ids", 99_002]]);
  }));
