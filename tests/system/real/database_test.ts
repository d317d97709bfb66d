import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseError } from "../../../src/system/database.ts";
import { openRealDatabase } from "../../../src/system/real/database.ts";

Deno.test("transaction() keeps all or nothing", () => {
  const database = openRealDatabase(":memory:");
  database.execute("CREATE TABLE t (a INTEGER)");
  assertThrows(() =>
    database.transaction(() => {
      database.run("INSERT INTO t VALUES (?)", 1);
      throw new Error("on purpose");
    })
  );
  assertEquals(database.all("SELECT count(*) AS n FROM t").map((row) => row["n"]), [0]);
  assertEquals(database.transaction(() => database.run("INSERT INTO t VALUES (?)", 2)), 1);
  assertEquals(database.all("SELECT a FROM t").map((row) => row["a"]), [2]);
  database.close();
});

Deno.test("run() tells what SQLite refused", () => {
  const database = openRealDatabase(":memory:");
  const error = assertThrows(() => database.run("INSERT INTO nowhere VALUES (1)"), DatabaseError);
  assertEquals(error.reason, "failed");
  assertEquals(error.message, "Cannot change database: no such table: nowhere");
  database.close();
});
