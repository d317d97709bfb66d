import { assertEquals, assertStringIncludes } from "@std/assert";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { StateDirectory } from "../../src/agent/state_directory.ts";
import { DISK_STATUS_FILE } from "../../src/agent/disk_status.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { type Identity, loadIdentity, saveIdentity } from "../../src/identity.ts";
import { everyFiveSeconds, settle } from "../fakes/clock.ts";
import type { FakeFiles } from "../fakes/files.ts";
import { event } from "../fakes/test_store.ts";
import { FakeLog } from "../fakes/log.ts";
import { SickDisk } from "../fakes/sick_disk.ts";

const identity: Identity = {
  agentId: "agent-1",
  serverUrl: "http://server.test",
  accessToken: "access-1",
  refreshToken: "refresh-1",
  intervalMs: null,
};

async function start(prepare: (files: FakeFiles) => void = () => {}, isLocked = true) {
  const disk = new SickDisk();
  const { system } = disk;
  prepare(system.files);
  const log = new FakeLog();
  const calls: string[] = [];
  const lock = isLocked ? await acquireInstanceLock(system, "/state", "run") : null;
  await saveIdentity(system, "/state", identity);
  const present = { ...identity, accessToken: "access-2" };
  const store = new StateDirectory({
    system,
    log,
    stateDirectory: "/state",
    limits: { maxEvents: 100, maxBytes: 4_194_304, maxAttempts: 3 },
    lock,
    identity: () => present,
    onRecreated: () => Promise.resolve(void calls.push("recreated")),
    onRecovered: () => calls.push("recovered"),
  });
  await store.open();
  const end = new AbortController();
  const watching = everyFiveSeconds(system.clock, end.signal, () => store.check());
  return {
    disk,
    system,
    log,
    calls,
    store,
    async remove(): Promise<void> {
      disk.vanish();
      system.files.texts.clear();
      system.files.locked.clear();
      await system.clock.advance(5_000);
    },
    async end(): Promise<void> {
      end.abort();
      await watching;
      store.close();
    },
  };
}

Deno.test("a directory that vanished has its lock, the present identity and the state again within 5 s", async () => {
  const { system, calls, store, remove, end } = await start();
  store.buffer.append([event("a")]);
  await remove();
  assertEquals((await loadIdentity(system, "/state"))?.accessToken, "access-2");
  assertEquals(system.files.modes.get("/state/identity.json"), 0o600);
  assertEquals(system.files.modes.get("/state"), 0o700);
  assertEquals([...system.files.locked], ["/state/agent.lock"]);
  assertEquals([calls, store.buffer.countWaiting().pending], [["recreated"], 1]);
  assertEquals((await DISK_STATUS_FILE.read(system.files, "/state"))?.disk, "ok");
  await end();
});

Deno.test("open() ends when the disk status is written", async () => {
  let isWritten = false;
  const { end } = await start((files) => {
    const write = files.writeText.bind(files);
    files.writeText = async (purpose, ...rest) => {
      if (purpose !== "save the disk status") return await write(purpose, ...rest);
      await settle();
      await write(purpose, ...rest);
      isWritten = true;
    };
  });
  assertEquals(isWritten, true);
  await end();
});

Deno.test("a directory that another agent has locked, or owns, stays that agent's", async () => {
  for (const other of ["process", "agent"]) {
    const { system, disk, store, end } = await start();
    disk.vanish();
    system.files.texts.clear();
    if (other === "process") {
      system.files.identities.set("/state/agent.lock", "theirs");
      system.files.texts.set("/state/agent.lock", "");
    } else await saveIdentity(system, "/state", { ...identity, agentId: "agent-2" });
    const before = new Map(system.files.texts);
    await system.clock.advance(5_200);
    assertEquals(store.condition.disk, "held");
    assertStringIncludes(store.condition.why ?? "", other);
    assertEquals(system.files.texts, before);
    assertEquals(system.databases.has("/state/buffer.sqlite"), false);
    await end();
  }
});

Deno.test("a directory that another user created in its place gets no file of this agent", async () => {
  const { system, disk, store, end } = await start();
  system.machine = { ...system.machine, userId: () => 0 };
  disk.vanish();
  system.files.texts.clear();
  system.files.texts.set("/state/bait", "");
  system.files.owners.set("/state", 1_001);
  await system.clock.advance(5_000);
  assertEquals(store.condition.disk, "held");
  assertStringIncludes(store.condition.why ?? "", '"/state" belongs to user 1001');
  assertEquals([...system.files.texts.keys()], ["/state/bait"]);
  await end();
});

