import { assertEquals, assertThrows } from "@std/assert";
import { toEvent } from "../../src/buffer/event_row.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { checkWhole } from "../../src/buffer/store.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event } from "../fakes/test_store.ts";
import { FakeSystem } from "../fakes/system.ts";

function make() {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };
  const buffer = new SqliteBuffer(database, new FakeSystem(), limits);
  buffer.append([event("a", "c")]);
  database.execute("PRAGMA ignore_check_constraints = 1");
  return { database, buffer };
}

Deno.test("toEvent() reads a whole row", () => {
  const { database, buffer } = make();
  const [row = {}] = database.all("SELECT * FROM events");
  const { body, commandId, state, place, sequence } = toEvent(row);
  assertEquals([body, commandId, state, place, sequence], ["a", "c", "pending", 1, 1]);
  assertEquals(buffer.next(1), buffer.list());
});

const DAMAGE = [
  ["id", "x'00'"],
  ["kind", "'updatfs'"],
  ["kind", "7"],
  ["command_id", "x'00'"],
  ["snapshot_of", "x'00'"],
  ["state", "'pendinh'"],
  ["attempts", "'x'"],
  ["attempts", "1.5"],
  ["created_ms", "'x'"],
  ["size_bytes", "x'00'"],
  ["last_error", "x'00'"],
  ["place", "'x'"],
  ["body", "x'00'"],
] as const;

Deno.test("a damaged value is an error wherever the row is read, and found by the check of the whole file", () => {
  for (const isIndexed of [true, false]) {
    for (const [name, value] of DAMAGE) {
      const { database, buffer } = make();
      if (isIndexed) buffer.indexPending();
      database.execute(`UPDATE events SET ${name} = ${value}`);
      const [row = {}] = database.all("SELECT * FROM events");
      for (
        const read of [() => toEvent(row), () => buffer.list(), () => checkWhole({ database })]
      ) {
        assertEquals(assertThrows(read, DatabaseError).reason, "corrupt", `${name} = ${value}`);
      }
      database.close();
    }
  }
});
