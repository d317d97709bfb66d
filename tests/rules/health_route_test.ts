/** A proxy that passes on the API of the server and answers `/health` by itself. */

import { assertEquals } from "@std/assert";
import { response } from "../fakes/response.ts";
import { log, World } from "../fakes/world.ts";

const INTERVAL_MS = 300_000;

/** What such a proxy says of `/health`. */
const STRANGE = [
  [404, "404 page not found"],
  [404, '{"error":"not found"}'],
  [401, "<html>"],
  [403, "<html>"],
  [405, ""],
  [200, "<html>dashboard</html>"],
  [200, ""],
  [302, ""],
  // A gateway's own idea of health, or of how often it may be asked for.
  [200, '{"status":"UP"}'],
  [200, '{"status":"degraded"}'],
  [429, ""],
  [408, ""],
  [403, '{"error":"forbidden"}'],
] as const;

/** An agent that has checked in. */
async function behindProxy(status: number, body: string): Promise<World> {
  const world = new World();
  const { sendHttp } = world.server;
  world.server.sendHttp = async (request) => {
    const answer = await sendHttp(request);
    return request.url.endsWith("/health") ? response(status, body) : answer;
  };
  await world.start();
  await world.advance(0);
  return world;
}

for (const [status, body] of STRANGE) {
  Deno.test(`an agent for which /health leads elsewhere returns after an outage: ${status} ${body}`, async () => {
    const world = await behindProxy(status, body);
    world.server.mood = { kind: "gone" };
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.agent.loop.state.connection.breaker.state, "open");
    world.server.mood = { kind: "well" };
    world.buffer.append(Array.from({ length: 12 }, (_, n) => log(`c${n}`)));
    await world.advance(2 * INTERVAL_MS);
    const { breaker, outage } = world.agent.loop.state.connection;
    assertEquals([breaker.state, outage], ["closed", null]);
    assertEquals([world.reports.length, world.buffer.counts().pending], [12, 0]);
    await world.stop();
  });

  Deno.test(`a burst of reports needs no /health that leads elsewhere: ${status} ${body}`, async () => {
    const world = await behindProxy(status, body);
    const before = world.checkIns();
    world.buffer.append(Array.from({ length: 12 }, (_, n) => log(`c${n}`)));
    world.loop.afterAppend();
    await world.advance(3 * INTERVAL_MS);
    assertEquals([world.reports.length, world.checkIns() - before], [12, 3]);
    await world.stop();
  });
}
