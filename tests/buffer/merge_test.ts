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
import { event, journalOn } from "../fakes/lasting.ts";
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
  const to = make();
  assertEquals(merge(make().database, to), 0);
  assertEquals(to.buffer.counts(), make().buffer.counts());
});

Deno.test("merge() keeps ids, instants, attempts and the order of sending", () => {
  const from = make();
  const { ids } = from.buffer.append([event("a", "c"), event("whole"), event("b", "c")]);
  from.buffer.refuse(ids[0]!, "HTTP 400");
  from.buffer.bisect(ids[1]!, ["1", "2"], { error: "HTTP 500", isCounted: false });
  const to = make();
  to.buffer.append([event("first")]);
  assertEquals(merge(from.database, to), 4);
  const next = to.buffer.next(9);
  assertEquals(next.map(({ body }) => body), ["first", "a", "1", "2", "b"]);
  const known = (event: { id: string; createdMs: number; attempts: number; lastError: unknown }) =>
    [event.id, event.createdMs, event.attempts, event.lastError] as unknown[];
  assertEquals(next.slice(1).map(known), from.buffer.next(9).map(known));
});

Deno.test("merge() twice takes nothing twice, and undoes nothing", () => {
  const from = make();
  const { ids } = from.buffer.append([event("a"), event("b")]);
  from.buffer.refuse(ids[1]!, "x");
  from.buffer.refuse(ids[1]!, "x");
  from.journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  const to = make();
  merge(from.database, to);
  to.journal.start("c");
  to.journal.finish("c", () => {});
  assertEquals(merge(from.database, to), 0);
  const { pending, deadLetters, appended } = to.buffer.counts();
  assertEquals([pending, deadLetters, appended], [1, 1, 2]);
  assertEquals(to.journal.unfinished(), []);
});

Deno.test("merge() takes a command as far as it has come", () => {
  const [from, to] = [make(), make()];
  const commands = ["a", "b", "c"].map((id) => ({ id, type: "reboot", params: `{"of":"${id}"}` }));
  for (const { journal } of [from, to]) journal.receive(commands);
  from.journal.start("a");
  from.journal.finish("b", () => {});
  merge(from.database, to);
  const rows = to.database.all("SELECT id, state FROM commands ORDER BY number");
  assertEquals(rows.map(({ id, state }) => `${id} ${state}`), [
    "a started",
    "b finished",
    "c received",
  ]);
});

Deno.test("merge() by a full buffer goes by its rules, and what was set aside stays", () => {
  const from = make();
  const { ids } = from.buffer.append([event("dead"), snapshot("old"), snapshot("new"), event("x")]);
  from.buffer.refuse(ids[0]!, "x");
  from.buffer.refuse(ids[0]!, "x");
  const large = event("y".repeat(5_000));
  from.buffer.append([large]);
  from.buffer.acknowledge(from.buffer.append([event("done")]).ids);
  const to = make({ maxEvents: 4, maxBytes: 2_000 + NOTICE_BYTES });
  assertEquals(merge(from.database, to), 4);
  const [notice, ...others] = to.buffer.list().toReversed();
  assertEquals(others.map(({ body }) => body), ["x", "new", "dead"]);
  assertEquals(notice?.snapshotOf, NOTICE_KEY);
  assertEquals(JSON.parse(JSON.parse(notice!.body).stdout).dropped, to.buffer.counts().evicted);
  const { appended, delivered, pending, deadLetters, evicted } = to.buffer.counts();
  assertEquals([appended, delivered, pending, deadLetters], [7, 1, 3, 1]);
  assertEquals([evicted.updates, evicted.log], [1, 1]);
});

Deno.test("merge() makes one word of both on what they evicted, since the earlier first time", async () => {
  const [from, to] = [make({ maxEvents: 2 }), make({ maxEvents: 3 })];
  from.buffer.append([event("a"), event("b")]);
  const { firstEvictionMs } = from.buffer.counts();
  await system.clock.advance(60_000);
  to.buffer.append([event("c"), event("d"), event("e")]);
  merge(from.database, to);
  const notices = to.buffer.list().filter(({ snapshotOf }) => snapshotOf === NOTICE_KEY);
  assertEquals(notices.length, 1);
  assertEquals(JSON.parse(JSON.parse(notices[0]!.body).stdout), {
    since: new Date(firstEvictionMs!).toISOString(),
    dropped: { system_info: 0, updates: 0, dependencies: 0, log: 3 },
  });
  const { appended, pending, evicted } = to.buffer.counts();
  assertEquals(appended, pending + evicted.log);
});

Deno.test("merge() takes along that a command is reported, and that a log has no answer", () => {
  const [from, to] = [make(), make()];
  for (const { journal } of [from, to]) {
    journal.receive(["a", "b"].map((id) => ({ id, type: "reboot", params: "{}" })));
  }
  for (const id of ["a", "b"]) {
    from.journal.finish(id, (queue) => {
      const { ids } = queue.append([event(id, id)]);
      if (id === "a") from.buffer.acknowledge(ids);
      else from.buffer.noteUnanswered(ids[0]!);
    });
  }
  merge(from.database, to);
  assertEquals(countCommands(to.database), {
    ...{ received: 0, started: 0, finished: 1, reported: 1 },
    ...{ remembered: 2, unfinished: 0 },
  });
  assertEquals(to.journal.unconfirmed(), ["b"]);
});

