/** The supervisor on real files and file systems; time is a test's, so that nobody waits. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BufferError, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { openBuffer, openBufferForChange, openBufferReadOnly } from "../../src/buffer/store.ts";
import { StoreSupervisor } from "../../src/buffer/store_supervisor.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { realSystem } from "../../src/system/real.ts";
import { FakeClock } from "../fakes/clock.ts";
import { event } from "../fakes/test_store.ts";
import { FakeLog } from "../fakes/log.ts";
import { inFolder } from "./folder.ts";
import { cannotMount, mountSmallDisk, withSmallDisk } from "./small_disk.ts";

const limits = { maxEvents: 100_000, maxBytes: 64_000_000, maxAttempts: 3 };

async function open(folder: string) {
  const clock = new FakeClock();
  const log = new FakeLog();
  const back = { resolve: () => {} };
  const inVain = { resolve: () => {} };
  const supervisor = new StoreSupervisor({
    system: { ...realSystem(), clock },
    log,
    stateDirectory: folder,
    limits,
    prepareDirectory: () => Deno.mkdir(folder, { recursive: true, mode: 0o700 }),
    onRecovered: () => back.resolve(),
    onRefused: () => inVain.resolve(),
  });
  await supervisor.open();
  const { buffer } = supervisor;
  return {
    supervisor,
    buffer,
    log,
    clock,
    bodies: () => buffer.next(100_000).map(({ body }) => body),
    /** Its next try, of a disk that is as bad as before. */
    async triesInVain(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      inVain.resolve = resolve;
      await clock.advance(10_000);
      await promise;
    },
    /** Its next tries, until one goes well: they wait for real files. */
    async comesBack(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      back.resolve = resolve;
      await clock.advance(10_000);
      await promise;
    },
  };
}

/** What another process would find if this one died now: what is on disk, and nothing else. */
async function afterDeath(folder: string): Promise<string[]> {
  const copy = await Deno.makeTempDir({ prefix: "pennon-copy-" });
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      if (/^buffer.*(sqlite|-wal)$/.test(name)) {
        await Deno.copyFile(`${folder}/${name}`, `${copy}/${name}`);
      }
    }
    const opened = await openBuffer(realSystem(), copy, limits);
    const bodies = opened.buffer.list().map(({ body }) => body);
    opened.close();
    return bodies;
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

Deno.test("a folder deleted under it is made anew, with all that was in it, and keeps what comes", () =>
  inFolder(async (parent) => {
    const folder = `${parent}/state`;
    await Deno.mkdir(folder);
    const { supervisor, buffer, log } = await open(folder);
    for (let round = 0; round < 3; round++) {
      buffer.append([event(`before ${round}`)]);
      await Deno.remove(folder, { recursive: true });
      buffer.append([event(`between ${round}`)]);
      await supervisor.check();
      buffer.append([event(`after ${round}`)]);
      const all = ["before", "between", "after"];
      const expected = [0, 1, 2].slice(0, round + 1)
        .flatMap((past) => all.map((word) => `${word} ${past}`));
      assertEquals(await afterDeath(folder), expected);
    }
    assertEquals(
      log.told("buffer file missing in the state directory, merged into a new one").length,
      3,
    );
    supervisor.close();
  }));

Deno.test("a folder replaced by another has both their events, and neither's -wal is lost", () =>
  inFolder(async (parent) => {
    const folder = `${parent}/state`;
    await Deno.mkdir(folder);
    const { supervisor, buffer } = await open(folder);
    buffer.append([event("own")]);
    await Deno.mkdir(`${parent}/other`);
    const other = await open(`${parent}/other`);
    other.buffer.append([event("other's")]);
    await Deno.rename(folder, `${parent}/old`);
    await Deno.mkdir(folder);
    // As a copy of a folder in use: its events are in its -wal alone.
    for (const { name } of Deno.readDirSync(`${parent}/other`)) {
      await Deno.copyFile(`${parent}/other/${name}`, `${folder}/${name}`);
    }
    await supervisor.check();
    buffer.append([event("later")]);
    assertEquals(await afterDeath(folder), ["other's", "own", "later"]);
    supervisor.close();
    other.supervisor.close();
  }));

