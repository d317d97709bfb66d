import { assertEquals } from "@std/assert";
import { NOTICE_KEY } from "../../src/buffer/eviction.ts";
import { salvage } from "../../src/buffer/salvage.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event } from "../fakes/test_store.ts";
import { FakeSystem } from "../fakes/system.ts";

const system = new FakeSystem();

function make(maxEvents: number) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents, maxBytes: 1_000_000, maxAttempts: 1 };
  return { database, buffer: new SqliteBuffer(database, system, limits) };
}

function some(count: number) {
  return Array.from({ length: count }, (_, number) => event(`"${number}"`));
}

/** What notices of drops that wait tell, in words. */
function notices(buffer: SqliteBuffer): string[] {
  return buffer.list().filter(({ body }) => body.includes("events_dropped"))
    .map(({ body }) => JSON.parse(body).stderr.match(/full: (.*), since/)[1]);
}

function balance(buffer: SqliteBuffer): number {
  const { appended, pending, deadLetters, delivered, purged, evicted } = buffer.counts();
  const gone = Object.values(evicted).reduce((sum, count) => sum + count, delivered + purged);
  return appended - pending - deadLetters - gone;
}

Deno.test("salvage() copies the counts of delivered, evicted and purged events, and since when", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(110));
  const [a, b, c] = damaged.buffer.next(9).filter(({ snapshotOf }) => snapshotOf === null);
  damaged.buffer.acknowledge([a!.id]);
  for (const { id } of [b!, c!]) damaged.buffer.refuse(id, "HTTP 400");
  damaged.buffer.purge(b!.id);
  assertEquals(salvage(damaged.database, fresh.database).lostEvents, 0);
  assertEquals(fresh.buffer.counts(), damaged.buffer.counts());
});

Deno.test("salvage() has the next eviction notice report the earlier evictions too", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(110));
  assertEquals(notices(damaged.buffer), ["100 log"]);
  damaged.database.execute("DELETE FROM events WHERE body = '\"105\"'"); // What cannot be read.
  assertEquals(salvage(damaged.database, fresh.database).lostEvents, 1);
  assertEquals(balance(fresh.buffer), 0);
  fresh.buffer.append(some(61)); // One finds the place of the lost one.
  assertEquals([notices(fresh.buffer), balance(fresh.buffer)], [["160 log"], 0]);
});

Deno.test("salvage() without counters leaves the eviction notice beside the next one", () => {
  for (
    const damage of ["DELETE FROM counters", "DROP VIEW totals; DROP TABLE counters"]
  ) {
    const [damaged, fresh] = [make(11), make(11)];
    damaged.buffer.append(some(110));
    damaged.database.execute(damage);
    assertEquals(salvage(damaged.database, fresh.database).lostEvents, null);
    fresh.buffer.append(some(60));
    // The old one takes the place of an event.
    assertEquals(notices(fresh.buffer), ["100 log", "61 log"]);
    assertEquals([fresh.buffer.counts().pending, balance(fresh.buffer)], [11, 0]);
    assertEquals(fresh.buffer.list().filter((kept) => kept.snapshotOf === NOTICE_KEY).length, 1);
  }
});

Deno.test("salvage() believes no count that cannot be", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(110));
  damaged.database.execute(
    "UPDATE counters SET evicted_log = -32668, delivered = 1 << 62, first_eviction_ms = 1 << 62",
  );
  salvage(damaged.database, fresh.database);
  const { pending, delivered, evicted, firstEvictionMs } = fresh.buffer.counts();
  assertEquals({ pending, delivered, log: evicted.log, firstEvictionMs }, {
    pending: 11,
    delivered: 0,
    log: 0,
    firstEvictionMs: null,
  });
  assertEquals(balance(fresh.buffer), 0);
});

