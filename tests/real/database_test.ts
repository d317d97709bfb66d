import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { DatabaseError, type DatabaseErrorReason } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { cannotMount, withSmallDisk } from "./small_disk.ts";

/** Its message is compared with itself, so that it is shown where the reason is another. */
function refused(reason: DatabaseErrorReason, work: () => unknown): void {
  const error = assertThrows(work, DatabaseError);
  assertEquals([error.reason, error.message], [reason, error.message]);
}

Deno.test("what was committed is there after kill -9, what was not is not", () =>
  inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    await using child = await startDeno(
      `import { openRealDatabase } from "${projectUrl("src/system/real/database.ts")}";
      const database = openRealDatabase(${JSON.stringify(path)});
      database.execute("CREATE TABLE t (a INTEGER)");
      database.transaction(() => database.run("INSERT INTO t VALUES (?)", 1));
      database.execute("BEGIN IMMEDIATE");
      database.run("INSERT INTO t VALUES (?)", 2);
      console.log("written");
      globalThis.database = database;
      setInterval(() => {}, 60_000);`,
    );
    await child.firstOutput();
    child.process.kill("SIGKILL");
    await child.process.status;
    const database = openRealDatabase(path);
    assertEquals(database.all("SELECT a FROM t").map((row) => row["a"]), [1]);
    database.close();
  }));

Deno.test("openRealDatabase() writes ahead, syncs each commit, and waits 2 s for another process", () =>
  inFolder((folder) => {
    const database = openRealDatabase(`${folder}/events.db`);
    const pragmas = ["journal_mode", "synchronous", "wal_autocheckpoint", "busy_timeout"];
    const values = pragmas.map((name) => Object.values(database.all(`PRAGMA ${name}`)[0] ?? {})[0]);
    assertEquals(values, ["wal", 2, 4_000, 2_000]);
    database.close();
    return Promise.resolve();
  }));

Deno.test("a database that another process writes to is busy", () =>
  inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const database = openRealDatabase(path);
    database.execute("CREATE TABLE t (a INTEGER); PRAGMA busy_timeout = 0");
    await using child = await startDeno(
      `import { openRealDatabase } from "${projectUrl("src/system/real/database.ts")}";
      const database = openRealDatabase(${JSON.stringify(path)});
      database.execute("BEGIN IMMEDIATE");
      console.log("writing");
      globalThis.database = database;
      setInterval(() => {}, 60_000);`,
    );
    await child.firstOutput();
    refused("busy", () => database.transaction(() => 1));
    refused("busy", () => database.run("INSERT INTO t VALUES (1)"));
    assertEquals(database.all("SELECT a FROM t"), []);
    child.process.kill("SIGKILL");
    await child.process.status;
    assertEquals(database.run("INSERT INTO t VALUES (1)"), 1);
    database.close();
  }));

Deno.test("a database held whole by another process is busy to every statement", () =>
  inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    await using child = await startDeno(
      `import { DatabaseSync } from "node:sqlite";
      globalThis.database = new DatabaseSync(${JSON.stringify(path)});
      globalThis.database.exec("CREATE TABLE t (a INTEGER); BEGIN EXCLUSIVE");
      console.log("held");
      setInterval(() => {}, 60_000);`,
    );
    await child.firstOutput();
    const database = openRealDatabase(path, { readOnly: true });
    database.execute("PRAGMA busy_timeout = 0");
    // It cannot even be prepared: the schema cannot be read.
    refused("busy", () => database.all("SELECT * FROM t"));
    refused("busy", () => database.execute("BEGIN IMMEDIATE; COMMIT"));
    child.process.kill("SIGKILL");
    await child.process.status;
    assertEquals(database.all("SELECT * FROM t"), []);
    refused("failed", () => database.all("SELECT * FROM absent"));
    database.close();
  }));

