import { assertEquals, assertRejects } from "@std/assert";
import { acquireInstanceLock, findLockHolder, LockedError } from "../../src/agent/instance_lock.ts";
import { ConfigError } from "../../src/config.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("acquireInstanceLock() admits one agent, and names it to the second", async () => {
  const system = new FakeSystem();
  const hold = await acquireInstanceLock(system, "/state", "run");
  const error = await assertRejects(
    () => acquireInstanceLock(system, "/state", "run"),
    LockedError,
  );
  assertEquals(error.message.includes("Cannot run: process 4242 already runs"), true);
  assertEquals((await findLockHolder(system, "/state"))?.process_id, 4_242);
  assertEquals(system.files.modes.get("/state/agent.json"), 0o600);
  await hold.release();
  assertEquals(await findLockHolder(system, "/state"), undefined);
  await (await acquireInstanceLock(system, "/state", "run")).release();
});

Deno.test("acquireInstanceLock() names no holder where the file is unreadable", async () => {
  const system = new FakeSystem();
  await acquireInstanceLock(system, "/state", "run");
  system.files.texts.set("/state/agent.json", "{");
  const error = await assertRejects(
    () => acquireInstanceLock(system, "/state", "run"),
    LockedError,
  );
  assertEquals(error.message.includes("another process already runs"), true);
});

Deno.test("acquireInstanceLock() locks the directory even if the holder's file cannot be written", async () => {
  const system = new FakeSystem();
  system.files.fail("save the lock holder", "full");
  const hold = await acquireInstanceLock(system, "/state", "run");
  const error = await assertRejects(
    () => acquireInstanceLock(system, "/state", "run"),
    LockedError,
  );
  assertEquals(error.message.includes("another process already runs"), true);
  assertEquals(await findLockHolder(system, "/state"), { process_id: null, since_ms: null });
  system.files.heal("save the lock holder");
  await hold.renew();
  assertEquals((await findLockHolder(system, "/state"))?.process_id, 4_242);
});

Deno.test("acquireInstanceLock() continues without a lock only with onRefused", async () => {
  const system = new FakeSystem();
  system.files.fail("lock the state directory", "denied");
  await assertRejects(() => acquireInstanceLock(system, "/state", "register"), FileError);
  const refusals: string[] = [];
  const options = { onRefused: ({ reason }: FileError) => refusals.push(reason) };
  const hold = await acquireInstanceLock(system, "/state", "run", options);
  assertEquals(refusals, ["denied"]);
  system.files.heal("lock the state directory");
  await hold.renew(); // As soon as the disk takes it.
  await assertRejects(() => acquireInstanceLock(system, "/state", "run", options), LockedError);
  assertEquals(refusals, ["denied"]);
});

Deno.test("renew() locks a directory that was created anew, and none that another agent has locked", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const hold = await acquireInstanceLock(system, "/state", "run");
  files.texts.clear();
  files.locked.clear();
  await hold.renew();
  assertEquals(files.locked.has("/state/agent.lock"), true);
  assertEquals((await findLockHolder(system, "/state"))?.process_id, 4_242);
  files.identities.set("/state/agent.lock", "another"); // Its own process holds it, and not we.
  await assertRejects(() => hold.renew(), LockedError);
});

Deno.test("findLockHolder() ignores the file of a killed agent", async () => {
  const system = new FakeSystem();
  await acquireInstanceLock(system, "/state", "run");
  system.files.locked.clear(); // The lock ends with its process, the word does not.
  assertEquals(await findLockHolder(system, "/state"), undefined);
});

Deno.test("acquireInstanceLock() refuses another user's directory for root", async () => {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => 0 };
  system.files.texts.set("/state/bait", "");
  system.files.owners.set("/state", 1_001);
  const options = { onRefused: () => {} };
  await assertRejects(
    () => acquireInstanceLock(system, "/state", "run", options),
    ConfigError,
    "user 1001",
  );
  assertEquals(system.files.locked.size, 0);
});

const NOTE = "/state/agent.json";

