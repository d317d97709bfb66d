import { assertEquals } from "@std/assert";
import type { BufferLimits, NewEvent } from "../../src/buffer/buffer.ts";
import { NOTICE_BYTES, NOTICE_KEY } from "../../src/buffer/drop_notice.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { SqliteJournal } from "../../src/buffer/sqlite_journal.ts";
import { takeOver } from "../../src/buffer/take_over.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event } from "../fakes/lasting.ts";
import { FakeSystem } from "../fakes/system.ts";

const system = new FakeSystem();

function make(limits: Partial<BufferLimits> = {}) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const all = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 2, ...limits };
  return {
    database,
    buffer: new SqliteBuffer(database, system, all),
    journal: new SqliteJournal(database, system.clock),
  };
}

function snapshot(body: string): NewEvent {
  return { kind: "updates", commandId: null, snapshotOf: "updates/apt", body };
}

Deno.test("takeOver() of nothing changes nothing", () => {
  const to = make();
  assertEquals(takeOver(make().database, to), 0);
  assertEquals(to.buffer.counts(), make().buffer.counts());
});

Deno.test("takeOver() keeps ids, instants, attempts and the order of sending", () => {
  const from = make();
  const { ids } = from.buffer.append([event("a", "c"), event("whole"), event("b", "c")]);
  from.buffer.refuse(ids[0]!, "HTTP 400");
  from.buffer.split(ids[1]!, ["1", "2"], { error: "HTTP 500", isCounted: false });
  const to = make();
  to.buffer.append([event("first")]);
  assertEquals(takeOver(from.database, to), 4);
  const next = to.buffer.next(9);
  assertEquals(next.map(({ body }) => body), ["first", "a", "1", "2", "b"]);
  const known = (event: { id: string; createdMs: number; attempts: number; lastError: unknown }) =>
    [event.id, event.createdMs, event.attempts, event.lastError] as unknown[];
  assertEquals(next.slice(1).map(known), from.buffer.next(9).map(known));
});

Deno.test("takeOver() twice takes nothing twice, and undoes nothing", () => {
  const from = make();
  const { ids } = from.buffer.append([event("a"), event("b")]);
  from.buffer.refuse(ids[1]!, "x");
  from.buffer.refuse(ids[1]!, "x");
  from.journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  const to = make();
  takeOver(from.database, to);
  to.journal.start("c");
  to.journal.finish("c", () => {});
  assertEquals(takeOver(from.database, to), 0);
  const { pending, setAside, appended } = to.buffer.counts();
  assertEquals([pending, setAside, appended], [1, 1, 2]);
  assertEquals(to.journal.unfinished(), []);
});

Deno.test("takeOver() takes a command as far as it has come", () => {
  const [from, to] = [make(), make()];
  const commands = ["a", "b", "c"].map((id) => ({ id, type: "reboot", params: `{"of":"${id}"}` }));
  for (const { journal } of [from, to]) journal.receive(commands);
  from.journal.start("a");
  from.journal.finish("b", () => {});
  takeOver(from.database, to);
  const rows = to.database.all("SELECT id, state FROM commands ORDER BY number");
  assertEquals(rows.map(({ id, state }) => `${id} ${state}`), [
    "a started",
    "b finished",
    "c received",
  ]);
});

Deno.test("takeOver() by a full buffer goes by its rules, and what was set aside stays", () => {
  const from = make();
  const { ids } = from.buffer.append([event("dead"), snapshot("old"), snapshot("new"), event("x")]);
  from.buffer.refuse(ids[0]!, "x");
  from.buffer.refuse(ids[0]!, "x");
  const large = event("y".repeat(5_000));
  from.buffer.append([large]);
  from.buffer.acknowledge(from.buffer.append([event("done")]).ids);
  const to = make({ maxEvents: 4, maxBytes: 2_000 + NOTICE_BYTES });
  assertEquals(takeOver(from.database, to), 4);
  const [notice, ...others] = to.buffer.list().toReversed();
  assertEquals(others.map(({ body }) => body), ["x", "new", "dead"]);
  assertEquals(notice?.snapshotOf, NOTICE_KEY);
  assertEquals(JSON.parse(JSON.parse(notice!.body).stdout).dropped, to.buffer.counts().dropped);
  const { appended, delivered, pending, setAside, dropped } = to.buffer.counts();
  assertEquals([appended, delivered, pending, setAside], [7, 1, 3, 1]);
  assertEquals([dropped.updates, dropped.log], [1, 1]);
});