Deno.test("what is no database, or a damaged one, is corrupt", () =>
  inFolder(async (folder) => {
    const junk = `${folder}/junk.db`;
    await Deno.writeTextFile(junk, "no database at all. ".repeat(100));
    refused("corrupt", () => openRealDatabase(junk));
    const path = `${folder}/events.db`;
    const database = openRealDatabase(path);
    database.execute("CREATE TABLE t (a TEXT)");
    database.transaction(() => {
      for (let row = 0; row < 200; row++) database.run("INSERT INTO t VALUES (?)", "x".repeat(900));
    });
    database.close();
    const file = await Deno.open(path, { write: true });
    await file.seek(8_192, Deno.SeekMode.Start);
    await file.write(new Uint8Array(100_000).fill(0xa5));
    file.close();
    const damaged = openRealDatabase(path);
    refused("corrupt", () => damaged.all("SELECT a FROM t"));
    damaged.close();
  }));

Deno.test("a database of a format that there is none of is corrupt, and is read all the same", () =>
  inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const database = openRealDatabase(path);
    database.execute("CREATE TABLE t (a TEXT)");
    database.close();
    const bytes = await Deno.readFile(path);
    bytes[18] = 3; // The write version: SQLite would open it for reading alone, without a word.
    await Deno.writeFile(path, bytes);
    refused("corrupt", () => openRealDatabase(path));
    const readOnly = openRealDatabase(path, { readOnly: true });
    assertEquals(readOnly.all("SELECT count(*) AS n FROM t").map((row) => row["n"]), [0]);
    readOnly.close();
  }));

Deno.test("a database of either format that there is is opened, and written ahead from then on", () =>
  inFolder(async (folder) => {
    for (const [mode, version] of [["DELETE", 1], ["WAL", 2]] as const) {
      const path = `${folder}/${mode}.db`;
      const native = new DatabaseSync(path);
      native.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (a); INSERT INTO t VALUES (7)`);
      native.close();
      assertEquals((await Deno.readFile(path))[18], version, mode);
      const database = openRealDatabase(path);
      assertEquals(database.all("SELECT a FROM t").map((row) => row["a"]), [7]);
      assertEquals(database.all("PRAGMA journal_mode").map((row) => row["journal_mode"]), ["wal"]);
      database.close();
    }
  }));

Deno.test({
  name: "a full disk is full, keeps what was committed, and recovers",
  ignore: await cannotMount(),
}, async () => {
  await withSmallDisk({ sizeKib: 512 }, (folder) => {
    const database = openRealDatabase(`${folder}/events.db`);
    database.execute("CREATE TABLE t (a BLOB)");
    database.run("INSERT INTO t VALUES (zeroblob(1000))");
    refused("full", () => database.run("INSERT INTO t VALUES (zeroblob(2000000))"));
    refused("full", () =>
      database.transaction(() => {
        for (let row = 0; row < 100; row++) database.run("INSERT INTO t VALUES (zeroblob(20000))");
      }));
    assertEquals(database.all("SELECT count(*) AS n FROM t")[0]?.["n"], 1);
    assertEquals(database.run("INSERT INTO t VALUES (zeroblob(1000))"), 1);
    database.close();
    return Promise.resolve();
  });
});

Deno.test("a place that cannot be written is denied", () =>
  inFolder(async (folder) => {
    refused("denied", () => openRealDatabase(`${folder}/absent/events.db`));
    refused("denied", () => openRealDatabase(`${folder}/absent.db`, { readOnly: true }));
    const path = `${folder}/events.db`;
    openRealDatabase(path).close();
    const database = openRealDatabase(path, { readOnly: true });
    refused("denied", () => database.execute("CREATE TABLE t (a INTEGER)"));
    database.close();
    await withSmallDisk({ sizeKib: 512 }, async (disk, { remount }) => {
      openRealDatabase(`${disk}/events.db`).close();
      await remount("ro");
      refused("denied", () => openRealDatabase(`${disk}/new.db`));
      refused("denied", () => {
        const kept = openRealDatabase(`${disk}/events.db`);
        try {
          kept.execute("CREATE TABLE t (a INTEGER)");
        } finally {
          kept.close();
        }
      });
      await remount("rw");
    });
  }));
