import { assertEquals, assertThrows } from "@std/assert";
import type { BufferLimits, NewEvent } from "../../src/buffer/buffer.ts";
import { NOTICE_BYTES, NOTICE_KEY } from "../../src/buffer/eviction.ts";
import { countCommands } from "../../src/buffer/journal.ts";
import { merge, mergeAndClose, recordImport } from "../../src/buffer/merge.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { openBuffer, type OpenedBuffer } from "../../src/buffer/store.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event, journalOn, NONE_EVICTED } from "../fakes/test_store.ts";
import { FakeSystem } from "../fakes/system.ts";

const system = new FakeSystem();

function make(limits: Partial<BufferLimits> = {}) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const all = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 2, ...limits };
  const buffer = new SqliteBuffer(database, system, all);
  return { database, buffer, journal: journalOn({ database, buffer }, system.clock) };
}

function snapshot(body: string): NewEvent {
  return { kind: "updates", commandId: null, snapshotOf: "updates/apt", body };
}

Deno.test("merge() of nothing changes nothing", () => {
  const target = make();
  assertEquals(merge(make().database, target), 0);
  assertEquals(target.buffer.counts(), make().buffer.counts());
});

Deno.test("merge() preserves ids, instants, attempts and the dequeue order", () => {
  const source = make();
  const { ids } = source.buffer.append([event("a", "c"), event("whole"), event("b", "c")]);
  source.buffer.refuse(ids[0]!, "HTTP 400");
  source.buffer.bisect(ids[1]!, ["1", "2"], { error: "HTTP 500", isCounted: false });
  const target = make();
  target.buffer.append([event("first")]);
  assertEquals(merge(source.database, target), 4);
  const next = target.buffer.next(9);
  assertEquals(next.map(({ body }) => body), ["first", "a", "1", "2", "b"]);
  const known = (event: { id: string; createdMs: number; attempts: number; lastError: unknown }) =>
    [event.id, event.createdMs, event.attempts, event.lastError] as unknown[];
  assertEquals(next.slice(1).map(known), source.buffer.next(9).map(known));
});

Deno.test("merge() leaves superseded what a later event superseded that is delivered: it must close no row", () => {
  const source = make();
  source.buffer.append([snapshot("older")]);
  const { ids } = source.buffer.append([snapshot("newer")]);
  source.buffer.indexPending();
  source.buffer.acknowledge(ids);
  const target = make();
  merge(source.database, target);
  assertEquals(target.buffer.next(9).map(({ body, isSuperseded }) => [body, isSuperseded]), [
    ["older", true],
  ]);
  target.buffer.append([snapshot("newest")]);
  assertEquals(target.buffer.next(9).map(({ isSuperseded }) => isSuperseded), [true, false]);
});

Deno.test("merge() twice copies nothing twice, and undoes nothing", () => {
  const source = make();
  const { ids } = source.buffer.append([event("a"), event("b")]);
  source.buffer.refuse(ids[1]!, "x");
  source.buffer.refuse(ids[1]!, "x");
  source.journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  const target = make();
  merge(source.database, target);
  target.journal.start("c");
  target.journal.finish("c", () => {});
  assertEquals(merge(source.database, target), 0);
  const { pending, deadLetters, appended } = target.buffer.counts();
  assertEquals({ pending, deadLetters, appended }, { pending: 1, deadLetters: 1, appended: 2 });
  assertEquals(target.journal.unfinished(), []);
});

Deno.test("merge() copies how far a command has come", () => {
  const [source, target] = [make(), make()];
  const commands = ["a", "b", "c"].map((id) => ({ id, type: "reboot", params: `{"of":"${id}"}` }));
  for (const { journal } of [source, target]) journal.receive(commands);
  source.journal.start("a");
  source.journal.finish("b", () => {});
  merge(source.database, target);
  const rows = target.database.all("SELECT id, state FROM commands ORDER BY number");
  assertEquals(rows.map(({ id, state }) => `${id} ${state}`), [
    "a started",
    "b finished",
    "c received",
  ]);
});