Deno.test("salvage() comes to an end where a key is out of order", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(3));
  const { database } = damaged;
  const rows = database.all("SELECT * FROM events ORDER BY sequence");
  rows[2]!["sequence"] = 0; // A flipped bit of it.
  let calls = 0;
  const disordered: Database = {
    execute: (sql) => database.execute(sql),
    run: (sql, ...values) => database.run(sql, ...values),
    all(sql, ...values) {
      if (++calls > 1_000) throw new Error("it has no end");
      if (!sql.includes("FROM events WHERE sequence >=")) return database.all(sql, ...values);
      // SQLite goes to the first that is large enough, and on from there.
      const start = rows.findIndex((row) => Number(row["sequence"]) >= Number(values[0]));
      return start < 0 ? [] : rows.slice(start);
    },
    transaction: (work) => database.transaction(work),
    close: () => {},
  };
  assertEquals(salvage(disordered, fresh.database).events, 3);
  assertEquals(new Set(fresh.buffer.next(9).map(({ body }) => body)).size, 3);
});

Deno.test("salvage() keeps when a command was run, so that it is remembered as long", () => {
  const [damaged, fresh] = [make(12), make(12)];
  damaged.database.execute(
    `INSERT INTO commands (id, type, params, state, received_ms, started_ms)
    VALUES ('c', 'scan_apt', '{}', 'finished', 5, 7), ('d', 'scan_apt', '{}', 'finished', 5, 'x')`,
  );
  salvage(damaged.database, fresh.database);
  const rows = fresh.database.all("SELECT started_ms FROM commands ORDER BY number");
  assertEquals(rows, [{ started_ms: 7 }, { started_ms: null }]);
});

Deno.test("salvage() copies a command with damaged columns, so that it is answered", () => {
  const [damaged, fresh] = [make(11), make(11)];
  const add = (values: string) =>
    damaged.database.execute(
      `INSERT INTO commands (id, type, params, state, received_ms) VALUES (${values})`,
    );
  damaged.database.execute("PRAGMA ignore_check_constraints = ON");
  add("'no json', 'reboot', '{\"a', 'received', 5");
  add("'bytes', x'00', x'00', 'started', 'x'");
  add("'flipped', 'reboot', '{}', 'receivee', 5");
  add("'nothing like it', 'reboot', '{}', 'xxxxxxxx', 5");
  assertEquals(salvage(damaged.database, fresh.database).commands, 3);
  const found = fresh.database.all("SELECT * FROM commands ORDER BY number")
    .map(({ id, type, params, state, received_ms }) => [id, type, params, state, received_ms]);
  assertEquals(found, [
    ["no json", "reboot", '{"a', "received", 5],
    ["bytes", "", "", "started", 0],
    ["flipped", "reboot", "{}", "received", 5],
  ]);
});

Deno.test("salvage() counts nothing less than none for lost, whatever the damaged counters say", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(3));
  damaged.buffer.indexPending();
  damaged.database.execute("UPDATE counters SET pending = 1");
  assertEquals(salvage(damaged.database, fresh.database).lostEvents, 0);
  // One counter is lost, and the others leave less than nothing for it.
  const [other, anew] = [make(11), make(11)];
  other.buffer.append(some(3));
  other.buffer.indexPending();
  other.database.execute("UPDATE counters SET appended = 1, delivered = -1");
  salvage(other.database, anew.database);
  assertEquals([anew.buffer.counts().delivered, balance(anew.buffer)], [0, 0]);
});

Deno.test("salvage() reads page after page, and passes over nothing between them", () => {
  const [damaged, fresh] = [make(1_000), make(1_000)];
  damaged.buffer.append(some(700));
  damaged.buffer.indexPending();
  assertEquals(salvage(damaged.database, fresh.database).events, 700);
  assertEquals(
    fresh.buffer.list().map(({ body }) => body),
    damaged.buffer.list().map(({ body }) => body),
  );
});

Deno.test("salvage() copies the first of several events or commands with one id", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(3));
  damaged.buffer.indexPending();
  const { database } = damaged;
  // As where the index that keeps ids apart is damaged.
  const twice: Database = {
    ...bound(database),
    all(sql, ...values) {
      const rows = database.all(sql, ...values);
      const isRead = /FROM (events|commands) WHERE \w+ >=/.test(sql);
      return isRead ? rows.flatMap((row) => [row, { ...row, params: "second" }]) : rows;
    },
  };
  database.execute(
    "INSERT INTO commands (id, type, params, state, received_ms) VALUES ('c', 'reboot', '1', 'started', 5)",
  );
  const salvaged = salvage(twice, fresh.database);
  assertEquals([salvaged.events, salvaged.commands], [3, 1]);
  assertEquals(fresh.database.all("SELECT params FROM commands"), [{ params: "1" }]);
  assertEquals([fresh.buffer.counts().pending, balance(fresh.buffer)], [3, 0]);
});

