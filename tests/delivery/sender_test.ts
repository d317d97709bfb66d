import { assert, assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { log, World } from "../fakes/world.ts";

const ITEMS = 200;
const MINUTE_MS = 60_000;

function list(bad: ReadonlySet<number>): string {
  const updates = Array.from({ length: ITEMS }, (_, number) => ({
    package_name: `p${number}`,
    severity: bad.has(number) ? "dreadful" : "low",
  }));
  return JSON.stringify({ command_id: "scan", updates });
}

/** A loop that has a list and its command's log to tell, for half a day: it takes ten minutes. */
async function tell(
  bad: readonly number[],
  change: (world: World) => void = () => {},
  hours = 12,
) {
  const world = new World();
  world.maxAttempts = 10;
  world.server.poison = { text: "dreadful", status: 500 };
  await world.start();
  world.buffer.append([
    { kind: "updates", commandId: "scan", snapshotOf: "u", body: list(new Set(bad)) },
    log("scan"),
  ]);
  change(world);
  await world.advance(hours * 60 * MINUTE_MS);
  await world.stop();
  const { reports } = world;
  const arrived = reports.filter(({ report }) => report === "updates")
    .flatMap(({ body }) => body["updates"] as { package_name: string }[]);
  return { world, arrived, requests: world.server.count("/updates") };
}

Deno.test("one bad item of 200, wherever it is: 199 arrive, one is dead-lettered, in 18 requests", async () => {
  for (const bad of [0, 1, 24, 99, 100, 137, 198, 199]) {
    const { world, arrived, requests } = await tell([bad]);
    assertEquals(new Set(arrived.map((update) => update.package_name)).size, ITEMS - 1);
    assertEquals(arrived.length, ITEMS - 1);
    assert(requests <= 2 * Math.log2(ITEMS) + 3, `${requests} requests`);
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals([pending, deadLetters], [0, 1]);
    assert(world.buffer.list()[0]?.body.includes(`"p${bad}"`));
    // What the command has to say comes after all of its list.
    assertEquals(world.reports.at(-1)?.report, "logs");
  }
});

Deno.test("one bad item is found by bisecting, with whichever status the server refuses it", async () => {
  for (const status of [400, 413, 422, 500]) {
    const { world, arrived } = await tell([77], ({ server }) => {
      server.poison = { text: "dreadful", status };
    });
    assertEquals(
      [arrived.length, world.buffer.counts().deadLetters],
      [ITEMS - 1, 1],
      String(status),
    );
  }
  const { arrived } = await tell([77], ({ server }) => {
    server.poison = { text: "dreadful", status: 409 };
  });
  assertEquals(arrived.length, 0, "a conflict is about the whole");
});

Deno.test("several bad items are each alone in the end, and all others arrive", async () => {
  const bad = [3, 4, 77, 150];
  const { world, arrived } = await tell(bad);
  assertEquals(arrived.length, ITEMS - bad.length);
  assertEquals(world.buffer.counts().deadLetters, bad.length);
});

Deno.test("a server that fails on every report for a day costs no attempt but one", async () => {
  const { world, arrived } = await tell([], ({ server, system }) => {
    server.poison = { text: "", status: 500 }; // The host's facts, too.
    void system.clock.sleep(86_400_000, new AbortController().signal).then(() => {
      server.poison = null;
    });
  }, 48);
  assertEquals(arrived.length, ITEMS);
  const { pending, deadLetters, appended, delivered } = world.buffer.counts();
  assertEquals([pending, deadLetters, appended - delivered], [0, 0, 0]);
  assert(world.server.count("/updates") < 500, `${world.server.count("/updates")} requests`);
});

Deno.test("a list that is too large goes out in halves", async () => {
  const { world, arrived, requests } = await tell([], ({ server }) => {
    server.poison = { text: '"p0","severity":"low"},{"package_name":"p1"', status: 413 };
  });
  assertEquals(arrived.length, ITEMS);
  assertEquals(world.buffer.counts().deadLetters, 0);
  assert(requests < 20, `${requests}`);
});

/** A loop that has checked in, and has so much to tell to a server that answers so to each. */
async function backlog(count: number, status: number, atOnce = true): Promise<World> {
  const world = new World();
  world.maxAttempts = 10;
  await world.start();
  await world.advance(0);
  world.server.poison = { text: "bad", status };
  const events = Array.from({ length: count }, (_, n): NewEvent => log(`c${n}`, "bad"));
  world.buffer.append(events);
  if (atOnce) await tellNow(world);
  return world;
}

async function tellNow(world: World): Promise<void> {
  world.loop.afterAppend();
  await world.advance(0);
}

/** What still waits is not waited for. */
async function end(world: World): Promise<void> {
  world.cutOff();
  await world.stop();
}

/** How many reports went out in each second, or each minute, from now on. */
async function perStep(world: World, { steps, stepMs }: { steps: number; stepMs: number }) {
  const counts: number[] = [];
  for (let step = 0; step < steps; step++) {
    const before = world.server.count("/logs");
    await world.advance(stepMs);
    counts.push(world.server.count("/logs") - before);
  }
  return counts;
}

Deno.test("a server that fails on all of a backlog gets a few reports, then the report breaker opens", async () => {
  for (const status of [500, 404]) {
    const world = await backlog(900, status);
    assertEquals(world.server.count("/logs"), 3);
    const seconds = await perStep(world, { steps: 60, stepMs: 1_000 });
    assert(Math.max(...seconds) <= 1, `${Math.max(...seconds)} in one second`);
    const minutes = await perStep(world, { steps: 59, stepMs: MINUTE_MS });
    const first = 3 + seconds.reduce((sum, count) => sum + count, 0);
    assert(first <= 24, `${first} in the first minute`);
    assert(Math.max(...minutes.slice(9)) <= 12, `${Math.max(...minutes.slice(9))} a minute`);
    const later = minutes.slice(9).reduce((sum, count) => sum + count, 0) / 50;
    assert(later >= 0.5 && later <= 4, `${later} a minute`);
    // Nothing of that counts against any of them, and one warning tells of it.
    assertEquals(world.buffer.list().filter(({ attempts }) => attempts > 0), []);
    const told = world.log.events.filter(({ message }) => message.endsWith("pausing reports"));
    assertEquals(told.filter(({ level }) => level === "warning").length, 1);
    world.server.poison = null;
    await perStep(world, { steps: 600, stepMs: 1_000 });
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals([world.reports.length, pending, deadLetters], [900, 0, 0]);
    await end(world);
  }
});

Deno.test("host facts for which a server has no route are no sign that it accepts reports", async () => {
  const world = await backlog(1, 404);
  world.server.poison = { text: "", status: 404 };
  world.server.isPoisonPlain = true;
  await perStep(world, { steps: 24, stepMs: 60 * MINUTE_MS });
  assert(world.server.count("/system-info") > 20, "host facts were told");
  assertEquals(world.buffer.list().map(({ state, attempts }) => [state, attempts]), [
    ["pending", 0],
  ]);
  await end(world);
});

Deno.test("the report breaker stays open when more is appended, and closes when a report gets through", async () => {
  const world = await backlog(6, 500);
  await world.advance(10 * MINUTE_MS);
  const before = world.server.count("/logs");
  while (world.server.count("/logs") === before) await world.advance(1_000);
  await world.advance(2_000);
  const tried = world.server.count("/logs");
  const pauses = () => world.log.told("server fails on reports; pausing reports");
  assert(Number(pauses().at(-1)?.["trips"]) > 1);
  const told = pauses().length;
  world.buffer.append([log("good")]);
  for (let more = 0; more < 20; more++) await tellNow(world);
  assert(world.server.count("/logs") - tried <= 1, "what is new hurries nobody");
  await world.advance(5 * MINUTE_MS);
  assertEquals(world.reports.map(({ body }) => body["command_id"]), ["good"]);
  // What it failed on is tried again once it accepts reports, and the pauses begin anew.
  const next = pauses().slice(told).map(({ trips }) => trips);
  assertEquals(next.slice(next.indexOf(1)), [1, 2]);
  await end(world);
});

Deno.test("a hundred events that it fails on do not hold up the good one behind them for ever", async () => {
  const world = await backlog(100, 500, false);
  world.buffer.append([log("good")]);
  await tellNow(world);
  await world.advance(3 * 60 * MINUTE_MS);
  assertEquals(world.reports.map(({ body }) => body["command_id"]), ["good"]);
  await end(world);
});

Deno.test("a server that refuses all of a backlog hears one a second, each at most once a minute", async () => {
  const world = await backlog(900, 400);
  assertEquals(world.server.count("/logs"), 3);
  const seconds = await perStep(world, { steps: 120, stepMs: 1_000 });
  assert(Math.max(...seconds) <= 1, `${Math.max(...seconds)} in one second`);
  assert(
    seconds.reduce((sum, count) => sum + count, 0) >= 110,
    "each gets its answer all the same",
  );
  assertEquals(Math.max(...world.buffer.list().map(({ attempts }) => attempts)), 3);
  await end(world);
});

Deno.test("slow start advances by what gets through, and by nothing else", async () => {
  const world = new World();
  world.server.poison = { text: "bad", status: 400 };
  await world.start();
  const events = Array.from({ length: 60 }, (_, n) => log(`c${n}`, n < 2 ? "bad" : "good"));
  world.buffer.append(events);
  await world.advance(0);
  const seconds = [world.server.count("/logs")];
  seconds.push(...await perStep(world, { steps: 6, stepMs: 1_000 }));
  assertEquals(seconds, [1, 1, 1, 2, 4, 8, 16]);
  await end(world);
});

Deno.test("slow start is over when the buffer is empty: later events go out at once", async () => {
  const world = new World();
  await world.start();
  world.buffer.append([log("left")]);
  await world.advance(0);
  assertEquals(world.server.count("/logs"), 1);
  await world.advance(10_000);
  world.buffer.append(Array.from({ length: 9 }, (_, n) => log(`c${n}`)));
  world.loop.afterAppend();
  await world.advance(0);
  assertEquals(world.server.count("/logs"), 10);
  await end(world);
});

Deno.test("deliveries are logged, one event as well as many, with the number of pending events", async () => {
  const world = new World();
  await world.start();
  world.buffer.append([log("a"), log("b")]);
  await world.advance(0);
  await world.advance(1_000);
  assertEquals(world.log.told("events delivered"), [
    { delivered: 1, pending: 1 },
    { delivered: 1, pending: 0 },
  ]);
  await end(world);
});

Deno.test("a report that fails spends the server's window too, where it says so", async () => {
  for (const status of [400, 500]) {
    const world = await backlog(5, status, false);
    const nowMs = world.system.clock.nowMs();
    world.server.rateLimit = {
      date: new Date(nowMs).toUTCString(),
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(Math.ceil(nowMs / 1_000) + 120),
    };
    await tellNow(world);
    await world.advance(119_000);
    assertEquals(world.server.count("/logs"), 1, `HTTP ${status}`);
    world.server.rateLimit = {};
    await world.advance(5 * MINUTE_MS);
    assert(world.server.count("/logs") > 1);
    await end(world);
  }
});

Deno.test("resetConnection() closes the report breaker too, as an operator asks for it", async () => {
  const world = await backlog(50, 500);
  await world.advance(60 * MINUTE_MS);
  world.server.poison = null;
  world.loop.resetConnection();
  await world.advance(1_000);
  assert(world.reports.length > 0);
  await end(world);
});

Deno.test("an answer that says nothing of the event costs it no attempt, and ends the round", async () => {
  const hour = 60 * MINUTE_MS;
  for (
    const [status, requests, withinMs] of [[401, 2, 2 * hour], [429, 1, hour]] as const
  ) {
    const world = await backlog(3, status);
    const tried = world.server.requests.filter(({ path }) => path.endsWith("/logs"));
    assert(tried.length <= requests, `HTTP ${status}: ${tried.length} requests`);
    assertEquals(new Set(tried.map(({ body }) => body["command_id"])), new Set(["c0"]));
    assertEquals(world.log.told("step failed"), [], `HTTP ${status}`);
    assertEquals(world.log.told("event refused"), [], `HTTP ${status}`);
    assertEquals(world.buffer.list().map(({ state, attempts }) => [state, attempts]), [
      ["pending", 0],
      ["pending", 0],
      ["pending", 0],
    ]);
    world.server.poison = null;
    await world.advance(withinMs);
    assertEquals(world.reports.length, 3, `HTTP ${status}`);
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals([pending, deadLetters], [0, 0], `HTTP ${status}`);
    await end(world);
  }
});

Deno.test("a shutdown whose deadline passes in the middle of its reports begins no other report, and refuses none", async () => {
  const world = new World();
  const { sendHttp } = world.server;
  world.server.sendHttp = (request) => {
    if (request.url.endsWith("/logs")) world.cutOff();
    return sendHttp(request);
  };
  await world.start();
  await world.advance(0);
  world.buffer.append([log("a"), log("b")]);
  await world.stop();
  assertEquals(world.reports.map(({ body }) => body["command_id"]), ["a"]);
  assertEquals(world.buffer.list().map(({ attempts }) => attempts), [0]);
  assertEquals(world.log.told("step failed"), []);
});

Deno.test("a server that fails on reports is logged with the seconds for which reports are paused at least", async () => {
  const world = await backlog(0, 500, false);
  await world.advance(60 * MINUTE_MS); // The clock does not begin at nothing.
  // More than the eight that go at once, as host facts were accepted before: what was tried waits a minute.
  world.buffer.append(Array.from({ length: 20 }, (_, n) => log(`c${n}`, "bad")));
  await tellNow(world);
  const count = () => world.server.count("/logs");
  const told = () => world.log.told("server fails on reports; pausing reports");
  for (let trip = 1; trip <= 2; trip++) {
    for (let step = 0; step < 1_200 && told().length < trip; step++) await world.advance(100);
    const { why, trips, paused_for_s } = told()[trip - 1] ?? {};
    assertEquals([why, trips], ["HTTP 500: poison", trip]);
    const before = count();
    // It may have been told of up to 100 ms ago.
    await world.advance((Number(paused_for_s) - 1) * 1_000 - 100);
    assertEquals(count(), before, `trip ${trip}, ${paused_for_s} s`);
    await world.advance(1_100);
    assert(count() > before, `trip ${trip}, ${paused_for_s} s`);
  }
  await end(world);
});

Deno.test("ten reports are a burst, which is begun on a server whose health is known; nine are none", async () => {
  for (const [count, asked] of [[9, 0], [10, 1]] as const) {
    const world = await backlog(count, 500, false);
    world.server.poison = null;
    const before = world.server.count("/health");
    await tellNow(world);
    assertEquals(world.server.count("/health") - before, asked, `${count} reports`);
    assertEquals(world.server.count("/logs"), count);
    await end(world);
  }
});

Deno.test("a dead letter that an operator requeues does not wait", async () => {
  const world = new World();
  world.maxAttempts = 2;
  world.server.poison = { text: "dreadful", status: 409 };
  await world.start();
  const event = (body: string) => ({ ...log("x", body), commandId: null });
  const [first = ""] = world.buffer.append([event("dreadful 1")]).ids;
  world.loop.afterAppend();
  await world.advance(MINUTE_MS - 5_000);
  // This one still waits when the first is dead-lettered: not everything that was put off is forgotten.
  world.buffer.append([event("dreadful 2")]);
  world.loop.afterAppend();
  while (world.buffer.counts().deadLetters === 0) await world.advance(1_000);
  assertEquals(world.buffer.counts().pending, 1);
  world.server.poison = null;
  world.buffer.requeue([first]);
  world.loop.afterAppend();
  const before = world.reports.length;
  await world.advance(5_000);
  const { body } = world.reports[before] ?? {};
  assertEquals(body?.["text"], "dreadful 1");
  await world.stop();
});

Deno.test("lists that a server fails on are counted as wholes too: after three reports they go slowly", async () => {
  const world = await backlog(0, 500, false);
  world.server.poison = { text: "dreadful", status: 500 };
  const everything = new Set(Array.from({ length: ITEMS }, (_, number) => number));
  const lists = Array.from({ length: 9 }, (_, n): NewEvent => ({
    kind: "updates",
    commandId: `c${n}`,
    snapshotOf: null,
    body: list(everything),
  }));
  world.buffer.append(lists);
  await tellNow(world);
  assertEquals(world.server.count("/updates"), 3);
  await end(world);
});

Deno.test("a new event is sent at once, though all pending ones were postponed a moment ago", async () => {
  const world = await backlog(2, 409);
  await world.advance(5_000);
  assertEquals(world.buffer.list().map(({ attempts }) => attempts), [1, 1]);
  world.buffer.append([log("good")]);
  await tellNow(world);
  assertEquals(world.reports.map(({ body }) => body["command_id"]), ["good"]);
  await end(world);
});
