import { assertEquals, assertRejects } from "@std/assert";
import { acquireInstanceLock, findLockHolder, LockedError } from "../../src/agent/instance_lock.ts";
import { ConfigError } from "../../src/config.ts";
import { FileError } from "../../src/system/files.ts";
import { settle, whileTimePasses } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";

/** Tries to lock a directory for as long as the agent does. */
function refused(system: FakeSystem) {
  return whileTimePasses(system.clock, () => acquireInstanceLock(system, "/state", "run"));
}

Deno.test("acquireInstanceLock() admits one agent, and names it to the second", async () => {
  const system = new FakeSystem();
  const hold = await acquireInstanceLock(system, "/state", "run");
  const error = await assertRejects(() => refused(system), LockedError);
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
  const error = await assertRejects(() => refused(system), LockedError);
  assertEquals(error.message.includes("another process already runs"), true);
});

Deno.test("acquireInstanceLock() locks the directory even if the holder's file cannot be written", async () => {
  const system = new FakeSystem();
  system.files.fail("save the lock holder", "full");
  const hold = await acquireInstanceLock(system, "/state", "run");
  const error = await assertRejects(() => refused(system), LockedError);
  assertEquals(error.message.includes("another process already runs"), true);
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: null,
    since_ms: null,
    manager: null,
  });
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
  await assertRejects(() => refused(system), LockedError);
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
  await assertRejects(() => whileTimePasses(system.clock, () => hold.renew()), LockedError);
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
    manager: null,
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
  assertEquals(length, 161);
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

Deno.test("acquireInstanceLock() tries for 200 ms before it believes in another agent", async () => {
  for (const [freeAfterMs, isAdmitted] of [[0, true], [200, true], [201, false]] as const) {
    const system = new FakeSystem();
    const { clock, files } = system;
    files.locked.add("/state/agent.lock");
    const tried = acquireInstanceLock(system, "/state", "run").then(() => true, (error) => {
      assertEquals(error instanceof LockedError, true);
      return false;
    });
    // A sleeper that began to sleep before those of the lock is woken before them.
    clock.sleep(freeAfterMs, new AbortController().signal).then(() => files.locked.clear());
    await clock.advance(1_000);
    assertEquals(await tried, isAdmitted, `${freeAfterMs}`);
  }
});

Deno.test("acquireInstanceLock() of a free directory waits for nothing", async () => {
  const system = new FakeSystem();
  const lock = await acquireInstanceLock(system, "/state", "run");
  await settle();
  assertEquals(system.clock.sleeping, 0);
  await lock.release();
});

Deno.test("findLockHolder() creates nothing, and locks nothing", async () => {
  const system = new FakeSystem();
  const { files } = system;
  files.lock = () => Promise.reject(new Error("it was locked"));
  assertEquals(await findLockHolder(system, "/state"), undefined);
  assertEquals(files.texts.size, 0);
  files.locked.add("/state/agent.lock");
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: null,
    since_ms: null,
    manager: null,
  });
  files.texts.set(NOTE, '{"process_id":"7"}');
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: null,
    since_ms: null,
    manager: null,
  });
  files.fail("look at the lock", "denied");
  await assertRejects(() => findLockHolder(system, "/state"), FileError);
});

Deno.test("findLockHolder() reads the form of earlier releases, and a new lock replaces it", async () => {
  const system = new FakeSystem();
  const lock = await acquireInstanceLock(system, "/state", "run");
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: 4_242,
    since_ms: system.clock.nowMs(),
    manager: null,
  });
  const earlier = '{"process_id":7,"since_ms":1}';
  system.files.texts.set(NOTE, `${earlier.padEnd(100)}\n`);
  assertEquals(await findLockHolder(system, "/state"), {
    process_id: 7,
    since_ms: 1,
    manager: null,
  });
  system.files.locked.clear();
  await acquireInstanceLock(system, "/state", "run");
  assertEquals(JSON.parse(system.files.texts.get(NOTE) ?? "").schema, "pennon.lock-holder/1");
  await lock.release();
});