for (const kind of ["tmpfs", "ext4"] as const) {
  Deno.test({
    name: `a full disk (${kind}): what it refuses is sent from memory, and written with room`,
    ignore: await cannotMount(kind),
  }, async () => {
    await withSmallDisk({ sizeKib: kind === "ext4" ? 4_096 : 512, kind }, async (folder, disk) => {
      const { supervisor, buffer, comesBack, triesInVain, bodies } = await open(folder);
      const { ids } = buffer.append([event("1", "c"), event("2")]);
      await disk.fill();
      let appended = 2;
      // The file may have room of its own for some.
      while (supervisor.condition.events < 20) {
        buffer.append([event(`${++appended} ${"x".repeat(900)}`, "c")]);
        assert(appended < 5_000, "the disk never filled");
      }
      assertEquals(supervisor.condition.disk, "full");
      buffer.acknowledge(ids);
      assertEquals(buffer.countWaiting().pending, appended - 2);
      const before = supervisor.condition;
      await triesInVain();
      assertEquals([supervisor.condition, bodies().length], [before, appended - 2]);
      await disk.makeRoom();
      await comesBack();
      const { disk: now, events, acknowledgements } = supervisor.condition;
      assertEquals([now, events, acknowledgements], ["ok", 0, 0]);
      const numbers = bodies().map((body) => parseInt(body));
      assertEquals(numbers, Array.from({ length: appended - 2 }, (_, index) => index + 3));
      assertEquals((await afterDeath(folder)).length, appended - 2);
      supervisor.close();
    });
  });

  for (const end of ["ended", "was killed"]) {
    Deno.test({
      name: `read-only (${kind}) after an agent that ${end}: written when it no longer is`,
      ignore: await cannotMount(kind),
    }, async () => {
      await withSmallDisk(
        { sizeKib: kind === "ext4" ? 4_096 : 512, kind },
        async (folder, disk) => {
          await leave(folder, end);
          await disk.remount("ro");
          const { supervisor, buffer, comesBack, bodies } = await open(folder);
          assertEquals([supervisor.opened, supervisor.condition.disk], [null, "denied"]);
          buffer.append([event("later")]);
          assertEquals(bodies(), ["later"]);
          await disk.remount("rw");
          await comesBack();
          assertEquals(bodies(), ["earlier", "later"]);
          assertEquals(await afterDeath(folder), ["earlier", "later"]);
          supervisor.close();
        },
      );
    });
  }
}

/** Leaves one event there, as an agent does that comes to its end, or does not. */
async function leave(folder: string, end: string): Promise<void> {
  await inFolder(async (own) => {
    const { supervisor, buffer } = await open(own);
    buffer.append([event("earlier")]);
    if (end === "ended") supervisor.close();
    for (const { name } of Deno.readDirSync(own)) {
      await Deno.copyFile(`${own}/${name}`, `${folder}/${name}`);
    }
    if (end !== "ended") supervisor.close();
  });
}

Deno.test({
  name:
    "another file system mounted over its folder: nothing is lost, whatever the inodes' numbers",
  ignore: await cannotMount(),
}, async () => {
  await withSmallDisk({ sizeKib: 1_024 }, async (folder) => {
    const { supervisor, buffer, bodies } = await open(folder);
    buffer.append([event("before")]);
    const before = await Deno.stat(`${folder}/buffer.sqlite`);
    const over = await mountSmallDisk(folder, { sizeKib: 1_024 });
    assert(over !== null);
    try {
      await supervisor.check();
      // Deleting by name is what SQLite does where the number is the same, though the device is not.
      assertEquals((await Deno.stat(`${folder}/buffer.sqlite`)).ino, before.ino);
      buffer.append([event("after")]);
      assertEquals(bodies(), ["before", "after"]);
      assertEquals(await afterDeath(folder), ["before", "after"]);
      supervisor.close();
    } finally {
      await over.unmount();
    }
  });
});

Deno.test({
  name: "a full disk with a damaged file: it starts, and the damage is mended when there is room",
  ignore: await cannotMount(),
}, async () => {
  await withSmallDisk({ sizeKib: 1_024 }, async (folder, disk) => {
    const before = await open(folder);
    before.buffer.append(Array.from({ length: 50 }, (_, number) => event(String(number))));
    before.supervisor.close();
    const bytes = await Deno.readFile(`${folder}/buffer.sqlite`);
    bytes.fill(0xa5, bytes.length - 4_096);
    await Deno.writeFile(`${folder}/buffer.sqlite`, bytes);
    await disk.fill();
    const { supervisor, buffer, comesBack, bodies, log } = await open(folder);
    assertEquals(supervisor.opened, null);
    buffer.append([event("new")]);
    await disk.makeRoom();
    await comesBack();
    assertEquals(log.told("buffer was damaged, salvaged into a new file").length, 1);
    const salvaged = bodies();
    assertEquals(salvaged.at(-1), "new");
    assert(salvaged.length > 1, "something was salvaged");
    supervisor.close();
  });
});

