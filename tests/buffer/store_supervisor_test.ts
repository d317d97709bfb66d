import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { DirectoryLockedError, logRepairs } from "../../src/buffer/store_supervisor.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { FileError } from "../../src/system/files.ts";
import { event, openTestStore, TestStore } from "../fakes/test_store.ts";
import { FakeLog } from "../fakes/log.ts";
import { SickDisk } from "../fakes/sick_disk.ts";
import { FakeSystem } from "../fakes/system.ts";

/** Logged when the file is no longer in its directory. */
const MOVED = "buffer file missing in the state directory, merged into a new one";

Deno.test("open() without a disk goes on in memory, and opens what is there when it can", async () => {
  const disk = new SickDisk();
  (await openTestStore({}, disk)).buffer.append([event("earlier")]);
  disk.isDead = true;
  const testStore = await openTestStore({}, disk);
  assertEquals([testStore.supervisor.opened, testStore.supervisor.condition.disk], [null, "io"]);
  testStore.buffer.append([event("later")]);
  assertEquals(testStore.bodies(), ["later"]);
  const { why } = testStore.supervisor.condition;
  assertEquals(why, "Cannot use database: io on purpose"); // However often it is met.
  disk.isDead = false;
  await testStore.tryAgain();
  assertEquals(testStore.bodies(), ["earlier", "later"]);
  assertEquals(testStore.log.events.map(({ message }) => message), [
    "disk refuses writes, buffering events in memory",
    "disk accepts writes again",
  ]);
});

Deno.test("open() prepares a missing directory first, and waits where it cannot", async () => {
  const disk = new SickDisk();
  const calls: string[] = [];
  const testStore = await openTestStore({}, disk);
  testStore.supervisor.close();
  disk.vanish();
  const again = await openTestStore({}, disk);
  again.supervisor.close();
  disk.vanish();
  again.prepare = () => {
    calls.push("prepare");
    throw new FileError("Cannot make the state folder: no right", { reason: "denied" });
  };
  await again.supervisor.open();
  assertEquals([calls, again.supervisor.opened, again.supervisor.condition.disk], [
    ["prepare"],
    null,
    "denied",
  ]);
});

Deno.test("check() merges everything into a new file where the file has vanished, once", async () => {
  const testStore = await openTestStore();
  const { buffer, journal, supervisor, disk, log } = testStore;
  const { ids } = buffer.append([event("a"), event("b", "c"), event("x")]);
  buffer.acknowledge(ids.slice(0, 1));
  for (let count = 0; count < 3; count++) buffer.refuse(ids[2]!, "HTTP 400");
  journal.receive(["c", "d", "e"].map((id) => ({ id, type: "reboot", params: "{}" })));
  journal.start("c");
  journal.start("d");
  journal.finish("d", () => {});
  const before = testStore.stored.counts();
  disk.vanish();
  await supervisor.check();
  await supervisor.check();
  assertEquals(testStore.stored.counts(), before);
  assertEquals(testStore.bodies(), ["b"]);
  const refused = buffer.find(ids[2]!);
  assertEquals([refused?.state, refused?.attempts], ["dead_lettered", 3]);
  assertEquals(journal.unfinished().map(({ id, state }) => `${id} ${state}`), [
    "c started",
    "e received",
  ]);
  assertEquals(journal.receive([{ id: "d", type: "reboot", params: "{}" }]), []);
  assertEquals(log.told(MOVED).filter(({ how }) => how === "vanished").length, 1);
});

Deno.test("check() merges into another file in its place, and loses neither's events", async () => {
  const disk = new SickDisk();
  const { files } = disk.system;
  files.identities.set("/state/buffer.sqlite", "own");
  const testStore = await openTestStore({}, disk);
  testStore.buffer.append([event("own")]);
  testStore.disk.vanish();
  const other = await openTestStore({}, testStore.disk);
  other.buffer.append([event("other's")]);
  other.supervisor.close();
  files.identities.set("/state/buffer.sqlite", "another");
  await testStore.supervisor.check();
  assertEquals(testStore.bodies(), ["other's", "own"]);
  assertEquals(testStore.log.told(MOVED).filter(({ how }) => how === "replaced").length, 1);
});

Deno.test("check() that cannot inspect the file changes nothing: the open file stays in use", async () => {
  const testStore = await openTestStore();
  testStore.disk.system.files.fail("look for the buffer", "denied");
  await testStore.supervisor.check();
  testStore.buffer.append([event("a")]);
  assertEquals([testStore.supervisor.condition.disk, testStore.log.events], ["ok", []]);
});

Deno.test("a disk that accepts writes again recovers though the directory cannot be inspected", async () => {
  const testStore = await openTestStore();
  testStore.disk.fault = "full";
  testStore.buffer.append([event("a")]);
  testStore.disk.system.files.fail("look for the buffer", "denied");
  testStore.disk.fault = null;
  await testStore.tryAgain();
  const { disk, events } = testStore.supervisor.condition;
  assertEquals([disk, events, testStore.backs, testStore.bodies()], ["ok", 0, 1, ["a"]]);
});

