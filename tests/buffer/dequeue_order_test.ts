import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EventKind, NewEvent } from "../../src/buffer/buffer.ts";
import {
  indexPending,
  readNextUnindexed,
  URGENCY,
  urgencyBehind,
} from "../../src/buffer/dequeue_order.ts";
import { NOTICE_KEY } from "../../src/buffer/eviction.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import {
  type Database,
  DatabaseError,
  type Row,
  type SqlValue,
} from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { FakeSystem } from "../fakes/system.ts";

function make(maxAttempts = 1) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 10_000, maxBytes: 100_000_000, maxAttempts };
  return { database, buffer: new SqliteBuffer(database, new FakeSystem(), limits) };
}

function event(kind: NewEvent["kind"], body: string, commandId: string | null = null): NewEvent {
  return { kind, commandId, snapshotOf: null, body };
}

function bodies({ buffer }: ReturnType<typeof make>): string[] {
  return buffer.next(10_000).map(({ body }) => body);
}

Deno.test("indexPending() orders a result behind its command's events of an earlier transaction", () => {
  const made = make();
  const { buffer } = made;
  buffer.append([event("updates", "list", "other")]);
  buffer.append([event("updates", "list", "scan")]);
  buffer.indexPending();
  buffer.append([event("log", "log", "scan")]);
  buffer.indexPending();
  buffer.append([event("dependencies", "more", "scan"), event("log", "alone", "beat")]);
  assertEquals(bodies(made), ["alone", "list", "list", "log", "more"]);
});

Deno.test("indexPending() orders an event behind the least urgent pending one of its command", () => {
  const made = make();
  const { buffer } = made;
  for (const kind of ["log", "system_info", "updates"] as const) {
    buffer.append([event(kind, `${kind} of c`, "c")]);
    buffer.indexPending();
  }
  buffer.append([event("updates", "other")]);
  assertEquals(bodies(made), ["log of c", "other", "system_info of c", "updates of c"]);
});

Deno.test("indexPending() orders a result behind no dead letter and no delivered event", () => {
  for (const end of ["dead-lettered", "delivered"] as const) {
    const made = make();
    const { buffer } = made;
    buffer.append([event("updates", "other")]);
    const { ids: [list = ""] } = buffer.append([event("updates", "list", "scan")]);
    if (end === "delivered") buffer.acknowledge([list]);
    else buffer.refuse(list, "HTTP 400");
    buffer.append([event("log", "log", "scan")]);
    assertEquals(bodies(made), ["log", "other"], end);
  }
});

Deno.test("indexPending() goes on where it was, however much there is", () => {
  const made = make();
  const { buffer, database } = made;
  const many = Array.from(
    { length: 2_500 },
    (_, at) =>
      event(at % 2 === 0 ? "log" : "updates", String(at), at < 2 || at > 2_490 ? "c" : null),
  );
  buffer.append(many);
  indexPending(database);
  assertEquals(database.all("SELECT count(*) AS n FROM events WHERE is_indexed = 0")[0]?.["n"], 0);
  const counted = buffer.counts();
  assertEquals([counted.pending, counted.appended], [2_500, 2_500]);
  const own = buffer.next(10_000).filter(({ commandId }) => commandId === "c");
  const order = own.map(({ body }) => Number(body));
  assertEquals(order, order.toSorted((a, b) => a - b));
});

Deno.test("readNextUnindexed() has the order of the index, without dead letters", () => {
  const made = make();
  const { buffer, database } = made;
  const { ids: [dead = "", whole = ""] } = buffer.append([
    event("log", "dead letter"),
    event("updates", "whole", "scan"),
    event("log", "scan log", "scan"),
  ]);
  buffer.refuse(dead, "HTTP 400");
  buffer.bisect(whole, ["half 1", "half 2"], { error: "HTTP 500", isCounted: false });
  buffer.append([event("system_info", "info"), event("updates", "list")]);
  buffer.append([event("log", "beat log", "beat"), event("log", "last of scan", "scan")]);
  const unsorted = readNextUnindexed(database, 100).map(({ body }) => body);
  assertEquals(unsorted, [
    "beat log",
    "half 1",
    "half 2",
    "scan log",
    "list",
    "last of scan",
    "info",
  ]);
  assertEquals(readNextUnindexed(database, 2).length, 2);
  assertEquals(bodies(made), unsorted);
});

