import { assertEquals, assertThrows } from "@std/assert";
import { addToCounters, readCounts, takeSequence } from "../../src/buffer/counters.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event } from "../fakes/lasting.ts";
import { FakeSystem } from "../fakes/system.ts";

function make() {
  const system = new FakeSystem();
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };
  return { system, database, buffer: new SqliteBuffer(database, system, limits) };
}

Deno.test("counts() tells since when the oldest event has been waiting for the server", async () => {
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
  buffer.sortIn();
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

Deno.test("addToCounters() changes what it is told, together, and nothing at all for nothing", () => {
  const { database } = make();
  const before = readCounts(database);
  addToCounters(database, {});
  assertEquals(readCounts(database), before);
  addToCounters(database, { delivered: 2, purged: 1, dropped_log: 3, appended: 6 });
  addToCounters(database, { delivered: -1 });
  const { delivered, purged, dropped, appended } = readCounts(database);
  assertEquals([delivered, purged, dropped.log, appended], [1, 1, 3, 6]);
});

Deno.test("takeSequence() gives each number once", () => {
  const { database } = make();
  assertEquals([1, 2, 3].map(() => takeSequence(database)), [1, 2, 3]);
});

Deno.test("counters that are gone are damage, whichever of them is asked for", () => {
  const { database, buffer } = make();
  database.execute("DELETE FROM counters");
  for (
    const read of [
      () => buffer.counts(),
      () => buffer.countWaiting(),
      () => takeSequence(database),
    ]
  ) {
    assertEquals(assertThrows(read, DatabaseError).reason, "corrupt");
  }
});
