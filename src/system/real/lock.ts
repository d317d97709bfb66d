/** A lock on a path that the operating system gives back when the process ends, however it does. */

import { DatabaseSync } from "node:sqlite";
import type { FileLock } from "../files.ts";
import { databaseErrorReason } from "./database_error.ts";
import { createPrivateFile } from "./private_file.ts";
import { checkSqliteFiles } from "./regular_file.ts";

/**
 * Takes the lock, or answers `undefined` at once if another holder has it.
 *
 * The hold is an exclusive transaction on an empty SQLite file, because SQLite locks without
 * waiting on every system. Deno 2.6.8 has no such call of its own: its `FsFile.lock` waits, and
 * `tryLock` came later. The file is to be used for nothing else: closing any other handle on it
 * would end the hold
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 *
 * @throws {Error} if the file cannot be made or locked for another reason
 */
export function takeRealLock(path: string): FileLock | undefined {
  createPrivateFile(path);
  checkSqliteFiles(path);
  const database = new DatabaseSync(path);
  try {
    // Its journal in memory, for a full disk; and a change, because on what may only be read SQLite
    // begins a mere reading, without a word. It is never committed.
    database.exec(
      "PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; " +
        "PRAGMA user_version = 1",
    );
  } catch (error) {
    database.close();
    if (databaseErrorReason(error) === "busy") return undefined;
    throw error;
  }
  let held = true;
  return {
    release() {
      if (held) database.close();
      held = false;
    },
  };
}
