/** An embedded SQL database, as a port: SQLite in both worlds, `:memory:` in tests. */

/** What goes in and comes out of a column. */
export type SqlValue = string | number | null;

/**
 * A database, and SQLite's own files beside it, which belong to it: the last one is there while a new
 * database is made, before it has a log, and left beside another one would undo that one's pages.
 */
export const SQLITE_SUFFIXES = ["", "-wal", "-shm", "-journal"] as const;

/** One row, by column name. */
export type Row = Record<string, SqlValue>;

/** `busy`: another process holds it. `corrupt`: not a database, or a damaged one. */
export type DatabaseErrorReason =
  | "full"
  | "busy"
  | "corrupt"
  | "denied"
  | "io"
  | "failed";

/** A statement that did not happen; inside a transaction, nothing of that transaction did. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly reason: DatabaseErrorReason;

  constructor(
    message: string,
    options: { reason: DatabaseErrorReason; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}

/** Every method throws `DatabaseError`. Statements are prepared once and kept. */
export interface Database {
  /** Runs statements that answer nothing. */
  execute(sql: string): void;
  /** Runs one statement with values for its `?`s; answers how many rows it changed. */
  run(sql: string, ...values: SqlValue[]): number;
  /** All rows of a query. */
  all(sql: string, ...values: SqlValue[]): Row[];
  /**
   * `BEGIN IMMEDIATE`, the work, `COMMIT`; `ROLLBACK` and the same error if the work throws. Within
   * another transaction the work is part of that one.
   */
  transaction<T>(work: () => T): T;
  close(): void;
}
