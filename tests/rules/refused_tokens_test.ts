/** Tokens that the disk refused, at an agent that goes on. */

import { assertEquals } from "@std/assert";
import { loadIdentity } from "../../src/identity.ts";
import { World } from "../fakes/world.ts";

const INTERVAL_MS = 300_000;

Deno.test("an agent saves tokens that the disk refused once the disk takes its state again", async () => {
  const world = new World();
  await world.start();
  await world.advance(0);
  const stored = async () => (await loadIdentity(world.system, "/state"))?.accessToken;
  const before = await stored();
  world.system.files.fail("save the identity", "full");
  world.server.acceptedToken = "access-2";
  await world.advance(2 * INTERVAL_MS);
  assertEquals([await stored(), world.server.count("/renew")], [before, 1]);
  world.system.files.heal("save the identity");
  await world.advance(2 * INTERVAL_MS);
  assertEquals([await stored(), world.server.count("/renew")], ["access-2", 1]);
  await world.stop();
});
