import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EVENT_KINDS } from "../../src/buffer/buffer.ts";
import { BufferError, hasTables, migrate, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { FakeClock } from "../fakes/clock.ts";
import { event, journalOn } from "../fakes/test_store.ts";
import { seededRandom } from "../fakes/system.ts";

Deno.test("migrate() makes the tables once, and leaves them alone then", () => {
  const database = openRealDatabase(":memory:");
  migrate(database);
  database.run("UPDATE counters SET appended = 7");
  migrate(database);
  assertEquals(database.all("SELECT appended FROM counters").map((row) => row["appended"]), [7]);
  assertEquals(database.all("PRAGMA user_version")[0]?.["user_version"], SCHEMA_VERSION);
  database.close();
});

Deno.test("migrate() gives a buffer an id of its own, and no imports", () => {
  const ids = [1, 2].map(() => {
    const database = openRealDatabase(":memory:");
    migrate(database);
    const [row, ...others] = database.all("SELECT * FROM imports").map((row) => ({ ...row }));
    const { id, ...counted } = row ?? {};
    assertEquals([counted, others], [{
      number: 0,
      appended: 0,
      delivered: 0,
      purged: 0,
      ...Object.fromEntries(EVENT_KINDS.map((kind) => [`evicted_${kind}`, 0])),
    }, []]);
    assertMatch(String(id), /^[0-9a-f]{32}$/);
    database.close();
    return id;
  });
  assert(ids[0] !== ids[1]);
});

/** What a later version may need. */
const MIGRATIONS = [
  "ALTER TABLE events ADD COLUMN priority INTEGER NOT NULL DEFAULT 7",
  "CREATE INDEX events_by_priority ON events (priority)",
];

/** A database of version 1 with an event and a command in it. */
function used(): Database {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const world = { clock: new FakeClock(), random: seededRandom(1) };
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 10 };
  const buffer = new SqliteBuffer(database, world, limits);
  buffer.append([event("kept", "c")]);
  journalOn({ database, buffer }, world.clock).receive([{ id: "c", type: "x", params: "{}" }]);
  return database;
}

function versionOf(database: Database): unknown {
  return database.all("PRAGMA user_version")[0]?.["user_version"];
}

function schemaOf(database: Database) {
  return database.all("SELECT type, name, sql FROM sqlite_master ORDER BY name")
    .map((row) => ({ ...row }));
}

Deno.test("migrate() brings a whole database from any version to the newest, and a new one as well", () => {
  const fresh = openRealDatabase(":memory:");
  migrate(fresh, MIGRATIONS);
  for (let known = 0; known <= MIGRATIONS.length; known++) {
    const database = used();
    migrate(database, MIGRATIONS.slice(0, known));
    assertEquals(versionOf(database), 1 + known);
    migrate(database, MIGRATIONS);
    assertEquals(versionOf(database), 3);
    assertEquals(schemaOf(database), schemaOf(fresh));
    assertEquals(database.all("PRAGMA integrity_check")[0]?.["integrity_check"], "ok");
    const [row] = database.all("SELECT body, command_id, priority FROM events");
    assertEquals({ ...row }, { body: "kept", command_id: "c", priority: 7 });
    assertEquals(database.all("SELECT id FROM commands").map(({ id }) => id), ["c"]);
    hasTables(database, MIGRATIONS);
    database.close();
  }
});

Deno.test("migrate() that breaks off leaves the database as it was", () => {
  const database = used();
  const before = schemaOf(database);
  // The last of all its statements is the one that fails.
  const broken: Database = {
    ...bound(database),
    execute(sql) {
      if (sql.startsWith("PRAGMA user_version =")) {
        throw new DatabaseError("Cannot write: full", { reason: "full" });
      }
      database.execute(sql);
    },
  };
  assertThrows(() => migrate(broken, MIGRATIONS), DatabaseError, "full");
  assertEquals([schemaOf(database), versionOf(database)], [before, 1]);
  migrate(database, MIGRATIONS);
  assertEquals(versionOf(database), 3);
  database.close();
});

/** What each version's tables and indexes are, in short: hosts will have databases that were made so. */
const FINGERPRINTS = ["c58cec8d789fed9f"];

Deno.test("migrate() makes of each version what hosts have of it: a step is never changed", async () => {
  assertEquals(FINGERPRINTS.length, SCHEMA_VERSION);
  const database = openRealDatabase(":memory:");
  migrate(database);
  const rows = database.all(
    "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
  );
  const words = rows.map(({ name, sql }) =>
    `${name}: ${String(sql).replace(/--.*$/gm, "").replace(/\s+/g, " ")}`
  );
  const bytes = new TextEncoder().encode(words.join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  assertEquals(digest.toHex().slice(0, 16), FINGERPRINTS.at(-1));
  database.close();
});

Deno.test("migrate() reports a version that does not fit the tables as damage", () => {
  const database = used();
  migrate(database, MIGRATIONS);
  database.execute("PRAGMA user_version = 1");
  const error = assertThrows(() => migrate(database, MIGRATIONS), DatabaseError);
  assertEquals(error.reason, "corrupt");
  database.execute("PRAGMA user_version = 0");
  assertEquals(assertThrows(() => migrate(database), DatabaseError).reason, "corrupt");
  database.execute("PRAGMA user_version = 201");
  assertEquals(assertThrows(() => migrate(database), DatabaseError).reason, "corrupt");
  database.close();
});

function bound(database: Database): Database {
  return {
    execute: (sql) => database.execute(sql),
    run: (sql, ...values) => database.run(sql, ...values),
    all: (sql, ...values) => database.all(sql, ...values),
    transaction: (work) => database.transaction(work),
    close: () => database.close(),
  };
}

Deno.test("migrate() and hasTables() refuse what a newer Pennon wrote", () => {
  for (const database of [openRealDatabase(":memory:"), used()]) {
    const before = schemaOf(database);
    database.execute(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    const newer = `it was written by a newer Pennon (schema ${SCHEMA_VERSION + 1}). Next: run that`;
    assertThrows(() => migrate(database), BufferError, newer);
    assertThrows(() => hasTables(database), BufferError, newer);
    assertEquals(schemaOf(database), before);
    database.close();
  }
});

Deno.test("migrate() and hasTables() refuse what an unreleased Pennon wrote", () => {
  for (const version of [1, 5]) {
    const database = openRealDatabase(":memory:");
    database.execute(`
      CREATE TABLE events (sequence INTEGER PRIMARY KEY, is_sorted INTEGER);
      CREATE TABLE taken_over (number INTEGER PRIMARY KEY);
      PRAGMA user_version = ${version}`);
    const before = schemaOf(database);
    const refusal = `Pennon (schema ${version}). Next: run that Pennon. Or: give this one a`;
    assertThrows(() => migrate(database), BufferError, refusal);
    assertThrows(() => hasTables(database), BufferError, refusal);
    assertEquals(schemaOf(database), before);
    database.close();
  }
});

Deno.test("hasTables() refuses what an older Pennon wrote, and says what to do", () => {
  const database = used();
  assertThrows(
    () => hasTables(database, MIGRATIONS),
    BufferError,
    "it was written by an older Pennon (schema 1). Next: start this version's agent",
  );
  database.close();
});

Deno.test("hasTables() is false of a database that was created and never written", () => {
  const database = openRealDatabase(":memory:");
  assertEquals(hasTables(database), false);
  migrate(database);
  assertEquals(hasTables(database), true);
  database.close();
});
