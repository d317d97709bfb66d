/** The journal of commands on SQLite, in the buffer's own file: a report and its command commit as one. */

import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
import type { Database } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import { countByState } from "./command_counts.ts";
import { confirmResults, findUnconfirmed } from "./confirm.ts";
import type { CommandJournal, CommandState, JournalEntry } from "./journal.ts";

/** Of so many newest commands the finished ones are remembered, to recognise one handed over again. */
export const REMEMBERED = 10_000;

const RECEIVE = `
  INSERT INTO commands (id, type, params, state, received_ms) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (id) DO NOTHING`;

/** Writes a page, and changes nothing. */
const PROBE = "UPDATE counters SET appended = appended";

const START = `
  UPDATE commands SET state = 'started' WHERE id = ? AND state IN ('received', 'started')`;

/** Its parameters are of no more use, and may be large. */
const FINISH = `
  UPDATE commands SET state = 'finished', params = '{}'
  WHERE id = ? AND state IN ('received', 'started')`;

/** As texts, which a flipped bit may have made bytes of. */
const UNFINISHED = `
  SELECT id, CAST(type AS TEXT) AS type, CAST(params AS TEXT) AS params, state, received_ms
  FROM commands WHERE state IN ('received', 'started') ORDER BY number`;

/** By their count: numbers have gaps, since a command that was handed over again uses one up. */
const FORGET = `
  DELETE FROM commands
  WHERE state IN ('finished', 'reported')
    AND number <= (SELECT number FROM commands ORDER BY number DESC LIMIT 1 OFFSET ?)`;

/** The journal on a database that `schema.ts` has prepared. */
export class SqliteJournal implements CommandJournal {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  tryWriting(): void {
    this.#database.run(PROBE);
  }

  receive(commands: readonly ReceivedCommand[]): ReceivedCommand[] {
    const nowMs = this.#clock.nowMs();
    return this.#database.transaction(() =>
      commands.filter(({ id, type, params }) =>
        this.#database.run(RECEIVE, id, type, params, "received", nowMs) === 1
      )
    );
  }

  reject(
    commands: readonly RejectedCommand[],
    appendReports: (fresh: readonly RejectedCommand[]) => void,
  ): number {
    const nowMs = this.#clock.nowMs();
    return this.#database.transaction(() => {
      const fresh = commands.filter(({ id, type }) =>
        this.#database.run(RECEIVE, id, type, "{}", "finished", nowMs) === 1
      );
      if (fresh.length === 0) return 0;
      appendReports(fresh);
      this.#database.run(FORGET, REMEMBERED);
      return fresh.length;
    });
  }

  start(id: string): void {
    if (this.#database.run(START, id) === 0) throw notOpen("start", id);
  }

  finish(id: string, appendReport: () => void): void {
    this.#database.transaction(() => {
      if (this.#database.run(FINISH, id) === 0) throw notOpen("finish", id);
      appendReport();
      this.#database.run(FORGET, REMEMBERED);
    });
  }

  unfinished(): JournalEntry[] {
    const rows = this.#database.all(UNFINISHED);
    return rows.map((row) => ({
      id: String(row["id"]),
      type: String(row["type"]),
      params: String(row["params"]),
      state: row["state"] as CommandState,
      receivedMs: Number(row["received_ms"]),
    }));
  }

  counts(): Record<CommandState, number> {
    return countByState(this.#database);
  }

  unconfirmed(): string[] {
    return findUnconfirmed(this.#database, this.#clock.nowMs());
  }

  confirm(ids: readonly string[]): number {
    return confirmResults(this.#database, ids, this.#clock.nowMs());
  }
}

function notOpen(purpose: string, id: string): Error {
  return new Error(`Cannot ${purpose} command "${id}": it is finished, or was never received`);
}
