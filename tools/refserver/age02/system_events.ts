/** The server's own events, and those that agents report: the table `system_events`. */

import { type Database, DatabaseError, type Row } from "../../../src/system/database.ts";

/** An event, with the protocol's names. */
export interface SystemEvent {
  readonly id: string;
  readonly agent_id: string;
  readonly event_type: string;
  readonly event_subtype: string;
  readonly severity: string;
  readonly component: string;
  readonly message: string;
  readonly metadata: unknown;
  /** RFC 3339. */
  readonly created_at: string;
}

/** The table `system_events`. Methods throw `DatabaseError`. */
export class SystemEvents {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keeps an event; one that is there already is an error. */
  add(event: SystemEvent): void {
    const values = [
      event.id,
      event.agent_id,
      event.event_type,
      event.event_subtype,
      event.severity,
      event.component,
      event.message,
      JSON.stringify(event.metadata ?? null),
      event.created_at,
    ];
    if (values.some((value) => /\0|\\u0000/.test(value))) {
      throw new DatabaseError("Cannot change database: NUL character", { reason: "failed" });
    }
    this.#database.run("INSERT INTO system_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ...values);
  }

  /** An event by the server itself. */
  note(
    agentId: string,
    event: Pick<SystemEvent, "event_type" | "event_subtype" | "severity" | "message" | "metadata">,
    options: { component?: string; nowMs: number },
  ): void {
    this.add({
      ...event,
      id: crypto.randomUUID(),
      agent_id: agentId,
      component: options.component ?? "server",
      created_at: new Date(options.nowMs).toISOString(),
    });
  }

  has(id: string): boolean {
    return this.#database.all("SELECT 1 FROM system_events WHERE id = ?", id).length > 0;
  }

  /** All events, in the order they were kept. */
  list(): SystemEvent[] {
    return this.#database.all("SELECT * FROM system_events ORDER BY rowid").map(eventOf);
  }
}

function eventOf(row: Row): SystemEvent {
  return { ...row, metadata: JSON.parse(String(row["metadata"])) } as SystemEvent;
}
