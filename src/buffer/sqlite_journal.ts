/** The journal of commands on SQLite, in the buffer's own file: a report and its command commit as one. */

import type { Database } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import type { CommandJournal, CommandState, JournalEntry, ReceivedCommand } from "./journal.ts";

/** Finished commands remembered, so that one handed over again is recognised. */
const REMEMBERED = 10_000;

export class SqliteJournal implements CommandJournal {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  receive(commands: readonly ReceivedCommand[]): ReceivedCommand[] {
    const nowMs = this.#clock.nowMs();
    return this.#database.transaction(() =>
      commands.filter(({ id, type, params }) =>
        this.#database.run(
          "INSERT OR IGNORE INTO commands VALUES (?, ?, ?, 'received', ?)",
          id,
          type,
          params,
          nowMs,
        ) === 1
      )
    );
  }

  start(id: string): void {
    this.#database.run("UPDATE commands SET state = 'started' WHERE id = ?", id);
  }

  finish(id: string, appendReport: () => void): void {
    this.#database.transaction(() => {
      appendReport();
      // Its parameters are of no more use, and may be large.
      this.#database.run("UPDATE commands SET state = 'finished', params = '{}' WHERE id = ?", id);
      this.#database.run(
        `DELETE FROM commands WHERE state = 'finished' AND rowid <=
          (SELECT max(rowid) FROM commands) - ?`,
        REMEMBERED,
      );
    });
  }

  unfinished(): JournalEntry[] {
    const rows = this.#database.all(
      "SELECT * FROM commands WHERE state <> 'finished' ORDER BY rowid",
    );
    return rows.map((row) => ({
      id: String(row["id"]),
      type: String(row["type"]),
      params: String(row["params"]),
      state: row["state"] as CommandState,
      receivedMs: Number(row["received_ms"]),
    }));
  }
}