Deno.test("salvage() dead-letters a body that is no JSON any more, and skips a row that is no event", () => {
  const [damaged, fresh] = [make(11), make(11)];
  damaged.buffer.append(some(8));
  damaged.buffer.indexPending();
  const { database } = damaged;
  database.execute("PRAGMA ignore_check_constraints = ON");
  for (
    const [column, value, number] of [
      ["body", "'{\"cut'", 0],
      ["id", "x'00'", 1],
      ["kind", "'lof'", 2],
      ["attempts", "-1", 3],
      ["created_ms", "1.5", 4],
      ["urgency", "'x'", 5],
      ["size_bytes", "9223372036854775807", 6],
    ] as const
  ) database.execute(`UPDATE events SET ${column} = ${value} WHERE body = '"${number}"'`);
  const { events, lostEvents } = salvage(database, fresh.database);
  assertEquals([events, lostEvents], [2, 6]);
  assertEquals(fresh.buffer.list().map(({ body, state, lastError }) => [body, state, lastError]), [
    ['{"cut', "dead_lettered", "damaged on disk"],
    ['"7"', "pending", null],
  ]);
  assertEquals(balance(fresh.buffer), 0);
});

/** A database in which every page that holds one of these events cannot be read. */
function unreadable(database: Database, isDamaged: (sequence: number) => boolean) {
  let calls = 0;
  const damaged: Database = {
    ...bound(database),
    all(sql, ...values) {
      if (++calls > 2_000) throw new Error("it has no end");
      const rows = database.all(sql, ...values);
      const isRead = /FROM events WHERE \w+ >=/.test(sql);
      if (!isRead || !rows.some((row) => isDamaged(Number(row["sequence"])))) return rows;
      throw new DatabaseError("Cannot read database: malformed", { reason: "corrupt" });
    },
  };
  return damaged;
}

Deno.test("salvage() loses of a damaged stretch the stretch alone, wherever it is and however long", () => {
  for (
    const [from, to] of [[1, 1], [1, 300], [250, 256], [256, 257], [299, 301], [300, 700], [5, 695]]
  ) {
    const [damaged, fresh] = [make(1_000), make(1_000)];
    damaged.buffer.append(some(700));
    damaged.buffer.indexPending();
    const isDamaged = (sequence: number) => sequence >= from! && sequence <= to!;
    const whole = damaged.buffer.list().filter(({ sequence }) => !isDamaged(sequence));
    const { events, lostEvents } = salvage(unreadable(damaged.database, isDamaged), fresh.database);
    assertEquals([events, lostEvents], [whole.length, 700 - whole.length], `${from} to ${to}`);
    assertEquals(fresh.buffer.list().map(({ id }) => id), whole.map(({ id }) => id));
    assertEquals(balance(fresh.buffer), 0);
  }
});

Deno.test("salvage() comes to an end where nothing behind a place can be read, not even that it is the end", () => {
  const [damaged, fresh] = [make(1_000), make(1_000)];
  damaged.buffer.append(some(400));
  damaged.buffer.indexPending();
  const database = unreadable(damaged.database, (sequence) => sequence >= 300);
  const cut: Database = {
    ...database,
    all(sql, ...values) {
      if (!/FROM events WHERE \w+ >=/.test(sql) || Number(values[0]) < 300) {
        return database.all(sql, ...values);
      }
      database.all("SELECT 1"); // It counts too.
      throw new DatabaseError("Cannot read database: malformed", { reason: "corrupt" });
    },
  };
  assertEquals(salvage(cut, fresh.database).events, 299);
});

function bound(database: Database): Database {
  return {
    execute: (sql) => database.execute(sql),
    run: (sql, ...values) => database.run(sql, ...values),
    all: (sql, ...values) => database.all(sql, ...values),
    transaction: (work) => database.transaction(work),
    close: () => {},
  };
}
