import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { DirectoryLockedError, logRepairs } from "../../src/buffer/store_supervisor.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { FileError } from "../../src/system/files.ts";
import { event, Lasting, openLasting } from "../fakes/lasting.ts";
import { FakeLog } from "../fakes/log.ts";
import { SickDisk } from "../fakes/sick_disk.ts";
import { FakeSystem } from "../fakes/system.ts";

/** Logged when the file is no longer in its directory. */
const MOVED = "buffer file missing in the state directory, merged into a new one";

Deno.test("open() without a disk goes on in memory, and opens what is there when it can", async () => {
  const disk = new SickDisk();
  (await openLasting({}, disk)).buffer.append([event("earlier")]);
  disk.isDead = true;
  const lasting = await openLasting({}, disk);
  assertEquals([lasting.supervisor.opened, lasting.supervisor.condition.disk], [null, "io"]);
  lasting.buffer.append([event("later")]);
  assertEquals(lasting.bodies(), ["later"]);
  const { why } = lasting.supervisor.condition;
  assertEquals(why, "Cannot use database: io on purpose"); // However often it is met.
  disk.isDead = false;
  await lasting.tryAgain();
  assertEquals(lasting.bodies(), ["earlier", "later"]);
  assertEquals(lasting.log.events.map(({ message }) => message), [
    "disk refuses writes, buffering events in memory",
    "disk accepts writes again",
  ]);
});

