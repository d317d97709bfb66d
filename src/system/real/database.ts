/** The database port on `node:sqlite` (WAL, full sync at every commit), and the file lock. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  type Database,
  DatabaseError,
  type DatabaseErrorReason,
  type Row,
  type SqlValue,
} from "../database.ts";
import type { FileLock } from "../files.ts";
import { checkSqliteFiles } from "./regular_file.ts";

/** Wait for another process's transaction to end before a statement fails with `busy`. */
const BUSY_TIMEOUT_MS = 2_000;

/** 16 MB: SQLite's default of 1,000 takes a fifth of the time of small commits (docs/buffer.md). */
const CHECKPOINT_PAGES = 4_000;

/**
 * The texts of `sqlite3_errstr` (https://www.sqlite.org/src/file/src/main.c). They begin the message of
 * an error without a number: those of `exec` and of opening a database have none, up to Deno 2.9.6.
 */
const REASONS_BY_TEXT: readonly (readonly [string, DatabaseErrorReason])[] = [
  ["database is locked", "busy"],
  ["database table is locked", "busy"],
  ["database schema is locked", "busy"],
  ["disk I/O error", "io"],
  ["database disk image is malformed", "corrupt"],
  ["file is not a database", "corrupt"],
  ["malformed database schema", "corrupt"],
  ["unsupported file format", "corrupt"],
  ["database or disk is full", "full"],
  ["access permission denied", "denied"],
  ["attempt to write a readonly database", "denied"],
  ["unable to open database file", "denied"],
  ["authorization denied", "denied"],
];

/**
 * Opens the SQLite database at `path`, a file or `:memory:`, or creates it with mode 0600. SQLite gives
 * its `-wal` and `-shm` files the mode of the database.
 *
 * Commits reach the disk before they return (`synchronous=FULL`), so that they survive a power cut:
 * https://www.sqlite.org/pragma.html#pragma_synchronous.
 *
 * @throws {DatabaseError} if it cannot be opened, is no database, or no regular file
 */
export function openRealDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  const readOnly = options.readOnly ?? false;
  if (path !== ":memory:") {
    try {
      if (!readOnly) createPrivateFile(path);
    } catch {
      // SQLite meets the same obstacle, and its error is the one that the port documents.
    }
    guard("open database", () => checkSqliteFiles(path));
  }
  if (!readOnly) checkFormat(path);
  const native = guard("open database", () => new DatabaseSync(path, { readOnly }));
  try {
    guard("open database", () => {
      native.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      if (readOnly) return;
      native.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      native.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    });
  } catch (error) {
    native.close();
    throw error;
  }
  return new RealDatabase(native);
}

