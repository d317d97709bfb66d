import { assertEquals, assertThrows } from "@std/assert";
import { addToCounters, allocateSequence, readCounts, recount } from "../../src/buffer/counters.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event } from "../fakes/test_store.ts";
import { FakeSystem } from "../fakes/system.ts";

function make() {
  const system = new FakeSystem();
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };
  return { system, database, buffer: new SqliteBuffer(database, system, limits) };
}

Deno.test("counts() has the instant since when the oldest event has been pending", async () => {
  const { system, buffer } = make();
  assertEquals(buffer.counts().oldestPendingMs, null);
  const instants: number[] = [];
  const ids: string[] = [];
  for (const body of ["a", "b", "c"]) {
    instants.push(system.clock.nowMs());
    ids.push(...buffer.append([event(body)]).ids);
    await system.clock.advance(60_000);
  }
  const [a = "", b = "", c = ""] = ids;
  assertEquals(buffer.counts().oldestPendingMs, instants[0]);
  buffer.indexPending();
  assertEquals(buffer.counts().oldestPendingMs, instants[0]);
  buffer.acknowledge([a]);
  assertEquals(buffer.counts().oldestPendingMs, instants[1]);
  buffer.refuse(b, "HTTP 400"); // It waits for a person.
  assertEquals(buffer.counts().oldestPendingMs, instants[2]);
  buffer.requeue([b]);
  assertEquals(buffer.counts().oldestPendingMs, instants[1]);
  buffer.acknowledge([b, c]);
  assertEquals(buffer.counts().oldestPendingMs, null);
});

Deno.test("addToCounters() changes the given counters together, and nothing for no counters", () => {
  const { database } = make();
  const before = readCounts(database);
  addToCounters(database, {});
  assertEquals(readCounts(database), before);
  addToCounters(database, { delivered: 2, purged: 1, evicted_log: 3, appended: 6 });
  addToCounters(database, { delivered: -1 });
  const { delivered, purged, evicted, appended } = readCounts(database);
  assertEquals({ delivered, purged, log: evicted.log, appended }, {
    delivered: 1,
    purged: 1,
    log: 3,
    appended: 6,
  });
});

Deno.test("allocateSequence() gives each number once", () => {
  const { database } = make();
  assertEquals([1, 2, 3].map(() => allocateSequence(database)), [1, 2, 3]);
});

Deno.test("missing counters are damage, whichever of them is read", () => {
  const { database, buffer } = make();
  database.execute("DELETE FROM counters");
  for (
    const read of [
      () => buffer.counts(),
      () => buffer.countWaiting(),
      () => allocateSequence(database),
    ]
  ) {
    assertEquals(assertThrows(read, DatabaseError).reason, "corrupt");
  }
});

const ownSystem = new FakeSystem();

/** Indexed, dead-lettered, delivered, evicted and purged events, and two that are not indexed yet. */
function makeUsed() {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 8, maxBytes: 1_000_000, maxAttempts: 1 };
  const small = new SqliteBuffer(database, ownSystem, limits);
  small.append(Array.from({ length: 10 }, (_, number) => event(String(number), "c")));
  const [first, second, third, fourth] = small.next(4).filter((found) => found.commandId === "c");
  small.acknowledge([first!.id]);
  for (const { id } of [second!, third!, fourth!]) small.refuse(id, "HTTP 400");
  small.purge(second!.id);
  small.requeue([third!.id]);
  const buffer = new SqliteBuffer(database, ownSystem, { ...limits, maxEvents: 100 });
  buffer.append([event("late", "c"), event("later")]);
  return { database, buffer };
}

function rowOf(database: Database) {
  return { ...database.all("SELECT * FROM counters")[0] };
}

function balance(buffer: SqliteBuffer): number {
  const { appended, pending, deadLetters, delivered, purged, evicted } = buffer.counts();
  const gone = Object.values(evicted).reduce((sum, count) => sum + count, delivered + purged);
  return appended - pending - deadLetters - gone;
}

Deno.test("recount() indexes what was appended, and changes no counter that is right", () => {
  const empty = openRealDatabase(":memory:");
  migrate(empty);
  assertEquals(recount(empty), null);
  const { database, buffer } = makeUsed();
  const twin = makeUsed();
  twin.buffer.indexPending();
  assertEquals([recount(database), rowOf(database)], [null, rowOf(twin.database)]);
  const indexed = rowOf(database);
  const changes = () => database.all("SELECT total_changes() AS changes")[0]?.["changes"];
  const before = changes();
  assertEquals([recount(database), rowOf(database), changes()], [null, indexed, before]);
  buffer.acknowledge(buffer.list().map(({ id }) => id));
  assertEquals(recount(database), null); // Its numbers are higher than any that is there.
});