Deno.test("merge() into a full buffer evicts by its rules, and dead letters stay", () => {
  const source = make();
  const { ids } = source.buffer.append([
    event("dead"),
    snapshot("old"),
    snapshot("new"),
    event("x"),
  ]);
  source.buffer.refuse(ids[0]!, "x");
  source.buffer.refuse(ids[0]!, "x");
  const large = event("y".repeat(5_000));
  source.buffer.append([large]);
  source.buffer.acknowledge(source.buffer.append([event("done")]).ids);
  const target = make({ maxEvents: 4, maxBytes: 2_000 + NOTICE_BYTES });
  assertEquals(merge(source.database, target), 4);
  const [notice, ...others] = target.buffer.list().toReversed();
  assertEquals(others.map(({ body }) => body), ["x", "new", "dead"]);
  assertEquals(notice?.snapshotOf, NOTICE_KEY);
  assertEquals(JSON.parse(JSON.parse(notice!.body).stdout).dropped, target.buffer.counts().evicted);
  const { appended, delivered, pending, deadLetters, evicted } = target.buffer.counts();
  assertEquals({ appended, delivered, pending, deadLetters }, {
    appended: 7,
    delivered: 1,
    pending: 3,
    deadLetters: 1,
  });
  assertEquals([evicted.updates, evicted.log], [1, 1]);
});

Deno.test("merge() makes one eviction notice of both, since the earlier first eviction", async () => {
  const [source, target] = [make({ maxEvents: 2 }), make({ maxEvents: 3 })];
  source.buffer.append([event("a"), event("b")]);
  const { firstEvictionMs } = source.buffer.counts();
  await system.clock.advance(60_000);
  target.buffer.append([event("c"), event("d"), event("e")]);
  merge(source.database, target);
  const notices = target.buffer.list().filter(({ snapshotOf }) => snapshotOf === NOTICE_KEY);
  assertEquals(notices.length, 1);
  assertEquals(JSON.parse(JSON.parse(notices[0]!.body).stdout), {
    since: new Date(firstEvictionMs!).toISOString(),
    dropped: { ...NONE_EVICTED, log: 3 },
  });
  const { appended, pending, evicted } = target.buffer.counts();
  assertEquals(appended, pending + evicted.log);
});

Deno.test("merge() copies that a command is reported, and that a log is unanswered", () => {
  const [source, target] = [make(), make()];
  for (const { journal } of [source, target]) {
    journal.receive(["a", "b"].map((id) => ({ id, type: "reboot", params: "{}" })));
  }
  for (const id of ["a", "b"]) {
    source.journal.finish(id, (queue) => {
      const { ids } = queue.append([event(id, id)]);
      if (id === "a") source.buffer.acknowledge(ids);
      else source.buffer.noteUnanswered(ids[0]!);
    });
  }
  merge(source.database, target);
  assertEquals(countCommands(target.database), {
    ...{ received: 0, started: 0, finished: 1, reported: 1 },
    ...{ remembered: 2, unfinished: 0 },
  });
  assertEquals(target.journal.unconfirmed().results, ["b"]);
});

Deno.test("merge() brings a command forward from any state to any later one, and never back", () => {
  const states = ["received", "started", "finished", "reported"];
  for (const [fromRank, fromState] of states.entries()) {
    for (const [toRank, toState] of states.entries()) {
      const [source, target] = [make(), make()];
      const both = [[source, fromState, "from"], [target, toState, "to"]] as const;
      for (const [{ database }, state, where] of both) {
        database.run(
          "INSERT INTO commands (id, type, params, state, received_ms) VALUES (?, ?, ?, ?, ?)",
          "c",
          "reboot",
          JSON.stringify({ where }),
          state,
          5,
        );
      }
      merge(source.database, target);
      const [state, where] = fromRank > toRank ? [fromState, "from"] : [toState, "to"];
      assertEquals(
        target.database.all("SELECT state, params FROM commands"),
        [{ state, params: JSON.stringify({ where }) }],
        `${fromState} over ${toState}`,
      );
    }
  }
});

Deno.test("merge() keeps when a command was run, so that it is remembered as long", () => {
  const [source, target] = [make(), make()];
  for (const { journal } of [source, target]) {
    journal.receive([{ id: "c", type: "scan_apt", params: "{}" }]);
  }
  source.journal.start("c");
  const startedMs = () => target.database.all("SELECT started_ms FROM commands")[0]?.["started_ms"];
  assertEquals(startedMs(), null);
  merge(source.database, target);
  assertEquals(typeof startedMs(), "number");
});