/**
 * Creates an empty file with mode 0600; neither changes nor opens a file that exists: opening and
 * closing it would end the locks that this process's SQLite holds on it
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 */
function createPrivateFile(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/**
 * Refuses a file whose write version is corrupt, since SQLite silently opens it read-only. Versions 1
 * and 2 exist: https://www.sqlite.org/fileformat2.html#file_format_version_numbers.
 */
function checkFormat(path: string): void {
  const version = readHeader(path)?.[18];
  if (version === undefined || version === 1 || version === 2) return;
  throw new DatabaseError(`Cannot open database: its format ${version} does not exist`, {
    reason: "corrupt",
  });
}

/** The first bytes of a file, `null` if there is none or SQLite will report why it is unreadable. */
function readHeader(path: string): Uint8Array | null {
  try {
    using file = Deno.openSync(path, { read: true });
    const bytes = new Uint8Array(20);
    return file.readSync(bytes) === bytes.length ? bytes : null;
  } catch {
    return null;
  }
}

class RealDatabase implements Database {
  readonly #native: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #inTransaction = false;

  constructor(native: DatabaseSync) {
    this.#native = native;
  }

  execute(sql: string): void {
    guard("change database", () => this.#native.exec(sql));
  }

  run(sql: string, ...values: SqlValue[]): number {
    return guard("change database", () => Number(this.#prepare(sql).run(...values).changes));
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return guard("read database", () => this.#prepare(sql).all(...values) as Row[]);
  }

  transaction<T>(work: () => T): T {
    if (this.#inTransaction) return work();
    this.run("BEGIN IMMEDIATE");
    this.#inTransaction = true;
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      this.#rollback();
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  close(): void {
    this.#statements.clear();
    guard("close database", () => this.#native.close());
  }

  /** Does nothing where SQLite has rolled back by itself, as it does after some errors. */
  #rollback(): void {
    try {
      this.#native.exec("ROLLBACK");
    } catch {
      // The caller reports the error that came first.
    }
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#native.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/**
 * Acquires the lock at `path`, or returns `undefined` at once if another holder has it. The operating
 * system releases it when the process ends in any way.
 *
 * The lock is an exclusive transaction on an empty SQLite file, because SQLite locks without waiting
 * on every system. Deno 2.6.8 has no such call: its `FsFile.lock` waits, and `tryLock` came later.
 * Nothing else may use the file: closing any other handle on it would release the lock
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 *
 * @throws {Error} if the file cannot be created or locked for another reason
 */
export function acquireRealLock(path: string): FileLock | undefined {
  createPrivateFile(path);
  checkSqliteFiles(path);
  const database = new DatabaseSync(path);
  try {
    // The journal in memory, so that a full disk does not matter. The change, which is never committed,
    // is there because SQLite silently begins a read transaction on a file that is read-only.
    database.exec(
      "PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; " +
        "PRAGMA user_version = 1",
    );
  } catch (error) {
    database.close();
    if (databaseErrorReason(error) === "busy") return undefined;
    throw error;
  }
  let isHeld = true;
  return {
    release() {
      if (isHeld) database.close();
      isHeld = false;
    },
  };
}

/**
 * Whether a process has the lock at `path`, a file that exists. It asks for a shared lock on a handle that
 * can only read: the holder's exclusive one refuses that. The shared lock lasts for microseconds, but
 * `acquireRealLock` of another process meets it like a holder in that time, and has to be tried again.
 *
 * @throws {Error} if the file cannot be read
 */
export function isRealLockHeld(path: string): boolean {
  checkSqliteFiles(path);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    database.exec("PRAGMA busy_timeout = 0; SELECT count(*) FROM sqlite_schema");
    return false;
  } catch (error) {
    if (databaseErrorReason(error) === "busy") return true;
    throw error;
  } finally {
    database.close();
  }
}

function guard<T>(purpose: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const fact = error instanceof Error ? error.message : String(error);
    throw new DatabaseError(`Cannot ${purpose}: ${fact}`, {
      reason: databaseErrorReason(error),
      cause: error,
    });
  }
}

/** Classifies an error of `node:sqlite`. */
export function databaseErrorReason(error: unknown): DatabaseErrorReason {
  if (error instanceof Deno.errors.NotCapable) return "denied";
  const code = (error as { errcode?: unknown }).errcode;
  if (typeof code === "number") return REASONS_BY_CODE.get(code & 0xff) ?? "failed";
  const message = error instanceof Error ? error.message : String(error);
  return REASONS_BY_TEXT.find(([text]) => message.startsWith(text))?.[1] ?? "failed";
}

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html. */
const REASONS_BY_CODE: ReadonlyMap<number, DatabaseErrorReason> = new Map([
  [3, "denied"], // PERM
  [5, "busy"], // BUSY
  [6, "busy"], // LOCKED
  [8, "denied"], // READONLY
  [10, "io"], // IOERR
  [11, "corrupt"], // CORRUPT
  [13, "full"], // FULL
  [14, "denied"], // CANTOPEN
  [23, "denied"], // AUTH
  [26, "corrupt"], // NOTADB
]);
