/**
 * What is in front of the server answers in its place: a filter, a gateway, a router whose server is just being
 * started. Nothing that it says is taken for the server's word.
 */

import { assert, assertEquals } from "@std/assert";
import type { HttpRequest, HttpResponse } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { log, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** An agent that has checked in, and what answers requests in the place of its server; `null`: nothing does. */
async function behind(
  stranger: (request: HttpRequest, server: () => Promise<HttpResponse>) =>
    | Promise<HttpResponse>
    | HttpResponse
    | null,
) {
  const world = new World();
  world.maxAttempts = 3;
  const { sendHttp } = world.server;
  const front = { stranger };
  world.server.sendHttp = async (request) => {
    const server = () => sendHttp(request);
    return await front.stranger(request, server) ?? await server();
  };
  await world.start();
  await world.advance(0);
  return { world, front };
}

const isReport = ({ method, url }: HttpRequest) => method === "POST" && !url.endsWith("/renew");

async function append(world: World, count: number): Promise<void> {
  world.buffer.append(Array.from({ length: count }, (_, number) => log(`c${number}`)));
  world.loop.afterAppend();
  await world.advance(0);
}

/** The commands of the logs that the server has. */
function storedLogs({ reports }: World): unknown[] {
  return reports.filter(({ report }) => report === "logs").map(({ body }) => body["command_id"]);
}

function waitingLogs({ buffer }: World): number {
  return buffer.list().filter(({ kind }) => kind === "log").length;
}

/** Answers that judge a report, if it is the server that gives them. */
const JUDGING: readonly [status: number, body: string][] = [
  [400, "<html>Bad Request</html>"],
  [409, "Conflict"],
  [422, "<html></html>"],
  [404, "404 page not found\n"],
  [403, "<html>blocked</html>"],
  [500, "<html>error</html>"],
  [200, '{"error":"upstream timeout"}'],
];

for (const [status, body] of JUDGING) {
  Deno.test(`no report is a dead letter by a stranger's word: ${status} ${body}`, async () => {
    const { world, front } = await behind(() => null);
    front.stranger = (request) => isReport(request) ? response(status, body) : null;
    await append(world, 5);
    await world.advance(6 * HOUR_MS);
    assertEquals([waitingLogs(world), world.buffer.counts().deadLetters], [5, 0]);
    assertEquals(storedLogs(world), []);
    front.stranger = () => null;
    await world.advance(2 * HOUR_MS);
    assertEquals([storedLogs(world).length, waitingLogs(world)], [5, 0]);
    await world.stop();
  });
}

/** What may come in the place of a good answer. */
const REPLACED: readonly [status: number, body: string][] = [
  [200, "<html></html>"],
  [204, ""],
  [403, "<html></html>"],
  [404, "404 page not found\n"],
  [500, "<html></html>"],
  [504, ""],
  [520, ""],
];

for (const [status, body] of REPLACED) {
  Deno.test(`a log is stored once although its answer is replaced each time: ${status} ${body}`, async () => {
    const { world, front } = await behind(() => null);
    world.server.hasResults = (ids) => ids.filter((id) => storedLogs(world).includes(id));
    front.stranger = async (request, server) => {
      if (!request.url.endsWith("/logs")) return await server();
      await server();
      return response(status, body);
    };
    world.server.queue("c0", "reboot");
    await world.advance(6 * HOUR_MS);
    assertEquals([storedLogs(world), waitingLogs(world)], [["c0"], 0]);
    assertEquals(world.buffer.counts().deadLetters, 0);
    await world.stop();
  });
}

Deno.test("a router's page neither ends an outage nor opens the breaker", async () => {
  const { world, front } = await behind(() => null);
  front.stranger = (request) => isReport(request) ? response(502, "<html>") : null;
  await append(world, 2);
  const before = world.agent.loop.state.connection.outage;
  assert(before !== null);
  front.stranger = (request) => isReport(request) ? response(404, "404 page not found\n") : null;
  await world.advance(MINUTE_MS);
  assertEquals(world.agent.loop.state.connection.outage?.sinceMs, before.sinceMs);
  assertEquals(world.log.told("connection recovered"), []);
  await world.stop();
});

Deno.test("a gateway that has no server is an outage, however soon it asks to come again", async () => {
  const { world, front } = await behind(() => null);
  front.stranger = () => response(503, '{"error":"no healthy upstream"}', { "retry-after": "5" });
  await world.advance(HOUR_MS);
  assertEquals(world.agent.loop.state.connection.breaker.state, "open");
  front.stranger = () => null;
  await world.stop();
});

Deno.test("a proxy that asks for a password has said nothing of the agent's tokens", async () => {
  const { world, front } = await behind(() => null);
  const headers = { "www-authenticate": 'Basic realm="proxy"' };
  front.stranger = () => response(401, "<html>", headers);
  await world.advance(HOUR_MS);
  const { operatorAction, doubt, outage } = world.agent.loop.state.connection;
  assertEquals([operatorAction, doubt, world.server.count("/renew")], [null, null, 0]);
  assert(outage?.why.includes("asks for a password"), outage?.why);
  front.stranger = () => null;
  await world.advance(HOUR_MS);
  assertEquals(world.agent.loop.state.connection.outage, null);
  await world.stop();
});
