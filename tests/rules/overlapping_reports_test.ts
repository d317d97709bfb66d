import { assert, assertEquals } from "@std/assert";
import type { Answer } from "../../src/server/answer.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { fakeConnection, fine, gone } from "../fakes/connection.ts";
import { inWorld, log, NEVER, type World } from "../fakes/world.ts";

const LOGS = 30;

/** Has a report delivered, so that the server's limits are known, and then lets reports hang. */
async function letHang(world: World): Promise<void> {
  world.buffer.append([log("first")]);
  world.loop.afterAppend();
  await world.advance(0);
  assertEquals(world.reports.length, 1);
  world.server.hangsAt = "/logs";
  world.buffer.append(Array.from({ length: LOGS }, (_, number) => log(`c${number}`)));
  world.loop.afterAppend();
  await world.advance(0);
}

Deno.test("eight reports are on their way at once, once the server has answered one", () =>
  inWorld(async (world) => {
    await letHang(world);
    assertEquals(world.server.hanging, 8);
    world.server.hangsAt = null;
    world.server.answerHanging();
    await world.advance(1_000);
    assertEquals(world.reports.length, 1 + LOGS);
    assertEquals(world.buffer.counts().pending, 0);
  }));

Deno.test("after reports without an answer the next goes alone, and then two, four and eight", () =>
  inWorld(async (world) => {
    await letHang(world);
    const most: number[] = [];
    let isOnTheWay = 0;
    let sinceFailure = 0;
    const { sendHttp } = world.server;
    world.server.sendHttp = async (request) => {
      if (!request.url.endsWith("/logs")) return await sendHttp(request);
      isOnTheWay += 1;
      most[sinceFailure] = Math.max(most[sinceFailure] ?? 0, isOnTheWay);
      await world.system.clock.sleep(100, new AbortController().signal);
      isOnTheWay -= 1;
      sinceFailure += 1;
      return await sendHttp(request);
    };
    world.server.hangsAt = null;
    await world.advance(INTERVAL_MS); // Eight have had no answer in time.
    assertEquals(world.reports.length, 1 + LOGS);
    assertEquals([most.slice(0, 4), Math.max(...Object.values(most))], [[1, 2, 4, 8], 8]);
  }));

Deno.test("reports go one by one until the server has said how many it takes", () =>
  inWorld(async (world) => {
    world.server.hangsAt = "/logs";
    world.buffer.append([log("a"), log("b")]);
    world.loop.afterAppend();
    await world.advance(0);
    assertEquals(world.server.hanging, 1);
    world.cutOff();
  }));

Deno.test("no more reports are on their way than the server's window has room for", () =>
  inWorld(async (world) => {
    world.server.rateLimit = {
      "x-ratelimit-limit": "30",
      "x-ratelimit-remaining": "3",
      "x-ratelimit-reset": String(Math.floor(world.system.clock.nowMs() / 1_000) + 60),
    };
    await letHang(world);
    assertEquals(world.server.hanging, 3);
    world.cutOff();
  }));

Deno.test("check-ins keep their time while reports get no answer", () =>
  inWorld(async (world) => {
    await letHang(world);
    const before = world.checkIns();
    await world.advance(10 * INTERVAL_MS);
    const checkIns = world.checkIns() - before;
    assert(checkIns >= 9 && checkIns <= 11, `${checkIns} check-ins`);
    world.cutOff();
  }));

Deno.test("a command that comes while reports get no answer is run at once", () =>
  inWorld(async (world) => {
    await letHang(world);
    world.server.queue("scan", "install_updates");
    await world.advance(1.1 * INTERVAL_MS);
    assertEquals(world.ran, ["scan"]);
    world.cutOff();
  }));

Deno.test("a stop waits for the reports that are on their way, and cuts them off in the end", () =>
  inWorld(async (world) => {
    await letHang(world);
    const stopped = world.stop();
    await world.advance(1_000);
    assertEquals(world.server.hanging, 8);
    world.cutOff();
    await stopped;
    assertEquals(world.buffer.counts().pending, LOGS);
  }));

const limited: Answer<string> = { kind: "limited", why: "HTTP 429", retryAfterMs: null };

async function failTogether(bad: Answer<string>): Promise<void> {
  const { clock, connection } = fakeConnection();
  const answers: ((answer: Answer<string>) => void)[] = [];
  const calls = Array.from({ length: 8 }, () =>
    connection.attempt("delivery", () => {
      const { promise, resolve } = Promise.withResolvers<Answer<string>>();
      answers.push(resolve);
      return promise;
    }));
  await clock.advance(0);
  assertEquals(answers.length, 8);
  for (const answer of answers) answer(bad);
  assertEquals((await Promise.all(calls)).map(({ kind }) => kind), Array(8).fill(bad.kind));
  const { breaker, paths } = connection.state;
  assertEquals([paths.delivery.failures, breaker.state], [1, "closed"]);
  await clock.advance(connection.waitMs("delivery"));
  await connection.attempt("delivery", () => Promise.resolve(bad), { signal: NEVER });
  assertEquals(connection.state.paths.delivery.failures, 2);
}

Deno.test("calls on their way together that fail count as one, and the next anew", async () => {
  await failTogether(gone);
  await failTogether(limited);
});

Deno.test("reports of a burst that begin together ask for health once", async () => {
  const { connection, asked } = fakeConnection();
  const calls = Array.from(
    { length: 8 },
    () => connection.attempt("delivery", () => Promise.resolve(fine), { isBurst: true }),
  );
  assertEquals((await Promise.all(calls)).map(({ kind }) => kind), Array(8).fill("ok"));
  assertEquals(asked.length, 1);
});

Deno.test("a check-in that fails while reports fail counts for its own path", async () => {
  const { connection } = fakeConnection();
  const { promise, resolve } = Promise.withResolvers<Answer<string>>();
  const report = connection.attempt("delivery", () => promise);
  const checkIn = connection.attempt("check_in", () => promise);
  resolve(gone);
  await Promise.all([report, checkIn]);
  const { delivery, check_in } = connection.state.paths;
  assertEquals([delivery.failures, check_in.failures], [1, 1]);
});
