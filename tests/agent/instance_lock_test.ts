import { assertEquals, assertRejects } from "@std/assert";
import { findHolder, HeldError, holdState } from "../../src/agent/instance_lock.ts";
import { ConfigError } from "../../src/config.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("holdState() lets one agent in, and tells the second who it is", async () => {
  const system = new FakeSystem();
  const hold = await holdState(system, "/state", "run");
  const error = await assertRejects(() => holdState(system, "/state", "run"), HeldError);
  assertEquals(error.message.includes("Cannot run: process 4242 already runs"), true);
  assertEquals((await findHolder(system, "/state"))?.process_id, 4_242);
  assertEquals(system.files.modes.get("/state/agent.json"), 0o600);
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

const NOTE = "/state/agent.json";

Deno.test("renew() of a folder that is still the same asks for no lock, and says nothing anew", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const hold = await holdState(system, "/state", "run");
  const told = files.texts.get(NOTE);
  const { lock } = files;
  files.lock = () => Promise.reject(new Error("it was locked again"));
  await system.clock.advance(60_000);
  await hold.renew();
  files.lock = lock;
  assertEquals([files.texts.get(NOTE), [...files.locked]], [told, ["/state/agent.lock"]]);
  await hold.release();
  assertEquals([files.texts.has(NOTE), [...files.locked]], [false, []]);
});

Deno.test("renew() of a folder made anew lets go of the old lock, and says anew who runs", async () => {
  const system = new FakeSystem();
  const { files } = system;
  files.identities.set("/state/agent.lock", "first");
  const released: string[] = [];
  const { lock } = files;
  files.lock = async (purpose, path) => {
    // An old one's lock is another file's, and hinders nobody.
    files.locked.clear();
    const name = files.identities.get(path) ?? "";
    const taken = await lock.call(files, purpose, path);
    return taken && {
      release() {
        released.push(name);
        taken.release();
      },
    };
  };
  const hold = await holdState(system, "/state", "run");
  files.texts.delete(NOTE);
  files.identities.set("/state/agent.lock", "second");
  await system.clock.advance(60_000);
  await hold.renew();
  assertEquals(JSON.parse(files.texts.get(NOTE) ?? ""), {
    process_id: 4_242,
    since_ms: system.clock.nowMs(),
  });
  await hold.renew(); // It is known now.
  assertEquals(released, ["first"]);
  await hold.release();
  assertEquals(released, ["first", "second"]);
});

Deno.test("release() without a hold leaves the word of who has it, and may be told again", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const other = '{"process_id":7,"since_ms":1}';
  files.texts.set(NOTE, other);
  files.fail("lock the state folder", "denied");
  const hold = await holdState(system, "/state", "run", { onRefused: () => {} });
  await hold.release();
  assertEquals(files.texts.get(NOTE), other);
  files.heal("lock the state folder");
  const own = await holdState(system, "/state", "run");
  await own.release();
  files.texts.set(NOTE, other);
  await own.release();
  assertEquals(files.texts.get(NOTE), other);
});

Deno.test("the word of who runs is always as long, and written over where the disk is full", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const first = await holdState(system, "/state", "run");
  const length = files.texts.get(NOTE)?.length;
  assertEquals(length, 101);
  // Killed: its word is left, and the lock is free.
  files.locked.clear();
  system.processId = 1_234_567;
  const { writeText } = files;
  files.writeText = () => Promise.reject(new FileError("Cannot write: full", { reason: "full" }));
  const second = await holdState(system, "/state", "run");
  files.writeText = writeText;
  assertEquals(files.texts.get(NOTE)?.length, length);
  assertEquals((await findHolder(system, "/state"))?.process_id, 1_234_567);
  await second.release();
  await first.release();
});

Deno.test("release() goes on where the disk does not let the word be removed", async () => {
  const system = new FakeSystem();
  const hold = await holdState(system, "/state", "run");
  system.files.fail("tell who runs", "denied");
  await hold.release();
  assertEquals(system.files.locked.size, 0);
});

Deno.test("findHolder() makes no lock where there is none, and goes by the word on a read-only disk", async () => {
  const system = new FakeSystem();
  const { files } = system;
  assertEquals(await findHolder(system, "/state"), undefined);
  assertEquals(files.texts.size, 0);
  await holdState(system, "/state", "run");
  files.fail("look for the lock", "denied");
  await assertRejects(() => findHolder(system, "/state"), FileError);
  files.heal("look for the lock");
  const { lock } = files;
  files.lock = () => Promise.reject(new FileError("Cannot lock: read-only", { reason: "denied" }));
  assertEquals((await findHolder(system, "/state"))?.process_id, 4_242);
  files.lock = () => Promise.reject(new TypeError("a mistake"));
  await assertRejects(() => findHolder(system, "/state"), TypeError);
  files.lock = lock;
  files.texts.set(NOTE, '{"process_id":"7"}');
  assertEquals(await findHolder(system, "/state"), { process_id: null, since_ms: null });
});

Deno.test("findHolder() lets go of a lock that it took to look", async () => {
  const system = new FakeSystem();
  const hold = await holdState(system, "/state", "run");
  await hold.release();
  assertEquals(await findHolder(system, "/state"), undefined);
  assertEquals(system.files.locked.size, 0);
});
