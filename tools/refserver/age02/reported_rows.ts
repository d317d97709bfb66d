/** Rows of the reports that 0.1 does not know: metrics, storage, containers, processes, inventory and more. */

import { type Database, DatabaseError } from "../../../src/system/database.ts";

/** What a row is of. */
export type RowKind =
  | "metric"
  | "storage_metric"
  | "docker_image"
  | "docker_container"
  | "docker_stack"
  | "process_snapshot"
  | "circuit_breaker"
  | "security_event"
  | "inventory_item";

/** A row as it was reported. */
export interface ReportedRow {
  readonly kind: RowKind;
  readonly agentId: string;
  /** Empty where the report names none. */
  readonly commandId: string;
  readonly row: Readonly<Record<string, unknown>>;
  readonly receivedAtMs: number;
}

/** The widths of text columns in characters, as in RedFlag's migrations. */
const WIDTHS: Readonly<Partial<Record<RowKind, Readonly<Record<string, number>>>>> = {
  metric: { package_type: 50, package_name: 255, severity: 20 },
  storage_metric: { mountpoint: 255, device: 255, disk_type: 50, filesystem: 50, severity: 20 },
  docker_image: { package_type: 50, severity: 20 },
  docker_container: { container_id: 32, state: 32, health: 32 },
  inventory_item: { inventory_ecosystem: 50, arch: 50 },
};

/** The table `reported_rows`. Methods throw `DatabaseError`. */
export class ReportedRows {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keeps a row; a text that is too long for its column fails. */
  add(row: ReportedRow): void {
    for (const [name, width] of Object.entries(WIDTHS[row.kind] ?? {})) {
      const value = row.row[name];
      if (typeof value === "string" && [...value].length > width) fail(`${name} over ${width}`);
    }
    const text = JSON.stringify(row.row);
    if (text.includes("\\u0000")) fail("NUL character");
    this.#database.run(
      `INSERT INTO reported_rows (kind, agent_id, command_id, row, received_at_ms)
       VALUES (?, ?, ?, ?, ?)`,
      row.kind,
      row.agentId,
      row.commandId,
      text,
      row.receivedAtMs,
    );
  }

  /** Keeps the newest rows of a kind and an agent alone. */
  keepNewest(kind: RowKind, agentId: string, count: number): void {
    this.#database.run(
      `DELETE FROM reported_rows WHERE kind = ? AND agent_id = ? AND sequence NOT IN (
         SELECT sequence FROM reported_rows WHERE kind = ? AND agent_id = ?
         ORDER BY sequence DESC LIMIT ?)`,
      kind,
      agentId,
      kind,
      agentId,
      count,
    );
  }

  /** All rows, in the order they came. */
  list(): ReportedRow[] {
    return this.#database.all("SELECT * FROM reported_rows ORDER BY sequence").map((row) => ({
      kind: row["kind"] as RowKind,
      agentId: String(row["agent_id"]),
      commandId: String(row["command_id"]),
      row: JSON.parse(String(row["row"])),
      receivedAtMs: Number(row["received_at_ms"]),
    }));
  }
}

function fail(what: string): never {
  throw new DatabaseError(`Cannot change database: ${what}`, { reason: "failed" });
}
