import { assert, assertEquals, assertRejects } from "@std/assert";
import { BufferError, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import {
  archiveCorrupt,
  moveCorrupt,
  moveStranger,
  openBuffer,
  openBufferForChange,
  openBufferReadOnly,
  restoreCorrupt,
} from "../../src/buffer/store.ts";
import {
  type Database,
  DatabaseError,
  type DatabaseErrorReason,
} from "../../src/system/database.ts";
import { FileError, type Files } from "../../src/system/files.ts";
import { FakeFiles } from "../fakes/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };

function change(system: FakeSystem) {
  return openBufferForChange(system, "/state", limits);
}

/** A system whose database is there, and refuses every change. */
async function refusing(reason: DatabaseErrorReason) {
  const system = new FakeSystem();
  await openBuffer(system, "/state", limits);
  let closed = 0;
  const database = system.openDatabase("/state/buffer.sqlite");
  system.databases.set("/state/buffer.sqlite", {
    ...database,
    transaction() {
      throw new DatabaseError("Cannot change database: on purpose", { reason });
    },
    close: () => closed++,
  });
  return { system, closed: () => closed };
}

Deno.test("openBufferForChange() makes no buffer where there is none", async () => {
  const system = new FakeSystem();
  assertEquals(await change(system), null);
  assertEquals([system.databases.size, system.files.texts.size], [0, 0]);
});

Deno.test("openBufferForChange() opens what the agent left", async () => {
  const system = new FakeSystem();
  const agent = await openBuffer(system, "/state", limits);
  const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  const { ids: [id = ""] } = agent.buffer.append([event]);
  agent.buffer.refuse(id, "HTTP 400");
  assertEquals((await change(system))?.buffer.requeue("all"), 1);
  assertEquals(agent.buffer.counts().pending, 1);
});

Deno.test("openBufferForChange() says whom to be where this user may not write", async () => {
  const { system, closed } = await refusing("denied");
  const advice = 'no right to write "/state/buffer.sqlite". Next: run this as the agent\'s user';
  await assertRejects(() => change(system), BufferError, advice);
  assertEquals(closed(), 1);
  system.files.fail("look for the buffer", "denied");
  await assertRejects(() => change(system), BufferError, advice);
});

Deno.test("openBufferForChange() refuses a damaged file, and moves nothing", async () => {
  const { system } = await refusing("corrupt");
  const before = [...system.files.texts.keys()];
  const refusal = await assertRejects(() => change(system), BufferError, "is damaged");
  assert(refusal.cause instanceof DatabaseError);
  assertEquals([...system.files.texts.keys()], before);
});

Deno.test("openBufferForChange() throws the error of a disk that refuses", async () => {
  const { system, closed } = await refusing("busy");
  await assertRejects(() => change(system), DatabaseError, "on purpose");
  assertEquals(closed(), 1);
});

Deno.test("openBuffer() that cannot create a new file restores the damaged one, to be salvaged later", async () => {
  const system = new FakeSystem();
  const path = "/state/buffer.sqlite";
  system.files.texts.set(path, "damaged");
  system.files.texts.set(`${path}-wal`, "its end");
  const open = system.openDatabase.bind(system);
  const refuse = (reason: DatabaseErrorReason) => () => {
    throw new DatabaseError("Cannot open database: on purpose", { reason });
  };
  const answers = [refuse("corrupt"), refuse("full"), refuse("corrupt")];
  system.openDatabase = (asked) => (answers.shift() ?? open)(asked);
  await assertRejects(() => openBuffer(system, "/state", limits), DatabaseError);
  assertEquals(
    new Map(system.files.texts),
    new Map([[path, "damaged"], [`${path}-wal`, "its end"]]),
  );
  const { recovered } = await openBuffer(system, "/state", limits);
  assert(system.files.texts.has(recovered?.movedTo ?? ""));
  assertEquals(system.files.texts.get(`${recovered?.movedTo}-wal`), "its end");
});

/** The same machine for a process that dies at its `last` call, and makes no other. */
function dyingAt(system: FakeSystem, last: number) {
  let calls = 0;
  const live = () => {
    if (++calls >= last) throw new Error("dead");
  };
  const { clock, random, files } = system;
  const dying = new Proxy(files, {
    get(target, name) {
      const member = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => (live(), member.apply(target, args));
    },
  });
  const openDatabase = (path: string): Database => {
    live();
    const database = system.openDatabase(path);
    return {
      execute: (sql) => (live(), database.execute(sql)),
      run: (sql, ...values) => (live(), database.run(sql, ...values)),
      all: (sql, ...values) => (live(), database.all(sql, ...values)),
      transaction(work) {
        const result = database.transaction(() => {
          const result = work();
          live();
          return result;
        });
        live(); // It is committed, and nobody knows.
        return result;
      },
      close: () => {},
    };
  };
  return { clock, random, files: dying, openDatabase };
}

Deno.test("openBuffer() counts anew, wherever it had died before, and then never again", async () => {
  let isOver = false;
  for (let death = 1; !isOver; death++) {
    const system = new FakeSystem();
    const { buffer, database } = await openBuffer(system, "/state", limits);
    const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
    buffer.acknowledge(buffer.append([event, event, event]).ids.slice(0, 1));
    buffer.append([event, event]);
    const right = buffer.counts();
    database.execute("UPDATE counters SET indexed_to = 99, pending = 0");
    isOver = await openBuffer(dyingAt(system, death), "/state", limits)
      .then(() => true, () => false);
    const opened = await openBuffer(system, "/state", limits);
    assertEquals(opened.buffer.counts(), right, `death at call ${death}`);
    assertEquals(opened.buffer.next(9).length, 4);
    if (isOver) assertEquals(opened.recounted, null);
  }
});

Deno.test("openBuffer() creates a new buffer where it is no regular file, and returns what was there", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/buffer.sqlite", "");
  system.files.kinds.set("/state/buffer.sqlite", "fifo");
  const { recovered } = await openBuffer(system, "/state", limits);
  assertEquals(recovered?.why, '"/state/buffer.sqlite" is a FIFO, not a regular file');
  assertEquals(system.files.kinds.get(recovered?.movedTo ?? ""), "fifo");
  assertEquals((await openBuffer(system, "/state", limits)).recovered, null);
});