Deno.test("merge() copies tables of another program, and none of SQLite's", () => {
  const [source, target] = [make(), make()];
  for (const { database, buffer, journal } of [source, target]) {
    database.execute("CREATE TABLE marks (id TEXT PRIMARY KEY)");
    buffer.append([event("a")]);
    journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  }
  for (const id of ["x", "y"]) source.database.run("INSERT INTO marks VALUES (?)", id);
  target.database.run("INSERT INTO marks VALUES (?)", "y");
  merge(source.database, target);
  assertEquals(target.database.all("SELECT id FROM marks ORDER BY id"), [{ id: "x" }, { id: "y" }]);
  const names = target.database.all("SELECT name FROM sqlite_sequence").map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
});

Deno.test("merge() reports evictions since the earlier first one, of source or target", async () => {
  for (const isTargetFirst of [true, false]) {
    const [source, target] = [make({ maxEvents: 2 }), make({ maxEvents: 2 })];
    const [early, late] = isTargetFirst ? [target, source] : [source, target];
    early.buffer.append([event("a"), event("b")]);
    const { firstEvictionMs } = early.buffer.counts();
    await system.clock.advance(60_000);
    late.buffer.append([event("c"), event("d")]);
    merge(source.database, target);
    assertEquals(target.buffer.counts().firstEvictionMs, firstEvictionMs);
  }
});

function counted(counters = "delivered = delivered"): Database {
  const database = openRealDatabase(":memory:");
  migrate(database);
  database.execute(`UPDATE counters SET ${counters}`);
  return database;
}

Deno.test("recordImport() returns what came since the last import, and nothing for an unchanged file", () => {
  const source = counted("appended = 9, delivered = 5, evicted_log = 4, first_eviction_ms = 7");
  const target = counted();
  const first = recordImport(source, target);
  assertEquals([first.isChanged, first.history.delivered, first.history.evicted_log], [true, 5, 4]);
  const again = recordImport(source, target);
  assertEquals([again.isChanged, again.history.delivered, again.history.evicted_log], [
    false,
    0,
    0,
  ]);
  source.execute("UPDATE counters SET appended = 12, delivered = 8");
  const since = recordImport(source, target);
  assertEquals([since.isChanged, since.history.delivered, since.history.evicted_log], [true, 3, 0]);
  assertEquals(since.history.first_eviction_ms, 7);
});

Deno.test("recordImport() subtracts nothing where damage made a counter smaller", () => {
  const [source, target] = [counted("appended = 5, delivered = 5"), counted()];
  recordImport(source, target);
  source.execute("UPDATE counters SET appended = 1, delivered = 1");
  const { isChanged, history } = recordImport(source, target);
  assertEquals([isChanged, history.delivered], [true, 0]);
});

Deno.test("recordImport() remembers the hundred newest files, each once", () => {
  const target = counted();
  const files = Array.from({ length: 101 }, () => counted("appended = 1, delivered = 1"));
  const hundred = files.slice(0, 100);
  for (const source of hundred) recordImport(source, target);
  assertEquals(hundred.filter((source) => recordImport(source, target).isChanged).length, 0);
  recordImport(files[100]!, target);
  assertEquals(target.all("SELECT count(*) AS files FROM imports")[0]?.["files"], 101); // With itself.
  assertEquals(files.slice(1).filter((source) => recordImport(source, target).isChanged).length, 0);
  assertEquals(recordImport(files[0]!, target).isChanged, true);
});

Deno.test("recordImport() counts a damaged record of an import as zero", () => {
  const [source, target] = [counted("appended = 5, delivered = 5"), counted()];
  recordImport(source, target);
  target.execute("UPDATE imports SET appended = 1 << 62, delivered = 'x' WHERE number > 0");
  const { isChanged, history } = recordImport(source, target);
  assertEquals([isChanged, history.delivered], [true, 5]);
});

Deno.test("recordImport() of a copy of the target itself recognises it, and the target keeps its own id", () => {
  const [source, target] = [counted("appended = 5, delivered = 5"), counted()];
  const idOf = (database: Database) =>
    database.all("SELECT id FROM imports WHERE number = 0")[0]?.["id"];
  const id = idOf(target);
  source.run("UPDATE imports SET id = ? WHERE number = 0", id ?? "");
  const first = recordImport(source, target);
  assertEquals([first.isChanged, first.history.delivered], [true, 5]);
  const again = recordImport(source, target);
  assertEquals([again.isChanged, again.history.delivered], [false, 0]);
  assertEquals(idOf(target), id);
});