/** Flips a bit of an index's key, so that SQLite no longer finds a row by it. */
async function damageAnIndex(path: string): Promise<void> {
  const whole = await Deno.readFile(path);
  for (let page = whole.length - 4_096; page > 0; page -= 4_096) {
    if (whole[page] !== 0x0a) continue; // No leaf of an index.
    const file = whole.slice();
    file[page + 4_090]! ^= 0x10;
    await Deno.writeFile(path, file);
    const database = openRealDatabase(path, { readOnly: true });
    const [found] = database.all("PRAGMA integrity_check(1)");
    database.close();
    if (String(found?.["integrity_check"]).includes("missing from index")) return;
  }
  throw new Error("Cannot damage an index");
}

Deno.test("a large file is used at once, and its damage found when the agent has run for a minute", () =>
  inFolder(async (folder) => {
    const before = await open(folder);
    const all = Array.from({ length: 10_000 }, (_, n) => JSON.stringify([n, "x".repeat(400)]));
    before.buffer.append(all.map((body) => event(body)));
    before.buffer.indexPending();
    before.supervisor.close();
    await damageAnIndex(`${folder}/buffer.sqlite`);
    const { supervisor, buffer, comesBack, log, clock } = await open(folder);
    const damage = () => log.told("buffer was damaged, salvaged into a new file").length;
    await supervisor.check();
    assertEquals([supervisor.condition.disk, damage()], ["ok", 0]);
    await clock.advance(60_000);
    await supervisor.check();
    assertEquals(supervisor.condition.disk, "corrupt");
    buffer.append([event('"meanwhile"')]);
    await comesBack();
    assertEquals([supervisor.condition.disk, damage()], ["ok", 1]);
    // A difference between so many would take minutes to print.
    const kept = new Set(supervisor.opened?.buffer.list().map(({ body }) => body));
    assertEquals([...all, '"meanwhile"'].filter((body) => !kept.has(body)), []);
    assertEquals(buffer.countWaiting(), { pending: all.length + 1, deadLetters: 0 });
    supervisor.close();
  }));

Deno.test("a row that is damaged while the agent runs has the file salvaged, and holds up no other", () =>
  inFolder(async (folder) => {
    const { supervisor, buffer, comesBack, bodies, log } = await open(folder);
    buffer.append([event('"damaged"'), event('"whole"')]);
    supervisor.opened?.database.execute(`
      PRAGMA ignore_check_constraints = 1;
      UPDATE events SET kind = 'lof' WHERE sequence = 1`);
    assertEquals([bodies(), supervisor.condition.disk], [[], "corrupt"]);
    await comesBack();
    assertEquals([bodies(), supervisor.condition.disk], [['"whole"'], "ok"]);
    const [salvaged] = log.told("buffer was damaged, salvaged into a new file");
    assertEquals([salvaged?.["events"], salvaged?.["lostEvents"]], [1, 1]);
    supervisor.close();
  }));

Deno.test("a newer Pennon's file is left alone, for people too, and used as soon as it can be", () =>
  inFolder(async (folder) => {
    const path = `${folder}/buffer.sqlite`;
    const setVersion = (version: number) => {
      const database = openRealDatabase(path);
      database.execute(`PRAGMA user_version = ${version}`);
      database.close();
    };
    const first = await open(folder);
    first.buffer.append([event("in the newer one")]);
    first.supervisor.close();
    setVersion(SCHEMA_VERSION + 1);
    const bytes = await Deno.readFile(path);
    const refused = await open(folder);
    const { disk, why } = refused.supervisor.condition;
    assertEquals(disk, "failed");
    assertStringIncludes(why ?? "", `written by a newer Pennon (schema ${SCHEMA_VERSION + 1})`);
    refused.buffer.append([event("in memory")]);
    assertEquals(await Deno.readFile(path), bytes);
    for (const look of [openBufferReadOnly, openBufferForChange]) {
      await assertRejects(() => look(realSystem(), folder, limits), BufferError, "newer Pennon");
    }
    setVersion(SCHEMA_VERSION);
    await refused.comesBack();
    assertEquals(refused.bodies(), ["in the newer one", "in memory"]);
    refused.supervisor.close();
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["buffer.sqlite"]);
  }));