/** By what is wrong with a counter: where the sums show it. */
const PRESENT = {
  pending: "pending",
  dead_lettered: "dead_lettered",
  size_bytes: "size_bytes",
  indexed_to: "pending",
  bytes_to: "size_bytes",
};
const WRONG = [-32_466, 0, 3, 70_000, 2 ** 40];
/** Not even to be read, no number, none at all. */
const ABSURD = ["9223372036854775807", "-9223372036854775807", "'x'", "x'00'", "1.5"];

Deno.test("recount() counts what is there anew, whatever a counter says", () => {
  const whole = makeUsed();
  const right = whole.buffer.counts();
  const bodies = whole.buffer.next(99).map(({ body }) => body);
  for (const [name, shown] of Object.entries(PRESENT)) {
    for (const value of [...WRONG, ...ABSURD]) {
      const { database, buffer } = makeUsed();
      const before = rowOf(database);
      database.execute(`UPDATE counters SET ${name} = ${value}`);
      if (before[name] === value) continue;
      const found = recount(database);
      assertEquals(found?.events, 8, `${name} ${value}`);
      assertEquals(found?.wrong.includes(shown), true, `${name} ${value}: ${found?.wrong}`);
      assertEquals(recount(database), null);
      assertEquals(buffer.counts(), { ...right, oldestPendingMs: buffer.counts().oldestPendingMs });
      assertEquals(buffer.next(99).map(({ body }) => body), bodies, `${name} ${value}`);
      buffer.append([event("new")]);
      assertEquals([buffer.next(99).length, balance(buffer)], [bodies.length + 1, 0]);
    }
  }
});

Deno.test("recount() makes a count of the past that is none what the others leave for it", () => {
  for (const name of ["appended", "delivered", "purged", "evicted_log", "evicted_updates"]) {
    for (const value of [-32_466, 2 ** 60, ...ABSURD]) {
      const { database, buffer } = makeUsed();
      const right = buffer.counts();
      database.execute(`UPDATE counters SET ${name} = ${value}`);
      const found = recount(database);
      assertEquals(
        [found?.wrong.includes(name), buffer.counts()],
        [true, right],
        `${name} ${value}`,
      );
    }
  }
});

Deno.test("recount() leaves what may be true, and has the sum come out", () => {
  const { database, buffer } = makeUsed();
  database.execute("UPDATE counters SET delivered = 70000, purged = -1, evicted_log = 'x'");
  recount(database);
  const { delivered, purged, evicted } = buffer.counts();
  assertEquals([delivered, purged, evicted.log, balance(buffer)], [70_000, 0, 0, 0]);
  for (const value of ["-1", "9000000000000000000", "'x'"]) {
    database.execute(`UPDATE counters SET first_eviction_ms = ${value}`);
    assertEquals(recount(database)?.wrong, ["first_eviction_ms"]);
    assertEquals(buffer.counts().firstEvictionMs, null);
  }
});

Deno.test("recount() indexes skipped events in their order, after later ones were sent", () => {
  const { database, buffer } = makeUsed();
  buffer.next(1);
  const list = (text: string) => ({ ...event(text), kind: "updates", snapshotOf: "apt" }) as const;
  buffer.append([{ ...event("passed over", "d"), kind: "updates" }, list("old list")]);
  database.execute("UPDATE counters SET indexed_to = indexed_to + 64");
  buffer.append([event("after it", "d"), list("new list")]);
  assertEquals(buffer.next(99).some(({ body }) => body === "passed over"), false);
  assertEquals(recount(database)?.wrong, ["pending", "size_bytes", "appended"]);
  assertEquals(recount(database), null);
  const bodies = buffer.next(99).filter(({ commandId }) => commandId === "d")
    .map(({ body }) => body);
  assertEquals(bodies, ["passed over", "after it"]);
  assertEquals(
    database.all("SELECT body FROM events WHERE superseded = 1")[0]?.["body"],
    "old list",
  );
  assertEquals(balance(buffer), 0);
});