Deno.test("takeOver() makes one word of both on what they dropped, since the earlier first time", async () => {
  const [from, to] = [make({ maxEvents: 2 }), make({ maxEvents: 3 })];
  from.buffer.append([event("a"), event("b")]);
  const { firstDropMs } = from.buffer.counts();
  await system.clock.advance(60_000);
  to.buffer.append([event("c"), event("d"), event("e")]);
  takeOver(from.database, to);
  const notices = to.buffer.list().filter(({ snapshotOf }) => snapshotOf === NOTICE_KEY);
  assertEquals(notices.length, 1);
  assertEquals(JSON.parse(JSON.parse(notices[0]!.body).stdout), {
    since: new Date(firstDropMs!).toISOString(),
    dropped: { system_info: 0, updates: 0, dependencies: 0, log: 3 },
  });
  const { appended, pending, dropped } = to.buffer.counts();
  assertEquals(appended, pending + dropped.log);
});

Deno.test("takeOver() takes along that a command is reported, and that a log has no answer", () => {
  const [from, to] = [make(), make()];
  for (const { journal } of [from, to]) {
    journal.receive(["a", "b"].map((id) => ({ id, type: "reboot", params: "{}" })));
  }
  for (const id of ["a", "b"]) {
    from.journal.finish(id, () => {
      const { ids } = from.buffer.append([event(id, id)]);
      if (id === "a") from.buffer.acknowledge(ids);
      else from.buffer.noteUnanswered(ids[0]!);
    });
  }
  takeOver(from.database, to);
  assertEquals(to.journal.counts(), { received: 0, started: 0, finished: 1, reported: 1 });
  assertEquals(to.journal.unconfirmed(), ["b"]);
});

Deno.test("takeOver() brings a command forward from any state to any later one, and never back", () => {
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
      takeOver(from.database, to);
      const [state, where] = fromRank > toRank ? [fromState, "from"] : [toState, "to"];
      assertEquals(
        to.database.all("SELECT state, params FROM commands"),
        [{ state, params: JSON.stringify({ where }) }],
        `${fromState} over ${toState}`,
      );
    }
  }
});

Deno.test("takeOver() takes along tables of another version's or program's, and none of SQLite's", () => {
  const [from, to] = [make(), make()];
  for (const { database, buffer, journal } of [from, to]) {
    database.execute("CREATE TABLE marks (id TEXT PRIMARY KEY)");
    buffer.append([event("a")]);
    journal.receive([{ id: "c", type: "reboot", params: "{}" }]);
  }
  for (const id of ["x", "y"]) from.database.run("INSERT INTO marks VALUES (?)", id);
  to.database.run("INSERT INTO marks VALUES (?)", "y");
  takeOver(from.database, to);
  assertEquals(to.database.all("SELECT id FROM marks ORDER BY id"), [{ id: "x" }, { id: "y" }]);
  const names = to.database.all("SELECT name FROM sqlite_sequence").map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
});

Deno.test("takeOver() tells of drops since the earlier first one, whosever that was", async () => {
  for (const isOfHeir of [true, false]) {
    const [from, to] = [make({ maxEvents: 2 }), make({ maxEvents: 2 })];
    const [early, late] = isOfHeir ? [to, from] : [from, to];
    early.buffer.append([event("a"), event("b")]);
    const { firstDropMs } = early.buffer.counts();
    await system.clock.advance(60_000);
    late.buffer.append([event("c"), event("d")]);
    takeOver(from.database, to);
    assertEquals(to.buffer.counts().firstDropMs, firstDropMs);
  }
});