Deno.test("the disk status counts the events in memory while they are there", async () => {
  const { system, disk, store, calls, end } = await start();
  disk.fault = "full";
  store.buffer.append([event("a")]);
  await system.clock.advance(0);
  const told = await DISK_STATUS_FILE.read(system.files, "/state");
  assertEquals([told?.disk, told?.events], ["full", 1]);
  disk.heal();
  await system.clock.advance(10_000);
  assertEquals([(await DISK_STATUS_FILE.read(system.files, "/state"))?.events, calls], [0, [
    "recovered",
  ]]);
  await end();
});

Deno.test("the disk status is written from the start, and as soon as the directory accepts it", async () => {
  const { system, end } = await start();
  assertEquals((await DISK_STATUS_FILE.read(system.files, "/state"))?.disk, "ok");
  await end();
  const sick = await start((files) => files.fail("save the disk status", "full"));
  assertEquals(await DISK_STATUS_FILE.read(sick.system.files, "/state"), undefined);
  sick.system.files.heal("save the disk status");
  await sick.system.clock.advance(4_999);
  assertEquals(await DISK_STATUS_FILE.read(sick.system.files, "/state"), undefined);
  await sick.system.clock.advance(1);
  assertEquals((await DISK_STATUS_FILE.read(sick.system.files, "/state"))?.disk, "ok");
  await sick.end();
});

Deno.test("a directory with a damaged identity is this agent's, and stays as it is", async () => {
  const { system, disk, store, calls, end } = await start();
  disk.vanish();
  system.files.texts.clear();
  system.files.locked.clear();
  system.files.texts.set("/state/identity.json", "{");
  await system.clock.advance(5_000);
  assertEquals([store.condition.disk, calls], ["ok", ["recreated"]]);
  assertEquals(system.files.texts.get("/state/identity.json"), "{");
  await end();
});

Deno.test("a disk that accepts writes again is locked again, or the reason is logged", async () => {
  const { system, disk, store, log, calls, end } = await start();
  disk.fault = "full";
  store.buffer.append([event("a")]);
  system.files.locked.clear();
  system.files.texts.delete("/state/agent.lock");
  disk.heal();
  await system.clock.advance(10_000);
  assertEquals([[...system.files.locked], calls], [["/state/agent.lock"], ["recovered"]]);
  assertEquals(log.told("cannot lock the state directory"), []);
  disk.fault = "full";
  store.buffer.append([event("b")]);
  system.files.fail("look at the lock", "denied");
  disk.heal();
  await system.clock.advance(10_000);
  assertEquals(log.told("cannot lock the state directory").length, 1);
  await end();
});

Deno.test("without a lock the directory is created anew too, and another agent's is left alone", async () => {
  const { system, store, calls, remove, end } = await start(() => {}, false);
  system.files.modes.clear();
  await remove();
  assertEquals([store.condition.disk, calls, system.files.modes.get("/state")], [
    "ok",
    ["recreated"],
    0o700,
  ]);
  await end();
  const other = await start(() => {}, false);
  other.disk.vanish();
  other.system.files.texts.clear();
  await saveIdentity(other.system, "/state", { ...identity, agentId: "agent-2" });
  const before = new Map(other.system.files.texts);
  await other.system.clock.advance(5_000);
  assertEquals([other.store.condition.disk, other.calls], ["held", []]);
  assertStringIncludes(other.store.condition.why ?? "", `it belongs to agent "agent-2" now`);
  assertEquals(other.system.files.texts, before);
  await other.end();
});

Deno.test("a directory whose identity cannot be read is not used yet", async () => {
  const { system, disk, store, calls, end } = await start();
  disk.vanish();
  system.files.texts.clear();
  system.files.locked.clear();
  system.files.fail("read the identity", "denied");
  await system.clock.advance(5_000);
  assertEquals([store.condition.disk, calls], ["gone", []]);
  system.files.heal("read the identity");
  await system.clock.advance(10_000);
  assertEquals([store.condition.disk, calls], ["ok", ["recreated", "recovered"]]);
  await end();
});

Deno.test("close() writes the events in memory if the disk accepts them by then", async () => {
  const { disk, store, end } = await start();
  disk.fault = "full";
  store.buffer.append([event("a")]);
  disk.heal();
  await end();
  const { buffer } = await openBuffer(disk.system, "/state", {
    maxEvents: 100,
    maxBytes: 4_194_304,
    maxAttempts: 3,
  });
  assertEquals(buffer.list().map(({ body }) => body), ["a"]);
});
