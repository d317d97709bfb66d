import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { BufferError, checkVersion, migrate, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { SqliteJournal } from "../../src/buffer/sqlite_journal.ts";
import { type Database, DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { FakeClock } from "../fakes/clock.ts";
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

Deno.test("migrate() gives a buffer an id of its own, and has it take over nothing yet", () => {
  const ids = [1, 2].map(() => {
    const database = openRealDatabase(":memory:");
    migrate(database);
    const [row, ...others] = database.all("SELECT * FROM taken_over").map((row) => ({ ...row }));
    const { id, ...counted } = row ?? {};
    assertEquals([counted, others], [{
      number: 0,
      appended: 0,
      delivered: 0,
      purged: 0,
      dropped_system_info: 0,
      dropped_updates: 0,
      dropped_dependencies: 0,
      dropped_log: 0,
    }, []]);
    assertMatch(String(id), /^[0-9a-f]{32}$/);
    database.close();
    return id;
  });
  assert(ids[0] !== ids[1]);
});

/** A database as an earlier Pennon left it, with events and commands in every state. */
function older(version: number): Database {
  const database = openRealDatabase(":memory:");
  migrate(database, version);
  const place = version >= 2 ? ", place" : "";
  const event = (row: string) =>
    database.execute(
      `INSERT INTO events (sequence, id, kind, command_id, snapshot_of, state, superseded, urgency,
        importance, attempts, created_ms, size_bytes, last_error, body${place})
      VALUES (${row}${version >= 2 ? ", NULL" : ""})`,
    );
  event(
    "3, 'e3', 'updates', 'told', 'updates/apt', 'set_aside', 0, 1, 1, 10, 1000, 300, 'HTTP 400', '{}'",
  );
  event(
    "4, 'e4', 'updates', NULL, 'updates/apt', 'pending', 1, 1, 1, 0, 1001, 301, NULL, '{\"a\":1}'",
  );
  event("7, 'e7', 'log', 'waits', NULL, 'pending', 0, 2, 3, 2, 1002, 302, 'HTTP 500', '{}'");
  event("8, 'e8', 'dependencies', 'begun', NULL, 'pending', 0, 2, 2, 0, 1003, 303, NULL, '{}'");
  event(
    "9, 'e9', 'system_info', NULL, 'system_info', 'pending', 0, 0, 0, 0, 1004, 304, NULL, '{}'",
  );
  if (version >= 2) database.execute("UPDATE events SET place = 5 WHERE id = 'e7'");
  const counters = ["'pending', 4", "'set_aside', 1", "'appended', 9", "'dropped_log', 2"];
  for (const counter of version < 4 ? counters : []) {
    database.execute(`INSERT INTO counters VALUES (${counter})`);
  }
  if (version >= 4) {
    database.execute(`
      UPDATE events SET is_sorted = 1;
      UPDATE counters SET pending = 4, set_aside = 1, appended = 9, dropped_log = 2, sorted_to = 9`);
  }
  const states = {
    new: "received",
    begun: "started",
    told: "finished",
    waits: "finished",
    delivered: "finished",
  };
  for (const [id, state] of Object.entries(states)) {
    database.run(
      "INSERT INTO commands (id, type, params, state, received_ms) VALUES (?, 'reboot', '{}', ?, 5)",
      id,
      state,
    );
  }
  database.execute("DELETE FROM commands WHERE id = 'delivered'"); // Its number stays used.
  return database;
}

for (let version = 1; version < SCHEMA_VERSION; version++) {
  Deno.test(`migrate() brings a whole database of version ${version} over`, () => {
    const database = older(version);
    // Version 3 came to know the difference, and notes it itself from then on.
    const told = version < 3 ? "reported" : "finished";
    const rows = (sql: string) => database.all(sql).map((row) => ({ ...row }));
    const events = rows("SELECT * FROM events ORDER BY sequence, id"); // Another text: it is cached.
    migrate(database);
    assertEquals(database.all("PRAGMA user_version")[0]?.["user_version"], SCHEMA_VERSION);
    assertEquals(database.all("PRAGMA integrity_check")[0]?.["integrity_check"], "ok");
    assertEquals(
      rows("SELECT * FROM events ORDER BY sequence"),
      events.map((row) => ({ place: null, ...row, unanswered: 0, is_sorted: 1, bytes_to: 0 })),
    );
    assertEquals(rows("SELECT * FROM counters"), [{
      one: 1,
      pending: 4,
      set_aside: 1,
      size_bytes: 0,
      appended: 9,
      delivered: 0,
      purged: 0,
      dropped_system_info: 0,
      dropped_updates: 0,
      dropped_dependencies: 0,
      dropped_log: 2,
      first_drop_ms: null,
      sorted_to: 9,
      bytes_to: 0,
    }]);
    assertEquals(rows("SELECT number, id, state FROM commands ORDER BY number"), [
      { number: 1, id: "new", state: "received" },
      { number: 2, id: "begun", state: "started" },
      { number: 3, id: "told", state: told },
      { number: 4, id: "waits", state: "finished" },
    ]);
    assertEquals(
      rows("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"),
      indexesOfNew(),
    );
    // As a new Pennon uses it: the order of sending, and no command twice.
    const world = { clock: new FakeClock(), random: seededRandom(1) };
    const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 10 };
    const buffer = new SqliteBuffer(database, world, limits);
    assertEquals(buffer.next(9).map(({ id }) => id), ["e7", "e8", "e4", "e9"]);
    const journal = new SqliteJournal(database, world.clock);
    const again = ["new", "begun", "told", "waits"].map((id) => ({ id, type: "x", params: "{}" }));
    assertEquals(journal.receive(again), []);
    buffer.acknowledge(["e7"]);
    assertEquals(journal.counts(), {
      ...{ received: 1, started: 1, finished: 0, reported: 1 },
      [told]: told === "reported" ? 2 : 1,
    });
    database.close();
  });

  Deno.test(`migrate() of version ${version} that breaks off leaves it as it was`, () => {
    const database = older(version);
    const before = database.all("SELECT type, name, sql FROM sqlite_master ORDER BY name");
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
    assertThrows(() => migrate(broken), DatabaseError, "full");
    assertEquals(database.all("SELECT type, name, sql FROM sqlite_master ORDER BY name"), before);
    assertEquals(database.all("PRAGMA user_version")[0]?.["user_version"], version);
    migrate(database);
    database.close();
  });
}

/** What each version's tables and indexes are, in short: hosts have databases that were made so. */
const FINGERPRINTS = [
  "a4011fdeff308750",
  "78ae792382dafdf0",
  "4c065cef96daa634",
  "a66cf5de8eda68eb",
  "9801168c67944eb7",
];

Deno.test("migrate() makes of each version what hosts have of it: a step is never changed", async () => {
  for (const [index, fingerprint] of FINGERPRINTS.entries()) {
    const database = openRealDatabase(":memory:");
    migrate(database, index + 1);
    const rows = database.all(
      "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
    );
    const words = rows.map(({ name, sql }) =>
      `${name}: ${String(sql).replace(/--.*$/gm, "").replace(/\s+/g, " ")}`
    );
    const bytes = new TextEncoder().encode(words.join("\n"));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    assertEquals(digest.toHex().slice(0, 16), fingerprint, `version ${index + 1}`);
    database.close();
  }
});

Deno.test("migrate() takes a version that does not fit the tables for damage", () => {
  for (let claimed = 1; claimed < SCHEMA_VERSION; claimed++) {
    const database = openRealDatabase(":memory:");
    migrate(database);
    database.execute(`PRAGMA user_version = ${claimed}`);
    const error = assertThrows(() => migrate(database), DatabaseError);
    assertEquals(error.reason, "corrupt");
    database.close();
  }
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

function indexesOfNew() {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const sql =
    "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
  const rows = database.all(sql).map((row) => ({ ...row }));
  database.close();
  return rows;
}

Deno.test("migrate() and checkVersion() refuse what a newer Pennon wrote", () => {
  const database = openRealDatabase(":memory:");
  database.execute(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  assertThrows(() => migrate(database), BufferError, "a newer Pennon wrote it");
  assertThrows(() => checkVersion(database), BufferError);
  assertEquals(database.all("SELECT name FROM sqlite_master"), []);
  database.close();
});

Deno.test("checkVersion() refuses what an older Pennon wrote, and says what to do", () => {
  const database = older(SCHEMA_VERSION - 1);
  assertThrows(() => checkVersion(database), BufferError, "start this one's agent");
  database.close();
});
