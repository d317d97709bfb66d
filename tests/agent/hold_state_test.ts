import { assertEquals, assertRejects } from "@std/assert";
import { findHolder, HeldError, holdState } from "../../src/agent/hold_state.ts";
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

Deno.test("holdState() that cannot say who it is lets go of the folder", async () => {
  const system = new FakeSystem();
  system.files.fail("tell who runs", "full");
  await assertRejects(() => holdState(system, "/state", "run"), FileError);
  system.files.heal("tell who runs");
  await holdState(system, "/state", "run");
});

Deno.test("findHolder() does not take a killed agent's word for a running one", async () => {
  const system = new FakeSystem();
  await holdState(system, "/state", "run");
  system.files.locked.clear(); // The lock ends with its process, the word does not.
  assertEquals(await findHolder(system, "/state"), undefined);
});
