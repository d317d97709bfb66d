import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseError, type DatabaseErrorReason } from "../../../src/system/database.ts";
import { databaseErrorReason, openRealDatabase } from "../../../src/system/real/database.ts";

Deno.test("transaction() commits all of its work or nothing", () => {
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

Deno.test("run() throws SQLite's reason for a refusal", () => {
  const database = openRealDatabase(":memory:");
  const error = assertThrows(() => database.run("INSERT INTO nowhere VALUES (1)"), DatabaseError);
  assertEquals(error.reason, "failed");
  assertEquals(error.message, "Cannot change database: no such table: nowhere");
  database.close();
});

Deno.test("databaseErrorReason() classifies SQLite's codes, extended ones by their last byte", () => {
  const rows: [code: number, reason: DatabaseErrorReason][] = [
    [5, "busy"],
    [6, "busy"],
    [517, "busy"], // SQLITE_BUSY_SNAPSHOT
    [10, "io"],
    [266, "io"], // SQLITE_IOERR_READ
    [11, "corrupt"],
    [26, "corrupt"],
    [13, "full"],
    [3, "denied"],
    [8, "denied"],
    [14, "denied"],
    [23, "denied"],
    [1, "failed"],
    [19, "failed"], // SQLITE_CONSTRAINT
    [2067, "failed"], // SQLITE_CONSTRAINT_UNIQUE
  ];
  for (const [errcode, reason] of rows) {
    assertEquals(databaseErrorReason(Object.assign(new Error("x"), { errcode })), reason);
  }
});

Deno.test("databaseErrorReason() classifies SQLite's messages without a code", () => {
  const rows: [message: string, reason: DatabaseErrorReason][] = [
    ["database is locked", "busy"],
    ["database table is locked: t", "busy"],
    ["database schema is locked: main", "busy"],
    ["disk I/O error", "io"],
    ["database disk image is malformed", "corrupt"],
    ["file is not a database", "corrupt"],
    ["malformed database schema (t)", "corrupt"],
    ["unsupported file format", "corrupt"],
    ["database or disk is full", "full"],
    ["access permission denied", "denied"],
    ["attempt to write a readonly database", "denied"],
    ["unable to open database file: /x", "denied"],
    ["authorization denied", "denied"],
    ["no such table: database is locked", "failed"],
    ["", "failed"],
  ];
  for (const [message, reason] of rows) {
    assertEquals(databaseErrorReason(new Error(message)), reason, message);
  }
  assertEquals(databaseErrorReason("disk I/O error"), "io");
  assertEquals(databaseErrorReason(new Deno.errors.NotCapable("no")), "denied");
});