Deno.test("urgencyBehind() puts results first, unless their command has other events pending", () => {
  assertEquals(urgencyBehind("log", null), 3);
  assertEquals(urgencyBehind("log", 3), 3);
  assertEquals(urgencyBehind("log", 2), 2);
  assertEquals(urgencyBehind("system_info", 3), 1);
});

Deno.test("urgencyBehind() puts what the agent says of itself last, metrics of the host beside lists", () => {
  const of = (kind: EventKind) => urgencyBehind(kind, null);
  assertEquals(["agent_event", "circuit_breakers"].map((kind) => of(kind as EventKind)), [0, 0]);
  assertEquals([of("storage_metrics"), of("system_metrics")], [of("updates"), of("updates")]);
});

Deno.test("urgencyBehind() puts host facts behind lists, lists behind results, and no result before another", () => {
  const of = (kind: EventKind) => urgencyBehind(kind, null);
  assert(of("system_info") < of("updates") && of("updates") < of("dependencies"));
  assertEquals(of("dependencies"), of("log"));
});

const limits = { maxEvents: 1_000, maxBytes: 10_000_000, maxAttempts: 3 };

function log(extra: Partial<NewEvent> = {}): NewEvent {
  return { kind: "log", commandId: null, snapshotOf: null, body: "{}", ...extra };
}

/** The buffer's database, with every statement that is put to it. */
class Watched {
  readonly system = new FakeSystem();
  readonly asked: [string, SqlValue[]][] = [];
  /** It takes no writes. */
  isFull = false;

  async open(bounds = limits) {
    const opened = await openBuffer(
      { ...this.system, openDatabase: (path) => this.#watch(this.system.openDatabase(path)) },
      "/state",
      bounds,
    );
    this.asked.length = 0;
    return opened.buffer;
  }

  /** How SQLite would go about it. */
  planOf([sql, values]: [string, SqlValue[]]): string {
    return [...this.system.databases.values()].flatMap((database) =>
      database.all(`EXPLAIN QUERY PLAN ${sql}`, ...values).map((row) => String(row["detail"]))
    ).join("; ");
  }

  rows(): Row[] {
    return [...this.system.databases.values()].flatMap((database) =>
      database.all("SELECT * FROM events ORDER BY sequence")
    );
  }

  #watch(database: Database): Database {
    const note = (sql: string, values: SqlValue[]) => this.asked.push([sql, values]);
    return {
      execute: (sql) => database.execute(sql),
      run: (sql, ...values) => (note(sql, values), database.run(sql, ...values)),
      all: (sql, ...values) => (note(sql, values), database.all(sql, ...values)),
      transaction: (work) => {
        if (this.isFull) throw new DatabaseError("Cannot write: full", { reason: "full" });
        return database.transaction(work);
      },
      close: () => database.close(),
    };
  }
}

const newEvent: fc.Arbitrary<NewEvent> = fc.record({
  kind: fc.constantFrom<EventKind>("updates", "log", "dependencies", "system_info"),
  commandId: fc.constantFrom(null, "a", "b"),
  snapshotOf: fc.constantFrom(null, null, "updates/apt", "updates/dnf"),
  body: fc.nat(900).map((length) => "x".repeat(length)),
});

