/** What agents have reported: updates, logs, dependencies and host facts. */

import type { Database, Row, SqlValue } from "../../src/system/database.ts";
import { DatabaseError } from "../../src/system/database.ts";
import type { DependencyReport, LogReport, UpdateItem } from "./bodies.ts";

/** What the server adds to a report; the rest has the names of the protocol. */
interface Received {
  readonly agent_id: string;
  readonly received_at_ms: number;
}

/** An update of either age: at a server of 0.2 its metadata may be `null`. */
export type AnyUpdateItem = Omit<UpdateItem, "metadata"> & {
  readonly metadata: Readonly<Record<string, unknown>> | null;
};

/** An update as it was reported; every report leaves one. */
export interface ReportedUpdate extends AnyUpdateItem, Received {
  readonly command_id: string;
}

export interface ReportedLog extends LogReport, Received {}

export interface ReportedDependencies extends DependencyReport, Received {}

export interface ReportedSystemInfo extends Received {
  /** The body as it came. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** How far a package has come at the dashboard. `updated` is called `installed` by servers of 0.2. */
export type PackageStatus =
  | "pending"
  | "approved"
  | "checking_dependencies"
  | "pending_dependencies"
  | "installing"
  | "updated"
  | "installed"
  | "failed"
  | "ignored";

/** What is known of a package of an agent, over all reports. */
export interface KnownPackage {
  /** The `update_id` of commands about it. */
  readonly id: string;
  readonly agentId: string;
  readonly packageType: string;
  readonly packageName: string;
  /** Of the first report at a server of 0.1, of the last one at a server of 0.2. */
  readonly currentVersion: string;
  readonly availableVersion: string;
  readonly severity: string;
  /** `null`: wiped by a report without metadata, at a server of 0.2. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** RFC 3339: the `timestamp` of the last report that named it, whatever the server's clock says. */
  readonly lastDiscoveredAt: string;
  readonly status: PackageStatus;
}

/** What Go makes of a report without a timestamp. */
export const YEAR_ONE = "0001-01-01T00:00:00.000Z";

/** The tables of reports. Methods throw `DatabaseError`. */
export class ReportsTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keeps all of a report's updates, or, if one of them does not fit, none. */
  addUpdates(
    report: {
      agentId: string;
      commandId: string;
      /** RFC 3339; `""`: the report had none. */
      timestamp: string;
      updates: readonly UpdateItem[];
    },
    nowMs: number,
  ): void {
    const discoveredAt = report.timestamp === ""
      ? YEAR_ONE
      : new Date(report.timestamp).toISOString();
    this.#database.transaction(() => {
      for (const update of report.updates) {
        this.addEvent(report, update, nowMs);
        this.#know(report.agentId, update, discoveredAt);
      }
    });
  }

  /** Keeps one update of a report, and does nothing else with it. */
  addEvent(
    report: { agentId: string; commandId: string },
    update: AnyUpdateItem,
    nowMs: number,
  ): void {
    this.#insert("update_events", {
      ...update,
      agent_id: report.agentId,
      command_id: report.commandId,
      cve_list: JSON.stringify(update.cve_list),
      metadata: JSON.stringify(update.metadata),
      received_at_ms: nowMs,
    });
  }

  addLog(agentId: string, log: LogReport, nowMs: number): void {
    this.#insert("update_logs", { ...log, agent_id: agentId, received_at_ms: nowMs });
  }

  addDependencies(agentId: string, report: DependencyReport, nowMs: number): void {
    this.#insert("dependency_reports", {
      agent_id: agentId,
      package_type: report.package_type,
      package_name: report.package_name,
      update_id: report.update_id,
      dependencies: JSON.stringify(report.dependencies),
      dry_run_result: JSON.stringify(report.dry_run_result ?? null),
      received_at_ms: nowMs,
    });
  }

  addSystemInfo(agentId: string, body: unknown, nowMs: number): void {
    this.#insert("system_info", {
      agent_id: agentId,
      body: JSON.stringify(body),
      received_at_ms: nowMs,
    });
  }

  /** A package by the name its agent reported, if it did. */
  findPackage(agentId: string, type: string, name: string): KnownPackage | undefined {
    const [row] = this.#database.all(
      "SELECT * FROM packages WHERE agent_id = ? AND package_type = ? AND package_name = ?",
      agentId,
      type,
      name,
    );
    return row && packageOf(row);
  }

  /** A package by its id, which is the `update_id` of commands. */
  getPackage(id: string): KnownPackage | undefined {
    const [row] = this.#database.all("SELECT * FROM packages WHERE id = ?", id);
    return row && packageOf(row);
  }

  /** Moves a package on; does nothing, as the real one, unless it is in one of the states `from`. */
  setPackageStatus(id: string, status: PackageStatus, from?: readonly PackageStatus[]): void {
    this.#database.run(
      `UPDATE packages SET status = ?
       WHERE id = ? AND (? IS NULL OR status IN (SELECT value FROM json_each(?)))`,
      status,
      id,
      from === undefined ? null : "",
      JSON.stringify(from ?? []),
    );
  }

  /** When an agent last reported an update, by the server's clock; `null`: it never did. */
  lastScanMs(agentId: string): number | null {
    const [row] = this.#database.all(
      "SELECT max(received_at_ms) AS at FROM update_events WHERE agent_id = ?",
      agentId,
    );
    return row?.["at"] === null || row === undefined ? null : Number(row["at"]);
  }

  updates(): ReportedUpdate[] {
    return this.#list("update_events", ["cve_list", "metadata"]);
  }

  /** In the dashboard's order: what was reported last comes first. */
  packages(): KnownPackage[] {
    return this.#database.all("SELECT * FROM packages ORDER BY last_discovered_at DESC, rowid")
      .map(packageOf);
  }

  logs(): ReportedLog[] {
    return this.#list("update_logs", []);
  }

  dependencies(): ReportedDependencies[] {
    return this.#list("dependency_reports", ["dependencies", "dry_run_result"]);
  }

  systemInfo(): ReportedSystemInfo[] {
    return this.#list("system_info", ["body"]);
  }

  /** Whatever state it was in, a package that is reported waits again, unless it is done with. */
  #know(agentId: string, update: UpdateItem, discoveredAt: string): void {
    this.#database.run(
      `INSERT INTO packages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')
       ON CONFLICT (agent_id, package_type, package_name) DO UPDATE SET
         available_version = excluded.available_version, severity = excluded.severity,
         repository_source = excluded.repository_source, metadata = excluded.metadata,
         last_discovered_at = excluded.last_discovered_at,
         status = CASE WHEN status IN ('updated', 'ignored') THEN status ELSE 'pending' END`,
      crypto.randomUUID(),
      agentId,
      update.package_type,
      update.package_name,
      update.current_version,
      update.available_version,
      update.severity,
      update.repository_source,
      JSON.stringify(update.metadata),
      discoveredAt,
    );
  }

  #insert(table: string, columns: Readonly<Record<string, SqlValue>>): void {
    const values = Object.values(columns);
    // PostgreSQL has no NUL in text, and none in JSON:
    // https://www.postgresql.org/docs/current/datatype-json.html
    const nul = values.some((value) => typeof value === "string" && /\0|\\u0000/.test(value));
    if (nul) {
      throw new DatabaseError("Cannot change database: NUL character", { reason: "failed" });
    }
    const marks = values.map(() => "?").join(", ");
    this.#database.run(
      `INSERT INTO ${table} (${Object.keys(columns).join(", ")}) VALUES (${marks})`,
      ...values,
    );
  }

  /** The rows of a table, whose columns are the report's keys. */
  #list<Report>(table: string, jsonColumns: readonly string[]): Report[] {
    return this.#database.all(`SELECT * FROM ${table} ORDER BY sequence`).map((row) => {
      const { sequence: _, ...columns } = row;
      const parsed = jsonColumns.map((name) => [name, JSON.parse(String(row[name]))]);
      return { ...columns, ...Object.fromEntries(parsed) };
    });
  }
}

/** A package of a row of `packages`. */
export function packageOf(row: Row): KnownPackage {
  return {
    id: String(row["id"]),
    agentId: String(row["agent_id"]),
    packageType: String(row["package_type"]),
    packageName: String(row["package_name"]),
    currentVersion: String(row["current_version"]),
    availableVersion: String(row["available_version"]),
    severity: String(row["severity"]),
    metadata: JSON.parse(String(row["metadata"] ?? "null")),
    lastDiscoveredAt: String(row["last_discovered_at"]),
    status: row["status"] as PackageStatus,
  };
}
