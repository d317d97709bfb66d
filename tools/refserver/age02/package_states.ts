/** The packages of a server of 0.2: a state machine, what a report does to it, and close-by-absence. */

import type { Database } from "../../../src/system/database.ts";
import {
  type AnyUpdateItem,
  type KnownPackage,
  packageOf,
  type PackageStatus,
  type ReportsTable,
} from "../reports_table.ts";

/** Where each state may lead. Staying is always allowed. */
const MOVES: Readonly<Record<string, readonly PackageStatus[]>> = {
  pending: ["approved", "installed", "ignored"],
  approved: ["checking_dependencies", "installing", "installed", "ignored", "failed"],
  checking_dependencies: ["pending_dependencies", "installing", "failed"],
  pending_dependencies: ["installing", "failed"],
  installing: ["installed", "failed", "pending_dependencies"],
  installed: ["pending"],
  failed: ["pending", "installed", "ignored"],
  ignored: [],
};

type Metadata = Readonly<Record<string, unknown>>;

/** The table `packages` by the rules of 0.2. Methods throw `DatabaseError`. */
export class PackageStates {
  readonly #database: Database;
  readonly #reports: ReportsTable;

  constructor(database: Database, reports: ReportsTable) {
    this.#database = database;
    this.#reports = reports;
  }

  /** Keeps all of a report's updates, or, if one of them does not fit, none. */
  report(
    report: { agentId: string; commandId: string; discoveredAt: string },
    updates: readonly AnyUpdateItem[],
    nowMs: number,
  ): void {
    this.#database.transaction(() => {
      for (const update of updates) {
        this.#reports.addEvent(report, update, nowMs);
        this.#know(report, update);
      }
    });
  }

  /** The names that reports on a command have had so far. */
  reportedFor(agentId: string, commandId: string, packageType: string): string[] {
    return this.#database.all(
      `SELECT DISTINCT package_name FROM update_events
       WHERE agent_id = ? AND command_id = ? AND package_type = ?`,
      agentId,
      commandId,
      packageType,
    ).map((row) => String(row["package_name"]));
  }

  /** Declares installed, out of band, whatever waits and is not among `names`; answers it. */
  closeAbsent(agentId: string, packageType: string, names: ReadonlySet<string>): KnownPackage[] {
    const waiting = this.#database.all(
      `SELECT * FROM packages WHERE agent_id = ? AND package_type = ?
         AND status IN ('pending', 'approved') ORDER BY rowid`,
      agentId,
      packageType,
    ).map(packageOf).filter(({ packageName }) => !names.has(packageName));
    for (const { id } of waiting) this.#setStatus(id, "installed");
    return waiting;
  }

  /** Moves a package if its state allows that, and is `from` where one is given; whether it did. */
  move(known: KnownPackage, to: PackageStatus, from?: PackageStatus): boolean {
    const { status } = this.#reports.getPackage(known.id) ?? known;
    if (from !== undefined && status !== from) return false;
    if (status !== to && !MOVES[status]?.includes(to)) return false;
    this.#setStatus(known.id, to);
    return true;
  }

  /** Puts keys into a package's metadata; what was wiped stays wiped, as `jsonb_set` leaves NULL. */
  annotate(known: KnownPackage, keys: Metadata, options: { onWiped: "stays" | "anew" }): void {
    const { metadata } = this.#reports.getPackage(known.id) ?? known;
    if (metadata === null && options.onWiped === "stays") return;
    this.#database.run(
      "UPDATE packages SET metadata = ? WHERE id = ?",
      JSON.stringify({ ...metadata, ...keys }),
      known.id,
    );
  }

  #setStatus(id: string, status: PackageStatus): void {
    this.#database.run("UPDATE packages SET status = ? WHERE id = ?", status, id);
  }

  #know(report: { agentId: string; discoveredAt: string }, update: AnyUpdateItem): void {
    const known = this.#reports.findPackage(
      report.agentId,
      update.package_type,
      update.package_name,
    );
    const told = ownMetadata(update);
    // `existing || NULL` is NULL in PostgreSQL: what the server had put there is gone.
    const metadata = told === null ? null : JSON.stringify({ ...known?.metadata, ...told });
    this.#database.run(
      `INSERT INTO packages (id, agent_id, package_type, package_name, current_version,
         available_version, severity, repository_source, metadata, last_discovered_at, status)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')
       ON CONFLICT (agent_id, package_type, package_name) DO UPDATE SET
         current_version = CASE WHEN status = 'installing' THEN current_version
           ELSE excluded.current_version END,
         available_version = excluded.available_version, severity = excluded.severity,
         repository_source = excluded.repository_source, metadata = excluded.metadata,
         last_discovered_at = excluded.last_discovered_at,
         status = CASE WHEN status IN ('failed', 'ignored') THEN status ELSE 'pending' END`,
      crypto.randomUUID(),
      report.agentId,
      update.package_type,
      update.package_name,
      update.current_version,
      update.available_version,
      update.severity,
      update.repository_source,
      metadata,
      report.discoveredAt,
    );
  }
}

/** What an item says besides its columns; `null`: nothing, not even that there is nothing. */
export function ownMetadata(update: AnyUpdateItem): Metadata | null {
  const { package_description, cve_list, kb_id, size_bytes } = update;
  const more = {
    ...package_description && { description: package_description },
    ...cve_list.length > 0 && { cve_list },
    ...kb_id && { kb_id },
    ...size_bytes > 0 && { size_bytes },
  };
  if (update.metadata === null && Object.keys(more).length === 0) return null;
  return { ...update.metadata, ...more };
}