Deno.test("append() of many does what appending each does, however full the buffer is", async () => {
  // All but the id, which is drawn, and the number, which the eviction notice uses up too: it comes
  // last here, since each eviction writes it anew. All are indexed by then.
  const isNotice = (row: Row) => row["snapshot_of"] === NOTICE_KEY;
  const told = (rows: Row[]) =>
    [...rows.filter((row) => !isNotice(row)), ...rows.filter(isNotice)]
      .map(({ id: _, sequence: __, ...rest }) => rest);
  await fc.assert(
    fc.asyncProperty(
      fc.array(newEvent, { maxLength: 12 }),
      fc.array(newEvent, { minLength: 1, maxLength: 60 }),
      fc.constantFrom(8, 20, 100),
      async (before, events, maxEvents) => {
        const bounds = { maxEvents, maxBytes: 20_000, maxAttempts: 2 };
        const [together, each] = [new Watched(), new Watched()];
        const [one, other] = [await together.open(bounds), await each.open(bounds)];
        for (const buffer of [one, other]) buffer.append(before);
        one.append(events);
        for (const event of events) other.append([event]);
        for (const buffer of [one, other]) buffer.next(1);
        assertEquals(told(together.rows()), told(each.rows()));
        assertEquals(one.counts(), other.counts());
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("append() writes many rows with one statement", async () => {
  const watched = new Watched();
  const buffer = await watched.open();
  buffer.append(Array.from({ length: 32 }, () => log({ commandId: "one" })));
  const inserts = watched.asked.filter(([sql]) => sql.includes("INTO events"));
  assertEquals([inserts.length, watched.asked.length], [2, 3]); // And how much room there is.
  watched.asked.length = 0;
  buffer.append([log()]);
  assertEquals(watched.asked.length, 1);
  assertEquals(buffer.counts().pending, 33);
});

Deno.test("append() to a buffer with room writes no index, and is counted all the same", async () => {
  const watched = new Watched();
  const buffer = await watched.open();
  buffer.append([log({ commandId: "one", snapshotOf: "updates/apt" }), log()]);
  const before = buffer.counts();
  assertEquals([before.pending, before.appended, before.sizeBytes > 500], [2, 2, true]);
  assertEquals(watched.rows().map((row) => row["is_indexed"]), [0, 0]);
  buffer.indexPending();
  assertEquals(watched.rows().map((row) => row["is_indexed"]), [1, 1]);
  assertEquals(buffer.counts(), before);
});

Deno.test("indexPending() never scans the whole buffer", async () => {
  const watched = new Watched();
  const buffer = await watched.open();
  buffer.append([log({ commandId: "one", snapshotOf: "updates/apt" }), log({ commandId: "two" })]);
  watched.asked.length = 0;
  buffer.next(1);
  const plans = watched.asked.filter(([sql]) =>
    sql.includes("command_id = ?") || sql.includes("snapshot_of = ?")
  )
    .map((statement) => watched.planOf(statement));
  assertEquals(plans.length, 3); // What it supersedes, and what of each command waits.
  for (const plan of plans) {
    assert(/SEARCH .*(command_id|snapshot_of)=\?/.test(plan), plan);
  }
});

Deno.test("next() of a disk that lets nothing be indexed returns the same in the same order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(newEvent, { maxLength: 20 }), fc.nat(20), async (events, at) => {
      const watched = new Watched();
      const buffer = await watched.open();
      buffer.append(events.slice(0, at));
      buffer.next(1);
      buffer.append(events.slice(at));
      watched.isFull = true;
      const unsorted = buffer.next(30).map(({ id }) => id);
      watched.isFull = false;
      assertEquals(buffer.next(30).map(({ id }) => id), unsorted);
      assertEquals(unsorted.length, events.length);
    }),
    { numRuns: 100 },
  );
});

Deno.test("append() of many orders no event behind an evicted one of its command", async () => {
  const watched = new Watched();
  const buffer = await watched.open({ ...limits, maxEvents: 2 });
  buffer.append([
    log({ kind: "updates", commandId: "a" }),
    log({ commandId: "b" }),
    log({ commandId: "c" }), // The updates go.
    log({ commandId: "a", body: "late" }),
  ]);
  const late = watched.rows().find((row) => row["body"] === "late");
  assertEquals(late?.["urgency"], URGENCY.log);
});
