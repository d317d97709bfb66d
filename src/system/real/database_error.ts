/** Tells why SQLite refused, from an error of `node:sqlite`. */

import type { DatabaseErrorReason } from "../database.ts";

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

/** The port's word for what an error of `node:sqlite` says. */
export function databaseErrorReason(error: unknown): DatabaseErrorReason {
  if (error instanceof Deno.errors.NotCapable) return "denied";
  const code = (error as { errcode?: unknown }).errcode;
  if (typeof code === "number") return reasonByCode(code & 0xff);
  const message = error instanceof Error ? error.message : String(error);
  return REASONS_BY_TEXT.find(([text]) => message.startsWith(text))?.[1] ?? "failed";
}

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html. */
function reasonByCode(code: number): DatabaseErrorReason {
  switch (code) {
    case 5: // BUSY
    case 6: // LOCKED
      return "busy";
    case 10: // IOERR
      return "io";
    case 11: // CORRUPT
    case 26: // NOTADB
      return "corrupt";
    case 13: // FULL
      return "full";
    case 3: // PERM
    case 8: // READONLY
    case 14: // CANTOPEN
    case 23: // AUTH
      return "denied";
    default:
      return "failed";
  }
}