Deno.test("open() makes a folder that is not there ready first, and waits where it cannot", async () => {
  const disk = new SickDisk();
  const calls: string[] = [];
  const lasting = await openLasting({}, disk);
  lasting.supervisor.close();
  disk.vanish();
  const again = await openLasting({}, disk);
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

Deno.test("look() carries all over where the file has vanished, once", async () => {
  const lasting = await openLasting();
  const { buffer, journal, supervisor, disk, log } = lasting;
  const { ids } = buffer.append([event("a"), event("b", "c"), event("x")]);
  buffer.acknowledge(ids.slice(0, 1));
  for (let count = 0; count < 3; count++) buffer.refuse(ids[2]!, "HTTP 400");
  journal.receive(["c", "d", "e"].map((id) => ({ id, type: "reboot", params: "{}" })));
  journal.start("c");
  journal.start("d");
  journal.finish("d", () => {});
  const before = buffer.counts();
  disk.vanish();
  await supervisor.check();
  await supervisor.check();
  assertEquals(buffer.counts(), before);
  assertEquals(lasting.bodies(), ["b"]);
  assertEquals(buffer.find(ids[2]!, 1).map(({ state, attempts }) => [state, attempts]), [
    ["dead_lettered", 3],
  ]);
  assertEquals(journal.unfinished().map(({ id, state }) => `${id} ${state}`), [
    "c started",
    "e received",
  ]);
  assertEquals(journal.receive([{ id: "d", type: "reboot", params: "{}" }]), []);
  assertEquals(log.told(MOVED).filter(({ how }) => how === "vanished").length, 1);
});

Deno.test("look() takes another file in its place for a replacement, and loses neither's events", async () => {
  const disk = new SickDisk();
  const { files } = disk.system;
  files.identities.set("/state/buffer.sqlite", "own");
  const lasting = await openLasting({}, disk);
  lasting.buffer.append([event("own")]);
  lasting.disk.vanish();
  const other = await openLasting({}, lasting.disk);
  other.buffer.append([event("other's")]);
  other.supervisor.close();
  files.identities.set("/state/buffer.sqlite", "another");
  await lasting.supervisor.check();
  assertEquals(lasting.bodies(), ["other's", "own"]);
  assertEquals(lasting.log.told(MOVED).filter(({ how }) => how === "replaced").length, 1);
});

Deno.test("look() that may not look changes nothing: what is open goes on", async () => {
  const lasting = await openLasting();
  lasting.disk.system.files.fail("look for the buffer", "denied");
  await lasting.supervisor.check();
  lasting.buffer.append([event("a")]);
  assertEquals([lasting.supervisor.condition.disk, lasting.log.events], ["ok", []]);
});

Deno.test("a disk that takes writes again does so though the folder may not be looked into", async () => {
  const lasting = await openLasting();
  lasting.disk.fault = "full";
  lasting.buffer.append([event("a")]);
  lasting.disk.system.files.fail("look for the buffer", "denied");
  lasting.disk.fault = null;
  await lasting.tryAgain();
  const { disk, events } = lasting.supervisor.condition;
  assertEquals([disk, events, lasting.backs, lasting.bodies()], ["ok", 0, 1, ["a"]]);
});

Deno.test("a folder that is gone, or somebody else's, is waited for, with all events at stake told", async () => {
  for (
    const [error, told] of [
      [new FileError("Cannot make the state folder: no right", { reason: "denied" }), "gone"],
      [new DirectoryLockedError("Cannot run: process 7 already runs"), "held"],
    ] as const
  ) {
    const lasting = await openLasting();
    lasting.buffer.append([event("a")]);
    lasting.prepare = () => Promise.reject(error);
    lasting.disk.vanish();
    await lasting.supervisor.check();
    lasting.buffer.append([event("b")]);
    const { disk, why, events } = lasting.supervisor.condition;
    assertEquals([disk, events], [told, 2]);
    assertStringIncludes(why ?? "", error.message);
    await lasting.tryAgain();
    assertEquals(lasting.supervisor.condition.disk, told); // Still: the open file takes writes, and is lost.
    lasting.prepare = () => Promise.resolve();
    await lasting.tryAgain();
    assertEquals([lasting.supervisor.condition.disk, lasting.supervisor.condition.events], [
      "ok",
      0,
    ]);
    assertEquals(lasting.bodies(), ["a", "b"]);
  }
});

Deno.test("a folder that is somebody else's from the start is waited for, with what is in memory at stake", async () => {
  const disk = new SickDisk();
  disk.vanish();
  const lasting = new Lasting({}, disk);
  lasting.prepare = () =>
    Promise.reject(new DirectoryLockedError("Cannot run: process 7 already runs"));
  await lasting.supervisor.open();
  lasting.buffer.append([event("a"), event("b")]);
  const { disk: told, events, sizeBytes } = lasting.supervisor.condition;
  assertEquals([lasting.supervisor.opened, told, events], [null, "held", 2]);
  assertEquals(sizeBytes, lasting.buffer.counts().sizeBytes);
});

Deno.test("damage met while it runs has the file opened anew", async () => {
  const lasting = await openLasting();
  lasting.buffer.append([event("a")]);
  const before = lasting.supervisor.opened;
  lasting.disk.fault = "corrupt";
  lasting.buffer.append([event("b")]);
  lasting.disk.fault = null;
  await lasting.tryAgain();
  assert(lasting.supervisor.opened !== before);
  assertEquals(lasting.bodies(), ["a", "b"]);
});

Deno.test("close() writes what it can, and tells what is lost with the process", async () => {
  const lasting = await openLasting();
  lasting.disk.fault = "full";
  const { ids } = lasting.buffer.append([event("a")]);
  lasting.buffer.acknowledge(ids);
  lasting.buffer.append([event("b")]);
  lasting.supervisor.close();
  assertEquals(
    lasting.log.told("events lost, the disk accepted no writes").map(({ events }) => events),
    [1],
  );
  assertEquals(lasting.disk.system.clock.sleeping, 0);
  const again = await openLasting();
  again.disk.fault = "full";
  again.buffer.append([event("c")]);
  again.disk.fault = null;
  again.supervisor.close();
  assertEquals(again.log.told("events lost, the disk accepted no writes"), []);
  const third = await openLasting({}, again.disk);
  assertEquals(third.bodies(), ["c"]);
});

Deno.test("flush() refuses before there is a file", async () => {
  const disk = new SickDisk();
  disk.isDead = true;
  const { supervisor } = await openLasting({}, disk);
  try {
    supervisor.flush();
  } catch (error) {
    assert(error instanceof DatabaseError && error.reason === "io");
    return;
  }
  throw new Error("it did not refuse");
});

Deno.test("a disk that took no change is tried with a change, though nothing is in memory", async () => {
  const lasting = await openLasting();
  const { ids: [id = ""] } = lasting.buffer.append([event("a")]);
  lasting.disk.fault = "full";
  lasting.buffer.refuse(id, "HTTP 400");
  assertEquals([lasting.supervisor.condition.disk, lasting.supervisor.condition.events], [
    "full",
    0,
  ]);
  await lasting.tryAgain();
  assertEquals(lasting.supervisor.condition.disk, "full");
  lasting.disk.fault = "io"; // Another reason, which is told from then on.
  await lasting.tryAgain();
  assertEquals(lasting.supervisor.condition.disk, "io");
  assertStringIncludes(lasting.supervisor.condition.why ?? "", "io on purpose");
  lasting.disk.fault = null;
  await lasting.tryAgain();
  assertEquals([lasting.supervisor.condition.disk, lasting.supervisor.condition.why], ["ok", null]);
  assertEquals(lasting.log.told("disk accepts writes again"), [{ written: 0, trouble_s: 30 }]);
  assertEquals(lasting.log.told("disk refuses writes, buffering events in memory").length, 1);
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

Deno.test("open() tells of damage that it found, and so does the file that is made anew", async () => {
  const disk = new SickDisk();
  disk.system.files.identities.set("/state/buffer.sqlite", "own");
  damage(disk);
  const lasting = await openLasting({}, disk);
  const told = () => lasting.log.told("buffer was damaged, salvaged into a new file").length;
  assertEquals([lasting.supervisor.condition.disk, told()], ["ok", 1]);
  lasting.disk.vanish();
  damage(disk);
  lasting.disk.system.files.identities.set("/state/buffer.sqlite", "another");
  await lasting.supervisor.check();
  assertEquals(told(), 2);
});

Deno.test("look() takes the file that it finds first for its own, and one in its place for a replacement, once", async () => {
  const disk = new SickDisk();
  const { files } = disk.system;
  files.identities.set("/state/buffer.sqlite", "own");
  files.fail("look for the buffer", "denied");
  const lasting = await openLasting({}, disk);
  lasting.buffer.append([event("a")]);
  files.heal("look for the buffer");
  await lasting.supervisor.check();
  const replaced = () => lasting.log.told(MOVED).filter(({ how }) => how === "replaced").length;
  assertEquals(replaced(), 0);
  files.identities.set("/state/buffer.sqlite", "another");
  await lasting.supervisor.check();
  assertEquals(replaced(), 1);
  await lasting.supervisor.check();
  assertEquals([replaced(), lasting.bodies()], [1, ["a"]]);
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
  const lasting = await openLasting({}, disk);
  lasting.disk.fault = "corrupt";
  lasting.buffer.append([event("a")]);
  lasting.disk.fault = null;
  await lasting.tryAgain();
  assertEquals([isOpen, lasting.supervisor.condition.disk], [1, "ok"]);
  lasting.supervisor.close();
  assertEquals(isOpen, 0);
});

Deno.test("condition of a disk that takes all has nothing at stake", async () => {
  const { condition } = (await openLasting()).supervisor;
  assertEquals(condition, {
    disk: "ok",
    why: null,
    events: 0,
    sizeBytes: 0,
    acknowledgements: 0,
  });
});

Deno.test("look() that is asked for twice at once begins a file that has vanished anew once", async () => {
  const { supervisor, disk, log } = await openLasting();
  disk.vanish();
  await Promise.all([supervisor.check(), supervisor.check()]);
  assertEquals(log.told(MOVED).filter(({ how }) => how === "vanished").length, 1);
});

Deno.test("look() has SQLite check the whole file once a day, and the counters with it", async () => {
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
  const { supervisor, buffer, log } = await openLasting({}, disk);
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
