import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EventKind, NewEvent } from "../../src/buffer/buffer.ts";
import { NOTICE_KEY } from "../../src/buffer/drop_notice.ts";
import { URGENCY } from "../../src/buffer/rules.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import {
  type Database,
  DatabaseError,
  type Row,
  type SqlValue,
} from "../../src/system/database.ts";
import { FakeSystem } from "../fakes/system.ts";

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
  // All but the id, which is drawn, and the number, which the notice of drops uses up too: it comes
  // last here, since each drop writes it anew. Sorted in, as whoever looks finds them.
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

Deno.test("append() to a buffer with room keeps no index, and is counted all the same", async () => {
  const watched = new Watched();
  const buffer = await watched.open();
  buffer.append([log({ commandId: "one", snapshotOf: "updates/apt" }), log()]);
  const before = buffer.counts();
  assertEquals([before.pending, before.appended, before.sizeBytes > 500], [2, 2, true]);
  assertEquals(watched.rows().map((row) => row["is_sorted"]), [0, 0]);
  buffer.sortIn();
  assertEquals(watched.rows().map((row) => row["is_sorted"]), [1, 1]);
  assertEquals(buffer.counts(), before);
});

Deno.test("sorting in never walks through what is in the buffer", async () => {
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

Deno.test("next() of a disk that lets nothing be sorted in gives the same in the same order", async () => {
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

Deno.test("append() of many forgets what of a command has gone to make room", async () => {
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