const limits = { maxEvents: 11, maxBytes: 1_000_000, maxAttempts: 1 };

/** Some of it delivered and evicted; `fresh` is opened as often as it is asked for. */
async function makeFiles() {
  const system = new FakeSystem();
  const old = await openBuffer(system, "/old", limits);
  old.buffer.append(Array.from({ length: 20 }, (_, number) => event(String(number))));
  old.buffer.acknowledge(old.buffer.next(3).map(({ id }) => id));
  return { old, open: () => openBuffer(system, "/state", limits) };
}

/** All has been committed when this one is asked to carry its log over. */
function failing(fresh: OpenedBuffer): OpenedBuffer {
  const { database } = fresh;
  return {
    ...fresh,
    database: {
      execute: (sql) => database.execute(sql),
      run: (sql, ...values) => database.run(sql, ...values),
      all(sql, ...values) {
        if (!sql.includes("wal_checkpoint")) return database.all(sql, ...values);
        throw new DatabaseError("Cannot write: on purpose", { reason: "io" });
      },
      transaction: (work) => database.transaction(work),
      close: () => {},
    },
  };
}

Deno.test("mergeAndClose() that fails behind its commit counts nothing twice when it is done again", async () => {
  const { old, open } = await makeFiles();
  const before = old.buffer.counts();
  for (let round = 0; round < 3; round++) {
    const fresh = failing(await open());
    assertThrows(() => mergeAndClose(old, fresh), DatabaseError, "on purpose");
  }
  const fresh = await open();
  mergeAndClose(old, fresh);
  assertEquals(fresh.buffer.counts(), before);
});

Deno.test("mergeAndClose() repeated copies what has come since, and counts it once", async () => {
  const { old, open } = await makeFiles();
  const first = failing(await open());
  assertThrows(() => mergeAndClose(old, first), DatabaseError);
  old.buffer.acknowledge(old.buffer.append([event("sent since")]).ids);
  old.buffer.append([event("since")]);
  const fresh = await open();
  mergeAndClose(old, fresh);
  const { appended, pending, delivered, evicted } = fresh.buffer.counts();
  assertEquals(fresh.buffer.counts(), old.buffer.counts());
  assertEquals(appended, pending + delivered + evicted.log);
  assertEquals(fresh.buffer.list().at(-2)?.body, "since"); // The eviction notice is the last.
});

/** A buffer whose closing is noted, and whose log can be carried over as far as `busy` says. */
function watched(opened: OpenedBuffer, name: string, closed: string[], busy: number): OpenedBuffer {
  const { database } = opened;
  return {
    ...opened,
    database: {
      execute: (sql) => database.execute(sql),
      run: (sql, ...values) => database.run(sql, ...values),
      all: (sql, ...values) =>
        sql.includes("wal_checkpoint")
          ? [{ busy, log: 0, checkpointed: 0 }]
          : database.all(sql, ...values),
      transaction: (work) => database.transaction(work),
      close: () => database.close(),
    },
    close: () => closed.push(name),
  };
}

Deno.test("mergeAndClose() closes both, the new one first, when all of it is in its main file, and else none", async () => {
  for (const [busy, areClosed, order] of [[0, true, ["fresh", "old"]], [1, false, []]] as const) {
    const { old, open } = await makeFiles();
    const closed: string[] = [];
    const moved = mergeAndClose(
      watched(old, "old", closed, 0),
      watched(await open(), "fresh", closed, busy),
    );
    assertEquals([moved.areClosed, closed, moved.events], [areClosed, [...order], 7]);
  }
});

Deno.test("mergeAndClose() that fails closes the new one, and lets the old one go on", async () => {
  const { old, open } = await makeFiles();
  const closed: string[] = [];
  const fresh = watched(await open(), "fresh", closed, 0);
  const refusing = {
    ...fresh,
    database: {
      ...fresh.database,
      transaction(): never {
        throw new DatabaseError("Cannot write: on purpose", { reason: "full" });
      },
    },
  };
  assertThrows(() => mergeAndClose(watched(old, "old", closed, 0), refusing), DatabaseError);
  assertEquals(closed, ["fresh"]);
});