Deno.test("a directory that is gone, or another agent's, is waited for, with all events counted as at stake", async () => {
  for (
    const [error, told] of [
      [new FileError("Cannot make the state folder: no right", { reason: "denied" }), "gone"],
      [new DirectoryLockedError("Cannot run: process 7 already runs"), "held"],
    ] as const
  ) {
    const testStore = await openTestStore();
    testStore.buffer.append([event("a")]);
    testStore.prepare = () => Promise.reject(error);
    testStore.disk.vanish();
    await testStore.supervisor.check();
    testStore.buffer.append([event("b")]);
    const { disk, why, events } = testStore.supervisor.condition;
    assertEquals([disk, events], [told, 2]);
    assertStringIncludes(why ?? "", error.message);
    await testStore.tryAgain();
    assertEquals(testStore.supervisor.condition.disk, told); // Still: the open file takes writes, and is lost.
    testStore.prepare = () => Promise.resolve();
    await testStore.tryAgain();
    assertEquals([testStore.supervisor.condition.disk, testStore.supervisor.condition.events], [
      "ok",
      0,
    ]);
    assertEquals(testStore.bodies(), ["a", "b"]);
  }
});

Deno.test("a directory that is another agent's from the start is waited for, with what is in memory at stake", async () => {
  const disk = new SickDisk();
  disk.vanish();
  const testStore = new TestStore({}, disk);
  testStore.prepare = () =>
    Promise.reject(new DirectoryLockedError("Cannot run: process 7 already runs"));
  await testStore.supervisor.open();
  testStore.buffer.append([event("a"), event("b")]);
  const { disk: told, events, sizeBytes } = testStore.supervisor.condition;
  assertEquals([testStore.supervisor.opened, told, events], [null, "held", 2]);
  assertEquals(sizeBytes, testStore.supervisor.overflow.buffer?.counts().sizeBytes);
});

Deno.test("damage found while it runs has the file opened anew", async () => {
  const testStore = await openTestStore();
  testStore.buffer.append([event("a")]);
  const before = testStore.supervisor.opened;
  testStore.disk.fault = "corrupt";
  testStore.buffer.append([event("b")]);
  testStore.disk.fault = null;
  await testStore.tryAgain();
  assert(testStore.supervisor.opened !== before);
  assertEquals(testStore.bodies(), ["a", "b"]);
});

Deno.test("close() writes what it can, and logs what is lost with the process", async () => {
  const testStore = await openTestStore();
  testStore.disk.fault = "full";
  const { ids } = testStore.buffer.append([event("a")]);
  testStore.buffer.acknowledge(ids);
  testStore.buffer.append([event("b")]);
  testStore.supervisor.close();
  assertEquals(
    testStore.log.told("events lost, the disk accepted no writes").map(({ events }) => events),
    [1],
  );
  assertEquals(testStore.disk.system.clock.sleeping, 0);
  const again = await openTestStore();
  again.disk.fault = "full";
  again.buffer.append([event("c")]);
  again.disk.fault = null;
  again.supervisor.close();
  assertEquals(again.log.told("events lost, the disk accepted no writes"), []);
  const third = await openTestStore({}, again.disk);
  assertEquals(third.bodies(), ["c"]);
});

Deno.test("flush() refuses before there is a file", async () => {
  const disk = new SickDisk();
  disk.isDead = true;
  const { supervisor } = await openTestStore({}, disk);
  try {
    supervisor.flush();
  } catch (error) {
    assert(error instanceof DatabaseError && error.reason === "io");
    return;
  }
  throw new Error("it did not refuse");
});

Deno.test("a disk that took no change is tried with a change, though nothing is in memory", async () => {
  const testStore = await openTestStore();
  const { ids: [id = ""] } = testStore.buffer.append([event("a")]);
  testStore.disk.fault = "full";
  testStore.buffer.refuse(id, "HTTP 400");
  assertEquals([testStore.supervisor.condition.disk, testStore.supervisor.condition.events], [
    "full",
    0,
  ]);
  await testStore.tryAgain();
  assertEquals(testStore.supervisor.condition.disk, "full");
  testStore.disk.fault = "io"; // Another reason, which is told from then on.
  await testStore.tryAgain();
  assertEquals(testStore.supervisor.condition.disk, "io");
  assertStringIncludes(testStore.supervisor.condition.why ?? "", "io on purpose");
  testStore.disk.fault = null;
  await testStore.tryAgain();
  assertEquals([testStore.supervisor.condition.disk, testStore.supervisor.condition.why], [
    "ok",
    null,
  ]);
  assertEquals(testStore.log.told("disk accepts writes again"), [{ written: 0, trouble_s: 30 }]);
  assertEquals(testStore.log.told("disk refuses writes, buffering events in memory").length, 1);
});

/** Makes the buffer's file one that is damaged, the next time it is opened. */
function damage(disk: SickDisk): void {
  const { system } = disk;
  const open = system.openDatabase;
  const path = "/state/buffer.sqlite";
  system.files.texts.set(path, "damaged");
  // The file itself, then a new one, then what can be read of the damaged one.
  const answers = [true, false, true];
  system.openDatabase = (asked, ...rest) => {
    if (!asked.startsWith(path) || !answers.shift()) return open(asked, ...rest);
    throw new DatabaseError("Cannot open database: on purpose", { reason: "corrupt" });
  };
}

