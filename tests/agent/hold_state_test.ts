import { assertEquals, assertRejects } from "@std/assert";
import { findHolder, HeldError, holdState } from "../../src/agent/hold_state.ts";
import { ConfigError } from "../../src/config.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("holdState() lets one agent in, and tells the second who it is", async () => {
  const system = new FakeSystem();
  const hold = await holdState(system, "/state", "run");
  const error = await assertRejects(() => holdState(system, "/state", "run"), HeldError);
  assertEquals(error.message.includes("Cannot run: process 4242 already runs"), true);
  assertEquals((await findHolder(system, "/state"))?.process_id, 4_242);
  await hold.release();
  assertEquals(await findHolder(system, "/state"), undefined);
  await (await holdState(system, "/state", "run")).release();
});

Deno.test("holdState() does without the other's word where that is damaged", async () => {
  const system = new FakeSystem();
  await holdState(system, "/state", "run");
  system.files.texts.set("/state/agent.json", "{");
  const error = await assertRejects(() => holdState(system, "/state", "run"), HeldError);
  assertEquals(error.message.includes("another process already runs"), true);
});

Deno.test("holdState() that cannot say who it is holds the folder all the same", async () => {
  const system = new FakeSystem();
  system.files.fail("tell who runs", "full");
  const hold = await holdState(system, "/state", "run");
  const error = await assertRejects(() => holdState(system, "/state", "run"), HeldError);
  assertEquals(error.message.includes("another process already runs"), true);
  assertEquals(await findHolder(system, "/state"), { process_id: null, since_ms: null });
  system.files.heal("tell who runs");
  await hold.renew();
  assertEquals((await findHolder(system, "/state"))?.process_id, 4_242);
});

Deno.test("holdState() goes on without a hold only where it is told to", async () => {
  const system = new FakeSystem();
  system.files.fail("lock the state folder", "denied");
  await assertRejects(() => holdState(system, "/state", "register"), FileError);
  const refusals: string[] = [];
  const options = { onRefused: ({ reason }: FileError) => refusals.push(reason) };
  const hold = await holdState(system, "/state", "run", options);
  assertEquals(refusals, ["denied"]);
  system.files.heal("lock the state folder");
  await hold.renew(); // As soon as the disk takes it.
  await assertRejects(() => holdState(system, "/state", "run", options), HeldError);
  assertEquals(refusals, ["denied"]);
});

Deno.test("renew() takes a folder that was made anew, and none that somebody else has", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const hold = await holdState(system, "/state", "run");
  files.texts.clear();
  files.locked.clear();
  await hold.renew();
  assertEquals(files.locked.has("/state/agent.lock"), true);
  assertEquals((await findHolder(system, "/state"))?.process_id, 4_242);
  files.identities.set("/state/agent.lock", "another"); // Its own process holds it, and not we.
  await assertRejects(() => hold.renew(), HeldError);
});

Deno.test("findHolder() does not take a killed agent's word for a running one", async () => {
  const system = new FakeSystem();
  await holdState(system, "/state", "run");
  system.files.locked.clear(); // The lock ends with its process, the word does not.
  assertEquals(await findHolder(system, "/state"), undefined);
});

Deno.test("holdState() makes no agent of root's at home in another user's folder", async () => {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => 0 };
  system.files.texts.set("/state/bait", "");
  system.files.owners.set("/state", 1_001);
  const options = { onRefused: () => {} };
  await assertRejects(() => holdState(system, "/state", "run", options), ConfigError, "user 1001");
  assertEquals(system.files.locked.size, 0);
});