Deno.test("renew() of an unchanged directory locks nothing, and writes nothing", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const hold = await acquireInstanceLock(system, "/state", "run");
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

Deno.test("renew() of a directory created anew releases the old lock, and writes the holder again", async () => {
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
  const hold = await acquireInstanceLock(system, "/state", "run");
  files.texts.delete(NOTE);
  files.identities.set("/state/agent.lock", "second");
  await system.clock.advance(60_000);
  await hold.renew();
  assertEquals(JSON.parse(files.texts.get(NOTE) ?? ""), {
    schema: "pennon.lock-holder/1",
    process_id: 4_242,
    since_at: new Date(system.clock.nowMs()).toISOString(),
  });
  await hold.renew(); // It is known now.
  assertEquals(released, ["first"]);
  await hold.release();
  assertEquals(released, ["first", "second"]);
});

Deno.test("release() without a lock leaves the other holder's file, and may be called twice", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const other = '{"process_id":7,"since_ms":1}';
  files.texts.set(NOTE, other);
  files.fail("lock the state directory", "denied");
  const hold = await acquireInstanceLock(system, "/state", "run", { onRefused: () => {} });
  await hold.release();
  assertEquals(files.texts.get(NOTE), other);
  files.heal("lock the state directory");
  const own = await acquireInstanceLock(system, "/state", "run");
  await own.release();
  files.texts.set(NOTE, other);
  await own.release();
  assertEquals(files.texts.get(NOTE), other);
});

Deno.test("the holder's file has one length, and is overwritten in place where the disk is full", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const first = await acquireInstanceLock(system, "/state", "run");
  const length = files.texts.get(NOTE)?.length;
  assertEquals(length, 101);
  // Killed: its word is left, and the lock is free.
  files.locked.clear();
  system.processId = 1_234_567;
  const { writeText } = files;
  files.writeText = () => Promise.reject(new FileError("Cannot write: full", { reason: "full" }));
  const second = await acquireInstanceLock(system, "/state", "run");
  files.writeText = writeText;
  assertEquals(files.texts.get(NOTE)?.length, length);
  assertEquals((await findLockHolder(system, "/state"))?.process_id, 1_234_567);
  await second.release();
  await first.release();
});

Deno.test("release() releases the lock where the holder's file cannot be removed", async () => {
  const system = new FakeSystem();
  const hold = await acquireInstanceLock(system, "/state", "run");
  system.files.fail("remove the lock holder", "denied");
  await hold.release();
  assertEquals(system.files.locked.size, 0);
});

Deno.test("findLockHolder() makes no lock where there is none, and reads the file on a read-only disk", async () => {
  const system = new FakeSystem();
  const { files } = system;
  assertEquals(await findLockHolder(system, "/state"), undefined);
  assertEquals(files.texts.size, 0);
  await acquireInstanceLock(system, "/state", "run");
  files.fail("look for the lock", "denied");
  await assertRejects(() => findLockHolder(system, "/state"), FileError);
  files.heal("look for the lock");
  const { lock } = files;
  files.lock = () => Promise.reject(new FileError("Cannot lock: read-only", { reason: "denied" }));
  assertEquals((await findLockHolder(system, "/state"))?.process_id, 4_242);
  files.lock = () => Promise.reject(new TypeError("a mistake"));
  await assertRejects(() => findLockHolder(system, "/state"), TypeError);
  files.lock = lock;
  files.texts.set(NOTE, '{"process_id":"7"}');
  assertEquals(await findLockHolder(system, "/state"), { process_id: null, since_ms: null });
});

Deno.test("findLockHolder() releases the lock that it acquired to look", async () => {
  const system = new FakeSystem();
  const hold = await acquireInstanceLock(system, "/state", "run");
  await hold.release();
  assertEquals(await findLockHolder(system, "/state"), undefined);
  assertEquals(system.files.locked.size, 0);
});

Deno.test("findLockHolder() reads the form of earlier releases, and a new lock replaces it", async () => {
  const system = new FakeSystem();
  const lock = await acquireInstanceLock(system, "/state", "run");
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: 4_242,
    since_ms: system.clock.nowMs(),
  });
  const earlier = '{"process_id":7,"since_ms":1}';
  system.files.texts.set(NOTE, `${earlier.padEnd(100)}\n`);
  assertEquals(await findLockHolder(system, "/state"), { process_id: 7, since_ms: 1 });
  system.files.locked.clear();
  await acquireInstanceLock(system, "/state", "run");
  assertEquals(JSON.parse(system.files.texts.get(NOTE) ?? "").schema, "pennon.lock-holder/1");
  await lock.release();
});