/** The same machine, on which it is counted how many databases are open. */
function counting(system: FakeSystem) {
  const counted = { open: 0 };
  const { openDatabase } = system;
  system.openDatabase = (path, ...rest) => {
    const database = openDatabase.call(system, path, ...rest);
    counted.open += 1;
    return {
      execute: (sql) => database.execute(sql),
      run: (sql, ...values) => database.run(sql, ...values),
      all: (sql, ...values) => database.all(sql, ...values),
      transaction: (work) => database.transaction(work),
      close() {
        counted.open -= 1;
        database.close();
      },
    };
  };
  return counted;
}

Deno.test("openBuffer() leaves no database open but the one that it answers", async () => {
  const system = new FakeSystem();
  const counted = counting(system);
  const opened = await openBuffer(system, "/state", limits);
  assertEquals(counted.open, 1);
  opened.close();
  assertEquals(counted.open, 0);
  // One that fails while it salvages closes all that it has opened.
  const sick = new FakeSystem();
  sick.files.texts.set("/state/buffer.sqlite", "damaged");
  const left = counting(sick);
  const open = sick.openDatabase;
  let isFirst = true;
  sick.openDatabase = (path, ...rest) => {
    if (!isFirst) return open(path, ...rest);
    isFirst = false;
    throw new DatabaseError("Cannot open database: on purpose", { reason: "corrupt" });
  };
  const { rename } = sick.files;
  sick.files.rename = async (purpose, from, to) => {
    if (to.includes(".corrupt-")) throw new FileError("Cannot move: full", { reason: "full" });
    await rename.call(sick.files, purpose, from, to);
  };
  await assertRejects(() => openBuffer(sick, "/state", limits), FileError);
  assertEquals(left.open, 0);
});

Deno.test("openBuffer() goes on with a salvage that was cut off after its first step", async () => {
  const system = new FakeSystem();
  const { buffer } = await openBuffer(system, "/state", limits);
  buffer.append([{ kind: "log", commandId: null, snapshotOf: null, body: "{}" }]);
  const path = "/state/buffer.sqlite";
  // The damaged one has its other name, and nothing is in its place.
  system.databases.set(`${path}.damaged`, system.databases.get(path)!);
  system.databases.delete(path);
  system.files.texts.delete(path);
  system.files.texts.set(`${path}.damaged`, "");
  const { rename } = system.files;
  system.files.rename = async (purpose, from, to) => {
    await rename.call(system.files, purpose, from, to);
    const moved = system.databases.get(from);
    system.databases.delete(from);
    if (moved) system.databases.set(to, moved);
  };
  const again = await openBuffer(system, "/state", limits);
  assertEquals([again.buffer.counts().pending, again.recovered], [1, null]);
  assertEquals(system.files.texts.has(`${path}.damaged`), false);
});

