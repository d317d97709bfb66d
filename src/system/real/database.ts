/** The database port on `node:sqlite`: WAL, a full sync at every commit, statements kept. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Database, DatabaseError, type Row, type SqlValue } from "../database.ts";
import { databaseErrorReason } from "./database_error.ts";
import { checkSqliteFiles } from "./regular_file.ts";

/** Waited for another process's transaction to end before `busy` is answered. */
const BUSY_TIMEOUT_MS = 2_000;

/**
 * So many pages are in the log before SQLite carries them over into the database: 16 MB. At its own
 * 1,000 that takes a fifth of all time spent on small commits (docs/buffer.md).
 */
const CHECKPOINT_PAGES = 4_000;

/**
 * Opens the SQLite database at `path`, a file or `:memory:`.
 *
 * Commits reach the disk before they return (`synchronous=FULL`), so that what was written survives
 * a power cut: https://www.sqlite.org/pragma.html#pragma_synchronous.
 *
 * @throws {DatabaseError} if it cannot be opened, is no database, or no regular file
 */
export function openRealDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  const readOnly = options.readOnly ?? false;
  if (path !== ":memory:") guard("open database", () => checkSqliteFiles(path));
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
 * A damaged write version makes SQLite open a file for reading alone, without a word
 * (https://www.sqlite.org/fileformat2.html#file_format_version_numbers): 1 and 2 are all there are.
 */
function checkFormat(path: string): void {
  const header = readHeader(path);
  const version = header?.[18];
  if (version === undefined || version === 1 || version === 2) return;
  throw new DatabaseError(`Cannot open database: its format ${version} is none that there is`, {
    reason: "corrupt",
  });
}

/** The first bytes of a file, `null` if there is none. What cannot be read, SQLite will say. */
function readHeader(path: string): Uint8Array | null {
  try {
    using file = Deno.openSync(path, { read: true });
    const bytes = new Uint8Array(20);
    const count = file.readSync(bytes);
    return count === bytes.length ? bytes : null;
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

  /** SQLite has already rolled back by itself after some errors; then there is nothing to do. */
  #rollback(): void {
    try {
      this.#native.exec("ROLLBACK");
    } catch {
      // The error that led here is the one to report.
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
