import { assertEquals, assertThrows } from "@std/assert";
import { BufferError, checkVersion, migrate, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { openRealDatabase } from "../../src/system/real_database.ts";

Deno.test("migrate() makes the tables once, and leaves them alone then", () => {
  const database = openRealDatabase(":memory:");
  migrate(database);
  database.run("INSERT INTO counters VALUES ('kept', 1)");
  migrate(database);
  assertEquals(database.all("SELECT value FROM counters").map((row) => row["value"]), [1]);
  assertEquals(database.all("PRAGMA user_version")[0]?.["user_version"], SCHEMA_VERSION);
  database.close();
});

Deno.test("migrate() and checkVersion() refuse what a newer Pennon wrote", () => {
  const database = openRealDatabase(":memory:");
  database.execute(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  assertThrows(() => migrate(database), BufferError, "a newer Pennon wrote it");
  assertThrows(() => checkVersion(database), BufferError);
  assertEquals(database.all("SELECT name FROM sqlite_master"), []);
  database.close();
});
