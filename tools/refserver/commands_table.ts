/** The commands that wait for agents, are with them, or are done. */

import type { Database, Row } from "../../src/system/database.ts";

/** Handed over at one check-in at most. */
const BATCH = 10;

/** A command that was sent and not reported on is given up after so long. */
export const COMMAND_TIMEOUT_MS = 2 * 60 * 60 * 1_000;

/** `received` and `cancelled` exist at servers of 0.2 only. */
export type CommandStatus =
  | "pending"
  | "sent"
  | "received"
  | "completed"
  | "failed"
  | "timed_out"
  | "cancelled";

/** A command to be handed over. */
export interface NewCommand {
  readonly id: string;
  readonly agentId: string;
  readonly type: string;
  /** Any JSON object, or `null`, which the real server can send too. */
  readonly params: Readonly<Record<string, unknown>> | null;
}

/** A command and how far it has come. */
export interface ServerCommand extends NewCommand {
  readonly status: CommandStatus;
  readonly createdAtMs: number;
  readonly sentAtMs: number | null;
  readonly completedAtMs: number | null;
  /** What the last log about it said. */
  readonly result: unknown;
}

/** The table `agent_commands`. Methods throw `DatabaseError`. */
export class CommandsTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(command: NewCommand, nowMs: number): void {
    this.#database.run(
      `INSERT INTO agent_commands (id, agent_id, type, params, status, created_at_ms)
       VALUES (?, ?, ?, ?, 'pending', ?)`,
      command.id,
      command.agentId,
      command.type,
      JSON.stringify(command.params),
      nowMs,
    );
  }

  /** An entry of the history alone, by the server itself: no agent gets it. */
  addCompleted(command: NewCommand, result: unknown, nowMs: number): void {
    this.add(command, nowMs);
    this.#database.run(
      "UPDATE agent_commands SET status = 'completed', sent_at_ms = ? WHERE id = ?",
      nowMs,
      command.id,
    );
    this.report(command.id, result, { nowMs });
  }

  /** All commands, in the order they were queued. */
  list(): ServerCommand[] {
    return this.#database.all("SELECT * FROM agent_commands ORDER BY sequence").map(commandOf);
  }

  /** The oldest pending commands of an agent, from now on `sent`: nobody gets them again. */
  take(agentId: string, nowMs: number): ServerCommand[] {
    const commands = this.#database.all(
      `SELECT * FROM agent_commands WHERE agent_id = ? AND status = 'pending'
       ORDER BY sequence LIMIT ${BATCH}`,
      agentId,
    ).map(commandOf);
    for (const { id } of commands) {
      this.#database.run(
        "UPDATE agent_commands SET status = 'sent', sent_at_ms = ? WHERE id = ?",
        nowMs,
        id,
      );
    }
    return commands;
  }

  /** Keeps a result; with a status the command is over. The real one asks neither whose nor when. */
  report(
    id: string,
    result: unknown,
    options: { status?: "completed" | "failed"; nowMs: number },
  ): ServerCommand | undefined {
    const { status, nowMs } = options;
    this.#database.run(
      `UPDATE agent_commands SET result = ?, status = coalesce(?, status),
         completed_at_ms = CASE WHEN ? IS NULL THEN completed_at_ms ELSE ? END
       WHERE id = ?`,
      JSON.stringify(result),
      status ?? null,
      status ?? null,
      nowMs,
      id,
    );
    return this.get(id);
  }

  /** Those of `ids` that have any result: the real one asks neither whose they are nor who wrote it. */
  reported(ids: readonly string[]): string[] {
    return ids.filter((id) =>
      this.#database.all("SELECT 1 FROM agent_commands WHERE id = ? AND result IS NOT NULL", id)
        .length > 0
    );
  }

  /** A command, if there is one. */
  get(id: string): ServerCommand | undefined {
    const [row] = this.#database.all("SELECT * FROM agent_commands WHERE id = ?", id);
    return row && commandOf(row);
  }

  /** How far a command has come; `undefined`: there is none. */
  statusOf(id: string): CommandStatus | undefined {
    return this.get(id)?.status;
  }

  /** Gives up on what was sent too long ago, and writes that down as its result. */
  expire(nowMs: number): void {
    this.#database.run(
      `UPDATE agent_commands SET status = 'timed_out', result = '{"error":"operation timed out"}'
       WHERE status = 'sent' AND sent_at_ms <= ?`,
      nowMs - COMMAND_TIMEOUT_MS,
    );
  }
}

/** A command of a row of `agent_commands`. */
export function commandOf(row: Row): ServerCommand {
  return {
    id: String(row["id"]),
    agentId: String(row["agent_id"]),
    type: String(row["type"]),
    params: JSON.parse(String(row["params"])),
    status: row["status"] as CommandStatus,
    createdAtMs: Number(row["created_at_ms"]),
    sentAtMs: row["sent_at_ms"] as number | null,
    completedAtMs: row["completed_at_ms"] as number | null,
    result: JSON.parse(String(row["result"] ?? "null")),
  };
}
