/** The port to an embedded SQL database: SQLite everywhere, `:memory:` in tests. */

import { ReasonedError } from "./reasoned_error.ts";

/** The value of a column. */
export type SqlValue = string | number | null;

/**
 * Endings of the names of a database and of SQLite's files beside it, which belong to it. The last one
 * exists while a new database is created, before it has a log; beside another database, SQLite would roll
 * that one's pages back.
 */
export const SQLITE_SUFFIXES = ["", "-wal", "-shm", "-journal"] as const;

/** One row, by column name. */
export type Row = Record<string, SqlValue>;

/** `busy`: another process holds it. `corrupt`: no database, or one that SQLite cannot read. */
export type DatabaseErrorReason = "full" | "busy" | "corrupt" | "denied" | "io" | "failed";

/** A statement failed; inside a transaction, all of the transaction is rolled back. */
export class DatabaseError extends ReasonedError<DatabaseErrorReason> {
  /** Precedes the message in stack traces. */
  override readonly name = "DatabaseError";
}

/** Every method throws `DatabaseError`. Statements are prepared once and cached. */
export interface Database {
  /** Runs statements without a result. */
  execute(sql: string): void;
  /** Runs one statement with values for its `?`s; returns the number of changed rows. */
  run(sql: string, ...values: SqlValue[]): number;
  /** All rows of a query. */
  all(sql: string, ...values: SqlValue[]): Row[];
  /** Commits what `work` does, or rolls it back if `work` throws. May be nested in another one. */
  transaction<T>(work: () => T): T;
  /** Closes the file; no other method works afterwards. */
  close(): void;
}
