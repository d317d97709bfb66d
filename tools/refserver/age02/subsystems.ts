/** Which scans a server of 0.2 orders by itself: a row for each subsystem of an agent. */

import type { Database, Row } from "../../../src/system/database.ts";

/** A subsystem of an agent. */
export interface Subsystem {
  readonly agentId: string;
  readonly subsystem: string;
  readonly enabled: boolean;
  /** Whether the scheduler orders it; the dashboard's button works either way. */
  readonly autoRun: boolean;
  readonly intervalMinutes: number;
}

/** What a trigger of the database inserts before any handler: none of it runs by itself. */
const BY_TRIGGER = [
  { subsystem: "updates", enabled: true, intervalMinutes: 15 },
  { subsystem: "docker", enabled: false, intervalMinutes: 15 },
  { subsystem: "storage", enabled: true, intervalMinutes: 15 },
  { subsystem: "system", enabled: true, intervalMinutes: 30 },
];

/** The interval of a subsystem that a check-in adds; 60 for all others. */
const ADDED_MINUTES: Readonly<Record<string, number>> = { apt: 15, dnf: 15, docker: 15 };

/** The table `agent_subsystems`. Methods throw `DatabaseError`. */
export class Subsystems {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The rows of a new agent. */
  register(agentId: string, scanners: readonly string[]): void {
    for (const row of BY_TRIGGER) this.#add({ ...row, agentId, autoRun: false });
    for (const subsystem of scanners) {
      this.#add({ agentId, subsystem, enabled: true, autoRun: true, intervalMinutes: 60 });
    }
  }

  /** Adds those that are missing; none goes away. */
  advertise(agentId: string, scanners: readonly string[]): void {
    for (const subsystem of scanners) {
      const intervalMinutes = ADDED_MINUTES[subsystem] ?? 60;
      this.#add({ agentId, subsystem, enabled: true, autoRun: true, intervalMinutes });
    }
  }

  /** Sets a row as an operator does, and makes it if there is none. */
  set(row: Subsystem): void {
    this.#database.run(
      "DELETE FROM agent_subsystems WHERE agent_id = ? AND subsystem = ?",
      row.agentId,
      row.subsystem,
    );
    this.#add(row);
  }

  /** In the order of their names. */
  of(agentId: string): Subsystem[] {
    return this.#database.all(
      "SELECT * FROM agent_subsystems WHERE agent_id = ? ORDER BY subsystem",
      agentId,
    ).map(subsystemOf);
  }

  list(): Subsystem[] {
    return this.#database.all("SELECT * FROM agent_subsystems ORDER BY rowid").map(subsystemOf);
  }

  #add(row: Subsystem): void {
    this.#database.run(
      "INSERT INTO agent_subsystems VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      row.agentId,
      row.subsystem,
      Number(row.enabled),
      Number(row.autoRun),
      row.intervalMinutes,
    );
  }
}

function subsystemOf(row: Row): Subsystem {
  return {
    agentId: String(row["agent_id"]),
    subsystem: String(row["subsystem"]),
    enabled: row["enabled"] === 1,
    autoRun: row["auto_run"] === 1,
    intervalMinutes: Number(row["interval_minutes"]),
  };
}