Deno.test("openBufferReadOnly() opens this version's alone, and nothing where there is none", async () => {
  const system = new FakeSystem();
  const counted = counting(system);
  assertEquals(await openBufferReadOnly(system, "/state", limits), null);
  assertEquals([system.databases.size, counted.open], [0, 0]);
  const { database, close } = await openBuffer(system, "/state", limits);
  const read = await openBufferReadOnly(system, "/state", limits);
  assertEquals(read?.buffer.counts().pending, 0);
  read?.close();
  assertEquals(counted.open, 1);
  for (const version of [SCHEMA_VERSION + 1, SCHEMA_VERSION + 2]) {
    database.execute(`PRAGMA user_version = ${version}`);
    await assertRejects(() => openBufferReadOnly(system, "/state", limits), BufferError);
    await assertRejects(() => openBufferForChange(system, "/state", limits), BufferError);
    assertEquals(counted.open, 1);
  }
  close();
});

Deno.test("a file that the disk took no tables for is no buffer yet, and is closed again", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/buffer.sqlite", "");
  const counted = counting(system);
  assertEquals(await openBufferReadOnly(system, "/state", limits), null);
  assertEquals(await openBufferForChange(system, "/state", limits), null);
  assertEquals([system.databases.size, counted.open], [1, 0]);
});

Deno.test("openBuffer() creates a new buffer where SQLite's integrity check fails", async () => {
  const system = new FakeSystem();
  (await openBuffer(system, "/state", limits)).close();
  const { openDatabase } = system;
  let isFirst = true;
  system.openDatabase = (path, ...rest) => {
    const database = openDatabase.call(system, path, ...rest);
    const isOdd = isFirst && path.endsWith("buffer.sqlite");
    isFirst = false;
    return {
      ...database,
      all: (sql, ...values) =>
        isOdd && sql.includes("integrity_check")
          ? [{ integrity_check: "row 7 missing from index events_by_id" }]
          : database.all(sql, ...values),
    };
  };
  const { recovered } = await openBuffer(system, "/state", limits);
  assertEquals(
    recovered?.why,
    "Cannot trust database: row 7 missing from index events_by_id",
  );
});

Deno.test("openBuffer() has a large file checked as a whole only where it is suspect", async () => {
  const system = new FakeSystem();
  const { openDatabase } = system;
  let checks = 0;
  system.openDatabase = (path, ...rest) => {
    const database = openDatabase.call(system, path, ...rest);
    return {
      ...database,
      all: (sql, ...values) => {
        if (sql.includes("integrity_check")) checks += 1;
        return database.all(sql, ...values);
      },
    };
  };
  const roomy = { ...limits, maxEvents: 10_000, maxBytes: 64 * 1_048_576 };
  const reopen = async (options = {}) => {
    const opened = await openBuffer(system, "/state", roomy, options);
    opened.close();
    return opened.isChecked;
  };
  const { buffer, close } = await openBuffer(system, "/state", roomy);
  const body = "x".repeat(1_048_576);
  buffer.append([1, 2, 3].map(() => ({ kind: "log", commandId: null, snapshotOf: null, body })));
  close();
  assertEquals([await reopen(), checks], [true, 2]);
  const again = await openBuffer(system, "/state", roomy);
  again.buffer.append([{ kind: "log", commandId: null, snapshotOf: null, body }]);
  again.close();
  assertEquals([await reopen(), checks], [false, 3]);
  assertEquals([await reopen({ isSuspect: true }), checks], [true, 4]);
});

const PATH = "/state/buffer.sqlite";
const KEPT = `${PATH}.corrupt-2026-11-24T120000.000Z`;
const NOW_MS = Date.UTC(2026, 10, 24, 12);

function damaged(suffixes = ["", "-wal", "-shm"]): FakeFiles {
  const files = new FakeFiles();
  for (const suffix of suffixes) files.texts.set(PATH + suffix, `damaged${suffix}`);
  return files;
}

