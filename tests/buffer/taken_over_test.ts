import { assertEquals } from "@std/assert";
import { migrate } from "../../src/buffer/schema.ts";
import { takeOnce } from "../../src/buffer/taken_over.ts";
import type { Database } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";

function make(counters = "delivered = delivered"): Database {
  const database = openRealDatabase(":memory:");
  migrate(database);
  database.execute(`UPDATE counters SET ${counters}`);
  return database;
}

Deno.test("takeOnce() gives what came since the last time, and nothing of a file as it was", () => {
  const from = make("appended = 9, delivered = 5, dropped_log = 4, first_drop_ms = 7");
  const to = make();
  const first = takeOnce(from, to);
  assertEquals([first.isAny, first.history.delivered, first.history.dropped_log], [true, 5, 4]);
  const again = takeOnce(from, to);
  assertEquals([again.isAny, again.history.delivered, again.history.dropped_log], [false, 0, 0]);
  from.execute("UPDATE counters SET appended = 12, delivered = 8");
  const since = takeOnce(from, to);
  assertEquals([since.isAny, since.history.delivered, since.history.dropped_log], [true, 3, 0]);
  assertEquals(since.history.first_drop_ms, 7);
});

Deno.test("takeOnce() takes nothing back where damage made less of a counter", () => {
  const [from, to] = [make("appended = 5, delivered = 5"), make()];
  takeOnce(from, to);
  from.execute("UPDATE counters SET appended = 1, delivered = 1");
  const { isAny, history } = takeOnce(from, to);
  assertEquals([isAny, history.delivered], [true, 0]);
});

Deno.test("takeOnce() knows the hundred newest files, and each once", () => {
  const to = make();
  const files = Array.from({ length: 101 }, () => make("appended = 1, delivered = 1"));
  const hundred = files.slice(0, 100);
  for (const from of hundred) takeOnce(from, to);
  assertEquals(hundred.filter((from) => takeOnce(from, to).isAny).length, 0);
  takeOnce(files[100]!, to);
  assertEquals(to.all("SELECT count(*) AS files FROM taken_over")[0]?.["files"], 101); // With itself.
  assertEquals(files.slice(1).filter((from) => takeOnce(from, to).isAny).length, 0);
  assertEquals(takeOnce(files[0]!, to).isAny, true);
});

Deno.test("takeOnce() takes what it cannot read of its own notes for nothing", () => {
  const [from, to] = [make("appended = 5, delivered = 5"), make()];
  takeOnce(from, to);
  to.execute("UPDATE taken_over SET appended = 1 << 62, delivered = 'x' WHERE number > 0");
  const { isAny, history } = takeOnce(from, to);
  assertEquals([isAny, history.delivered], [true, 5]);
});

Deno.test("takeOnce() of a copy of the buffer itself knows it, and forgets not who it is", () => {
  const [from, to] = [make("appended = 5, delivered = 5"), make()];
  const idOf = (database: Database) =>
    database.all("SELECT id FROM taken_over WHERE number = 0")[0]?.["id"];
  const id = idOf(to);
  from.run("UPDATE taken_over SET id = ? WHERE number = 0", id ?? "");
  const first = takeOnce(from, to);
  assertEquals([first.isAny, first.history.delivered], [true, 5]);
  const again = takeOnce(from, to);
  assertEquals([again.isAny, again.history.delivered], [false, 0]);
  assertEquals(idOf(to), id);
});
