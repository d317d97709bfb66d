/** The reference server's SQLite file: its tables, and the settings that outlive a restart. */

import type { Database } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { AgentsTable } from "./agents_table.ts";
import { CommandsTable } from "./commands_table.ts";
import { ReportsTable } from "./reports_table.ts";
import { resultsCheck, SCHEMA } from "./schema.ts";
import { randomToken } from "./tokens.ts";

/** All that is stored. */
export class Store {
  readonly agents: AgentsTable;
  readonly commands: CommandsTable;
  readonly reports: ReportsTable;
  /** For the tables that only one age has. */
  readonly database: Database;

  /**
   * Opens `path`, a file or `:memory:`.
   *
   * @param options `results`: what a log may say; other words fail
   * @throws {DatabaseError}
   */
  constructor(path: string, options: { results: readonly string[] }) {
    this.database = openRealDatabase(path);
    this.database.execute(SCHEMA);
    this.database.execute(resultsCheck(options.results));
    this.agents = new AgentsTable(this.database);
    this.commands = new CommandsTable(this.database);
    this.reports = new ReportsTable(this.database);
  }

  /** The key that access tokens are signed with; made at the first start. */
  signingKey(): string {
    const [row] = this.database.all("SELECT value FROM settings WHERE name = 'signing_key'");
    return row ? String(row["value"]) : this.renewSigningKey();
  }

  /** A new signing key: every access token given out so far is worthless. */
  renewSigningKey(): string {
    const key = randomToken();
    this.database.run("INSERT OR REPLACE INTO settings VALUES ('signing_key', ?)", key);
    return key;
  }

  transaction<T>(work: () => T): T {
    return this.database.transaction(work);
  }

  close(): void {
    this.database.close();
  }
}