Deno.test("open() logs damage that it found, and so does the replacement of a file", async () => {
  const disk = new SickDisk();
  disk.system.files.identities.set("/state/buffer.sqlite", "own");
  damage(disk);
  const testStore = await openTestStore({}, disk);
  const told = () => testStore.log.told("buffer was damaged, salvaged into a new file").length;
  assertEquals([testStore.supervisor.condition.disk, told()], ["ok", 1]);
  testStore.disk.vanish();
  damage(disk);
  testStore.disk.system.files.identities.set("/state/buffer.sqlite", "another");
  await testStore.supervisor.check();
  assertEquals(told(), 2);
});

Deno.test("check() remembers the file that it finds first, and replaces it once", async () => {
  const disk = new SickDisk();
  const { files } = disk.system;
  files.identities.set("/state/buffer.sqlite", "own");
  files.fail("look for the buffer", "denied");
  const testStore = await openTestStore({}, disk);
  testStore.buffer.append([event("a")]);
  files.heal("look for the buffer");
  await testStore.supervisor.check();
  const replaced = () => testStore.log.told(MOVED).filter(({ how }) => how === "replaced").length;
  assertEquals(replaced(), 0);
  files.identities.set("/state/buffer.sqlite", "another");
  await testStore.supervisor.check();
  assertEquals(replaced(), 1);
  await testStore.supervisor.check();
  assertEquals([replaced(), testStore.bodies()], [1, ["a"]]);
});

Deno.test("a file that is opened anew for its damage is closed first", async () => {
  const disk = new SickDisk();
  const { system } = disk;
  const open = system.openDatabase;
  let isOpen = 0;
  system.openDatabase = (path, ...rest) => {
    const database = open(path, ...rest);
    if (path === ":memory:") return database;
    isOpen += 1;
    return {
      ...database,
      close() {
        isOpen -= 1;
        database.close();
      },
    };
  };
  const testStore = await openTestStore({}, disk);
  testStore.disk.fault = "corrupt";
  testStore.buffer.append([event("a")]);
  testStore.disk.fault = null;
  await testStore.tryAgain();
  assertEquals([isOpen, testStore.supervisor.condition.disk], [1, "ok"]);
  testStore.supervisor.close();
  assertEquals(isOpen, 0);
});

Deno.test("condition of a disk that accepts writes has nothing at stake", async () => {
  const { condition } = (await openTestStore()).supervisor;
  assertEquals(condition, {
    disk: "ok",
    why: null,
    events: 0,
    sizeBytes: 0,
    acknowledgements: 0,
  });
});

Deno.test("check() called twice at once replaces a vanished file once", async () => {
  const { supervisor, disk, log } = await openTestStore();
  disk.vanish();
  await Promise.all([supervisor.check(), supervisor.check()]);
  assertEquals(log.told(MOVED).filter(({ how }) => how === "vanished").length, 1);
});

Deno.test("check() has SQLite check the whole file once a day, and the counters with it", async () => {
  const disk = new SickDisk();
  const { system } = disk;
  const open = system.openDatabase;
  let checks = 0;
  let own: Database | undefined;
  system.openDatabase = (path, ...rest) => {
    const database = open(path, ...rest);
    own = {
      ...database,
      all: (sql, ...values) => {
        if (sql.includes("integrity_check")) checks += 1;
        return database.all(sql, ...values);
      },
    };
    return own;
  };
  const { supervisor, buffer, log } = await openTestStore({}, disk);
  buffer.append([event("a")]);
  buffer.indexPending();
  assertEquals(checks, 1); // At the start: the file is small.
  await system.clock.advance(86_400_000 - 1);
  await supervisor.check();
  assertEquals(checks, 1);
  own?.execute("UPDATE counters SET pending = 7, appended = 7");
  await system.clock.advance(1);
  await supervisor.check();
  await supervisor.check();
  assertEquals([checks, buffer.countWaiting().pending], [2, 1]);
  assertEquals(log.told("buffer counters were wrong, recounted").length, 1);
  disk.fault = "full";
  await system.clock.advance(86_400_000);
  await supervisor.check();
  assertEquals([checks, supervisor.condition.disk], [3, "ok"]); // A check that writes nothing goes well.
});

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };

Deno.test("logRepairs() says nothing of a buffer that is as it was left", async () => {
  const log = new FakeLog();
  logRepairs(log, await openBuffer(new FakeSystem(), "/state", limits));
  assertEquals(log.events, []);
});

Deno.test("logRepairs() logs counters that were wrong", async () => {
  const system = new FakeSystem();
  const { database } = await openBuffer(system, "/state", limits);
  database.execute("UPDATE counters SET pending = 3");
  const log = new FakeLog();
  logRepairs(log, await openBuffer(system, "/state", limits));
  assertEquals(log.told("buffer counters were wrong, recounted"), [{
    wrong: "pending",
    events: 0,
  }]);
});
