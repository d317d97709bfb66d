import { assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { nextUnsorted, sortIn } from "../../src/buffer/sort_in.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
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

Deno.test("sortIn() keeps a result behind what its command told in an earlier transaction", () => {
  const made = make();
  const { buffer } = made;
  buffer.append([event("updates", "list", "other")]);
  buffer.append([event("updates", "list", "scan")]);
  buffer.sortIn();
  buffer.append([event("log", "log", "scan")]);
  buffer.sortIn();
  buffer.append([event("dependencies", "more", "scan"), event("log", "alone", "beat")]);
  assertEquals(bodies(made), ["alone", "list", "list", "log", "more"]);
});

Deno.test("sortIn() keeps an event behind the least urgent one that its command has waiting", () => {
  const made = make();
  const { buffer } = made;
  for (const kind of ["log", "system_info", "updates"] as const) {
    buffer.append([event(kind, `${kind} of c`, "c")]);
    buffer.sortIn();
  }
  buffer.append([event("updates", "other")]);
  assertEquals(bodies(made), ["log of c", "other", "system_info of c", "updates of c"]);
});

Deno.test("sortIn() holds a result up by nothing that was set aside, or is delivered", () => {
  for (const end of ["set aside", "delivered"] as const) {
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

Deno.test("sortIn() goes on where it was, however much there is", () => {
  const made = make();
  const { buffer, database } = made;
  const many = Array.from(
    { length: 2_500 },
    (_, at) =>
      event(at % 2 === 0 ? "log" : "updates", String(at), at < 2 || at > 2_490 ? "c" : null),
  );
  buffer.append(many);
  sortIn(database);
  assertEquals(database.all("SELECT count(*) AS n FROM events WHERE is_sorted = 0")[0]?.["n"], 0);
  const counted = buffer.counts();
  assertEquals([counted.pending, counted.appended], [2_500, 2_500]);
  const own = buffer.next(10_000).filter(({ commandId }) => commandId === "c");
  const order = own.map(({ body }) => Number(body));
  assertEquals(order, order.toSorted((a, b) => a - b));
});

Deno.test("nextUnsorted() is in the order that sorting in gives, and leaves out what waits for a person", () => {
  const made = make();
  const { buffer, database } = made;
  const { ids: [dead = "", whole = ""] } = buffer.append([
    event("log", "set aside"),
    event("updates", "whole", "scan"),
    event("log", "scan log", "scan"),
  ]);
  buffer.refuse(dead, "HTTP 400");
  buffer.split(whole, ["half 1", "half 2"], { error: "HTTP 500", isCounted: false });
  buffer.append([event("system_info", "info"), event("updates", "list")]);
  buffer.append([event("log", "beat log", "beat"), event("log", "last of scan", "scan")]);
  const unsorted = nextUnsorted(database, 100).map((row) => String(row["body"]));
  assertEquals(unsorted, [
    "beat log",
    "half 1",
    "half 2",
    "scan log",
    "list",
    "last of scan",
    "info",
  ]);
  assertEquals(nextUnsorted(database, 2).length, 2);
  assertEquals(bodies(made), unsorted);
});