Deno.test("recount() reports damage that recounting cannot repair", () => {
  for (
    const damage of [
      "DELETE FROM counters",
      "UPDATE events SET size_bytes = 9223372036854775807 WHERE body = 'late'",
      "UPDATE events SET size_bytes = 'x' WHERE body = 'late'",
      "UPDATE events SET sequence = 9223372036854775807 WHERE body = 'later'",
    ]
  ) {
    const { database } = makeUsed();
    database.execute(damage);
    const error = assertThrows(() => recount(database), DatabaseError);
    assertEquals(error.reason, "corrupt", damage);
  }
});

Deno.test("recount() orders halves in the place of their whole, and supersedes halves of old lists", () => {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 5 };
  const buffer = new SqliteBuffer(database, ownSystem, limits);
  const list = (body: string, commandId: string) =>
    ({ kind: "updates", commandId, snapshotOf: "updates/apt", body }) as const;
  const { ids: [whole = ""] } = buffer.append([list("old", "scan"), event("scan log", "scan")]);
  buffer.append([list("new", "again"), event("again log", "again"), event("alone")]);
  buffer.append([event("early", "mixed"), { ...list("late", "mixed"), snapshotOf: null }]);
  buffer.bisect(whole, ["old 1", "old 2"], { error: "HTTP 500", isCounted: false });
  const bodies = buffer.next(99).map(({ body }) => body);
  assertEquals(bodies, [
    ...["alone", "early", "old 1", "old 2", "scan log", "new", "again log", "late"],
  ]);
  const stale = () =>
    database.all("SELECT body FROM events WHERE superseded = 1 ORDER BY sequence")
      .map(({ body }) => body);
  assertEquals(stale(), ["old 1", "old 2"]);
  const right = buffer.counts();
  // As they are appended, before anything is indexed.
  database.execute(
    "UPDATE events SET is_indexed = 0, superseded = 0, urgency = CASE kind WHEN 'log' THEN 2 ELSE 1 END",
  );
  recount(database);
  assertEquals(recount(database), null);
  assertEquals([buffer.next(99).map(({ body }) => body), stale()], [bodies, ["old 1", "old 2"]]);
  assertEquals(buffer.counts(), right);
});

Deno.test("recount() finds an indexed event behind the border, and an unindexed one before it", () => {
  const low = "UPDATE counters SET indexed_to = indexed_to - 1";
  const early = "SELECT min(sequence) FROM events";
  for (
    const [damage, isSorted] of [
      ["UPDATE events SET is_indexed = 1 WHERE body = 'later'", false],
      [`UPDATE events SET is_indexed = 0 WHERE sequence = (${early})`, false],
      [low, false],
      [low, true],
      ["UPDATE events SET sequence = sequence + 1 WHERE body = 'later'", false],
    ] as const
  ) {
    const { database, buffer } = makeUsed();
    if (isSorted) buffer.indexPending();
    const right = buffer.counts();
    database.execute(damage);
    recount(database);
    assertEquals(recount(database), null, damage);
    assertEquals(buffer.counts(), right, damage);
    const found = buffer.next(99).map(({ body }) => body);
    assertEquals(["late", "later"].every((body) => found.includes(body)), true);
    buffer.append([event("new")]);
    assertEquals(buffer.next(99).length, found.length + 1);
  }
});

Deno.test("recount() distinguishes damage from a disk that refuses writes", () => {
  const twins = makeUsed();
  twins.database.execute(
    "UPDATE events SET id = (SELECT id FROM events WHERE body = 'later') WHERE body = 'late'",
  );
  twins.database.execute("UPDATE counters SET pending = 0");
  const damage = assertThrows(() => recount(twins.database), DatabaseError);
  assertEquals(damage.reason, "corrupt");
  const { database } = makeUsed();
  database.execute("UPDATE counters SET pending = 0");
  const full = new DatabaseError("Cannot change database: full", { reason: "full" });
  const refusing: Database = {
    execute: (sql) => database.execute(sql),
    run: (sql, ...values) => database.run(sql, ...values),
    all: (sql, ...values) => database.all(sql, ...values),
    transaction() {
      throw full;
    },
    close: () => {},
  };
  assertEquals(assertThrows(() => recount(refusing), DatabaseError), full);
});

Deno.test("recount() allocates no sequence twice, of deleted events either", () => {
  const { database, buffer } = makeUsed();
  buffer.indexPending();
  const numbers = buffer.list().map(({ sequence }) => sequence);
  buffer.acknowledge(buffer.list().slice(1).map(({ id }) => id));
  database.execute("UPDATE counters SET pending = 77");
  recount(database);
  buffer.append([event("new")]);
  assertEquals(numbers.includes(buffer.list().at(-1)!.sequence), false);
});
