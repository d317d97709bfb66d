import { assertEquals, assertThrows } from "@std/assert";
import { moveOut } from "../../src/buffer/move_out.ts";
import { openBuffer, type OpenedBuffer } from "../../src/buffer/store.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { event } from "../fakes/lasting.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 11, maxBytes: 1_000_000, maxAttempts: 1 };

/** Some of it delivered and dropped; `fresh` is opened as often as it is asked for. */
async function make() {
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

Deno.test("moveOut() that fails behind its commit counts nothing twice when it is done again", async () => {
  const { old, open } = await make();
  const before = old.buffer.counts();
  for (let round = 0; round < 3; round++) {
    const fresh = failing(await open());
    assertThrows(() => moveOut(old, fresh), DatabaseError, "on purpose");
  }
  const fresh = await open();
  moveOut(old, fresh);
  assertEquals(fresh.buffer.counts(), before);
});

Deno.test("moveOut() done again takes what has come since, and counts it once", async () => {
  const { old, open } = await make();
  const first = failing(await open());
  assertThrows(() => moveOut(old, first), DatabaseError);
  old.buffer.acknowledge(old.buffer.append([event("sent since")]).ids);
  old.buffer.append([event("since")]);
  const fresh = await open();
  moveOut(old, fresh);
  const { appended, pending, delivered, dropped } = fresh.buffer.counts();
  assertEquals(fresh.buffer.counts(), old.buffer.counts());
  assertEquals(appended, pending + delivered + dropped.log);
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

Deno.test("moveOut() closes both, the new one first, when all of it is in its main file, and else none", async () => {
  for (const [busy, areClosed, order] of [[0, true, ["fresh", "old"]], [1, false, []]] as const) {
    const { old, open } = await make();
    const closed: string[] = [];
    const moved = moveOut(
      watched(old, "old", closed, 0),
      watched(await open(), "fresh", closed, busy),
    );
    assertEquals([moved.areClosed, closed, moved.events], [areClosed, [...order], 7]);
  }
});

Deno.test("moveOut() that fails closes the new one, and lets the old one go on", async () => {
  const { old, open } = await make();
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
  assertThrows(() => moveOut(watched(old, "old", closed, 0), refusing), DatabaseError);
  assertEquals(closed, ["fresh"]);
});