/** The same files for a process that dies at its `last` call and makes no other. */
function filesDyingAt(files: FakeFiles, last: number): Files {
  let calls = 0;
  const live = () => {
    calls += 1;
    if (calls >= last) throw new Error("dead");
  };
  return {
    inspect: (purpose: string, path: string) => (live(), files.inspect(purpose, path)),
    remove: (purpose: string, path: string) => (live(), files.remove(purpose, path)),
    rename: (
      purpose: string,
      from: string,
      to: string,
    ) => (live(), files.rename(purpose, from, to)),
  } as Partial<Files> as Files;
}

/** What a start does with a damaged buffer; the new one's files come one by one, as SQLite's do. */
async function salvage(disk: FakeFiles, files: Files): Promise<void> {
  await moveCorrupt(files, PATH);
  for (const suffix of ["", "-journal", "-wal", "-shm"]) {
    await files.inspect("a step of SQLite's", PATH + suffix);
    disk.texts.set(PATH + suffix, `new${suffix}`);
    if (suffix === "-wal") disk.texts.delete(`${PATH}-journal`);
  }
  await archiveCorrupt(files, PATH, NOW_MS);
}

/** Whether the process lived to the end. */
async function lives(work: Promise<unknown>): Promise<boolean> {
  return await work.then(() => true, () => false);
}

function under(files: FakeFiles, prefix: string): Record<string, string> {
  return Object.fromEntries(
    [...files.texts].filter(([path]) => path.startsWith(prefix))
      .map(([path, text]) => [path.slice(prefix.length), text]),
  );
}

Deno.test("moveCorrupt() and archiveCorrupt() leave the damaged one whole, and room for a new one", async () => {
  const files = damaged();
  await salvage(files, files);
  assertEquals(under(files, KEPT), { "": "damaged", "-wal": "damaged-wal", "-shm": "damaged-shm" });
  assertEquals(files.texts.get(PATH), "new");
  assertEquals(await restoreCorrupt(files, PATH), false);
});

Deno.test("moveCorrupt() removes the log of an earlier damaged file", async () => {
  const files = damaged([""]);
  files.texts.set(`${PATH}.damaged-wal`, "of another");
  await moveCorrupt(files, PATH);
  assertEquals(under(files, `${PATH}.damaged`), { "": "damaged" });
});

Deno.test("restoreCorrupt() makes the damaged one whole again, wherever a salvage and itself had died", async () => {
  for (const suffixes of [[""], ["", "-wal"], ["", "-wal", "-shm"]]) {
    const whole = Object.fromEntries(suffixes.map((suffix) => [suffix, `damaged${suffix}`]));
    let salvaged = false;
    for (let death = 1; !salvaged; death++) {
      for (let second = 1, isBack = false; !isBack; second++) {
        const files = damaged(suffixes);
        salvaged = await lives(salvage(files, filesDyingAt(files, death)));
        isBack = await lives(restoreCorrupt(filesDyingAt(files, second), PATH));
        if (!isBack) await restoreCorrupt(files, PATH);
        if (files.texts.get(PATH) === "new") {
          // It had all been read, and the name for people says so.
          assertEquals(files.texts.get(KEPT), "damaged");
          continue;
        }
        const all = under(files, PATH);
        assertEquals(all, whole, `death at call ${death}, then at ${second}`);
      }
    }
    assert(salvaged);
  }
});

Deno.test("restoreCorrupt() ignores what is no regular file", async () => {
  for (const kind of ["fifo", "socket", "directory", "device"] as const) {
    const files = new FakeFiles();
    files.texts.set(PATH, "good");
    files.texts.set(`${PATH}.damaged`, "");
    files.kinds.set(`${PATH}.damaged`, kind);
    assertEquals(await restoreCorrupt(files, PATH), false);
    assertEquals(files.texts.get(PATH), "good", kind);
  }
});

Deno.test("moveStranger() moves away what is no regular file, with what lies beside it, and nothing else", async () => {
  const files = damaged();
  assertEquals(await moveStranger(files, PATH, NOW_MS), null);
  assertEquals(await moveStranger(files, "/state/absent.sqlite", NOW_MS), null);
  files.kinds.set(PATH, "fifo");
  assertEquals(await moveStranger(files, PATH, NOW_MS), { movedTo: KEPT, kind: "fifo" });
  assertEquals(under(files, KEPT), { "": "damaged", "-wal": "damaged-wal", "-shm": "damaged-shm" });
  assertEquals(files.texts.has(PATH), false);
});