Deno.test("merge() brings a command forward from any state to any later one, and never back", () => {
  const states = ["received", "started", "finished", "reported"];
  for (const [fromRank, fromState] of states.entries()) {
    for (const [toRank, toState] of states.entries()) {
      const [from, to] = [make(), make()];
      const both = [[from, fromState, "from"], [to, toState, "to"]] as const;
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
      merge(from.database, to);
      const [state, where] = fromRank > toRank ? [fromState, "from"] : [toState, "to"];
      assertEquals(
        to.database.all("SELECT state, params FROM commands"),
        [{ state, params: JSON.stringify({ where }) }],
        `${fromState} over ${toState}`,
      );
    }
  }
});

Deno.test("merge() takes along tables of another version's or program's, and none of SQLite's", () => {
  const [from, to] = [make(), make()];
  for (const { database, buffer, journal } of [from, to]) {
    database.execute("CREATE TABLE marks (id TEXT PRIMARY KEY)");
    buffer.append([event("a")]);
    journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  }
  for (const id of ["x", "y"]) from.database.run("INSERT INTO marks VALUES (?)", id);
  to.database.run("INSERT INTO marks VALUES (?)", "y");
  merge(from.database, to);
  assertEquals(to.database.all("SELECT id FROM marks ORDER BY id"), [{ id: "x" }, { id: "y" }]);
  const names = to.database.all("SELECT name FROM sqlite_sequence").map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
});

Deno.test("merge() tells of drops since the earlier first one, whosever that was", async () => {
  for (const isOfHeir of [true, false]) {
    const [from, to] = [make({ maxEvents: 2 }), make({ maxEvents: 2 })];
    const [early, late] = isOfHeir ? [to, from] : [from, to];
    early.buffer.append([event("a"), event("b")]);
    const { firstEvictionMs } = early.buffer.counts();
    await system.clock.advance(60_000);
    late.buffer.append([event("c"), event("d")]);
    merge(from.database, to);
    assertEquals(to.buffer.counts().firstEvictionMs, firstEvictionMs);
  }
});

function counted(counters = "delivered = delivered"): Database {
  const database = openRealDatabase(":memory:");
  migrate(database);
  database.execute(`UPDATE counters SET ${counters}`);
  return database;
}

Deno.test("recordImport() gives what came since the last time, and nothing of a file as it was", () => {
  const from = counted("appended = 9, delivered = 5, evicted_log = 4, first_eviction_ms = 7");
  const to = counted();
  const first = recordImport(from, to);
  assertEquals([first.isChanged, first.history.delivered, first.history.evicted_log], [true, 5, 4]);
  const again = recordImport(from, to);
  assertEquals([again.isChanged, again.history.delivered, again.history.evicted_log], [
    false,
    0,
    0,
  ]);
  from.execute("UPDATE counters SET appended = 12, delivered = 8");
  const since = recordImport(from, to);
  assertEquals([since.isChanged, since.history.delivered, since.history.evicted_log], [true, 3, 0]);
  assertEquals(since.history.first_eviction_ms, 7);
});

Deno.test("recordImport() takes nothing back where damage made less of a counter", () => {
  const [from, to] = [counted("appended = 5, delivered = 5"), counted()];
  recordImport(from, to);
  from.execute("UPDATE counters SET appended = 1, delivered = 1");
  const { isChanged, history } = recordImport(from, to);
  assertEquals([isChanged, history.delivered], [true, 0]);
});

Deno.test("recordImport() knows the hundred newest files, and each once", () => {
  const to = counted();
  const files = Array.from({ length: 101 }, () => counted("appended = 1, delivered = 1"));
  const hundred = files.slice(0, 100);
  for (const from of hundred) recordImport(from, to);
  assertEquals(hundred.filter((from) => recordImport(from, to).isChanged).length, 0);
  recordImport(files[100]!, to);
  assertEquals(to.all("SELECT count(*) AS files FROM imports")[0]?.["files"], 101); // With itself.
  assertEquals(files.slice(1).filter((from) => recordImport(from, to).isChanged).length, 0);
  assertEquals(recordImport(files[0]!, to).isChanged, true);
});

Deno.test("recordImport() takes what it cannot read of its own notes for nothing", () => {
  const [from, to] = [counted("appended = 5, delivered = 5"), counted()];
  recordImport(from, to);
  to.execute("UPDATE imports SET appended = 1 << 62, delivered = 'x' WHERE number > 0");
  const { isChanged, history } = recordImport(from, to);
  assertEquals([isChanged, history.delivered], [true, 5]);
});

Deno.test("recordImport() of a copy of the buffer itself knows it, and forgets not who it is", () => {
  const [from, to] = [counted("appended = 5, delivered = 5"), counted()];
  const idOf = (database: Database) =>
    database.all("SELECT id FROM imports WHERE number = 0")[0]?.["id"];
  const id = idOf(to);
  from.run("UPDATE imports SET id = ? WHERE number = 0", id ?? "");
  const first = recordImport(from, to);
  assertEquals([first.isChanged, first.history.delivered], [true, 5]);
  const again = recordImport(from, to);
  assertEquals([again.isChanged, again.history.delivered], [false, 0]);
  assertEquals(idOf(to), id);
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

Deno.test("mergeAndClose() done again takes what has come since, and counts it once", async () => {
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
  assertEquals(fresh.buffer.list().at(-2)?.body, "since"); // The notice of drops is the last.
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
