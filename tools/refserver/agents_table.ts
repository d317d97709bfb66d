/** The agents that are registered, and their refresh tokens. */

import type { Database, Row } from "../../src/system/database.ts";

/** What an agent says of itself when it registers. */
export interface NewAgent {
  readonly id: string;
  readonly hostname: string;
  readonly osType: string;
  readonly osVersion: string;
  readonly osArchitecture: string;
  readonly agentVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A registered agent. */
export interface Agent extends Omit<NewAgent, "metadata"> {
  /** The version told at the last check-in that told one. */
  readonly currentVersion: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** RFC 3339: the server believes in rapid polling until then; `null`: it does not. */
  readonly rapidUntil: string | null;
  /** The body of the last check-in that had one. */
  readonly lastCheckIn: unknown;
  readonly checkIns: number;
  readonly registeredAtMs: number;
  readonly lastSeenAtMs: number;
}

/** The tables `agents` and `refresh_tokens`. Methods throw `DatabaseError`. */
export class AgentsTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(agent: NewAgent, nowMs: number): void {
    this.#database.run(
      `INSERT INTO agents (id, hostname, os_type, os_version, os_architecture, agent_version,
         current_version, metadata, registered_at_ms, last_seen_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      agent.id,
      agent.hostname,
      agent.osType,
      agent.osVersion,
      agent.osArchitecture,
      agent.agentVersion,
      agent.agentVersion,
      JSON.stringify(agent.metadata),
      nowMs,
      nowMs,
    );
  }

  /** All agents, in the order they registered. */
  list(): Agent[] {
    return this.#database.all("SELECT * FROM agents ORDER BY sequence").map(agentOf);
  }

  get(id: string): Agent | undefined {
    const [row] = this.#database.all("SELECT * FROM agents WHERE id = ?", id);
    return row && agentOf(row);
  }

  /** Removes an agent and all that hangs on it, its refresh tokens too; whether there was one. */
  remove(id: string): boolean {
    this.#database.run("DELETE FROM refresh_tokens WHERE agent_id = ?", id);
    return this.#database.run("DELETE FROM agents WHERE id = ?", id) > 0;
  }

  seen(id: string, nowMs: number): void {
    this.#database.run("UPDATE agents SET last_seen_at_ms = ? WHERE id = ?", nowMs, id);
  }

  /** Keeps what a check-in told. */
  checkedIn(id: string, told: { body: unknown; version: string }): void {
    this.#database.run(
      `UPDATE agents SET check_ins = check_ins + 1,
         last_check_in = coalesce(?, last_check_in),
         current_version = CASE ? WHEN '' THEN current_version ELSE ? END
       WHERE id = ?`,
      told.body === undefined ? null : JSON.stringify(told.body),
      told.version,
      told.version,
      id,
    );
  }

  /** Records the version that an agent runs. */
  setVersion(id: string, version: string): void {
    this.#database.run("UPDATE agents SET current_version = ? WHERE id = ?", version, id);
  }

  setRapidUntil(id: string, until: string | null): void {
    this.#database.run("UPDATE agents SET rapid_until = ? WHERE id = ?", until, id);
  }

  setMetadata(id: string, metadata: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(metadata);
    this.#database.run("UPDATE agents SET metadata = ? WHERE id = ?", text, id);
  }

  addRefreshToken(agentId: string, tokenHash: string, expiresAtMs: number): void {
    this.#database.run(
      "INSERT INTO refresh_tokens (token_hash, agent_id, expires_at_ms) VALUES (?, ?, ?)",
      tokenHash,
      agentId,
      expiresAtMs,
    );
  }

  /** Slides a live token's end forward; `false` if it is dead, unknown or another agent's. */
  slideRefreshToken(
    agentId: string,
    tokenHash: string,
    options: { nowMs: number; expiresAtMs: number },
  ): boolean {
    return this.#database.run(
      `UPDATE refresh_tokens SET expires_at_ms = ?
       WHERE agent_id = ? AND token_hash = ? AND expires_at_ms >= ?`,
      options.expiresAtMs,
      agentId,
      tokenHash,
      options.nowMs,
    ) > 0;
  }

  removeRefreshTokens(): void {
    this.#database.run("DELETE FROM refresh_tokens");
  }
}

function agentOf(row: Row): Agent {
  return {
    id: String(row["id"]),
    hostname: String(row["hostname"]),
    osType: String(row["os_type"]),
    osVersion: String(row["os_version"]),
    osArchitecture: String(row["os_architecture"]),
    agentVersion: String(row["agent_version"]),
    currentVersion: String(row["current_version"]),
    metadata: JSON.parse(String(row["metadata"])),
    rapidUntil: row["rapid_until"] as string | null,
    lastCheckIn: JSON.parse(String(row["last_check_in"] ?? "null")),
    checkIns: Number(row["check_ins"]),
    registeredAtMs: Number(row["registered_at_ms"]),
    lastSeenAtMs: Number(row["last_seen_at_ms"]),
  };
}
