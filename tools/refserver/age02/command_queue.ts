/** Commands as a server of 0.2 delivers them: signed, at least once, again until they are received. */

import type { Database, Row } from "../../../src/system/database.ts";
import { commandOf, type CommandsTable, type ServerCommand } from "../commands_table.ts";
import type { Settings } from "./settings.ts";
import { signCommand, type SignMode } from "./signing.ts";
import type { SigningKeys } from "./signing_keys.ts";

/** Handed over for the first time at one check-in at most. */
const BATCH = 100;

/** After this a command is handed over no more, whatever its state. */
const LIFE_MS = 4 * 60 * 60 * 1_000;

/** What a delivery adds to a command. */
export interface Delivery {
  readonly commandId: string;
  readonly source: "manual" | "system";
  /** `null`: the command has none. */
  readonly signature: string | null;
  readonly keyId: string | null;
  readonly signedAtMs: number | null;
  /** The agent that the command says it is for. */
  readonly toldAgentId: string | null;
  readonly expiresAtMs: number;
  /** How often it was handed over again. */
  readonly retryCount: number;
  readonly receivedAtMs: number | null;
}

/** A command and its delivery. */
export interface DeliveredCommand extends ServerCommand {
  readonly delivery: Delivery;
}

/** A command to be made. */
export interface CommandOrder {
  readonly agentId: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  /** @default "manual" */
  readonly source?: "manual" | "system" | undefined;
  /** @default a new one */
  readonly id?: string | undefined;
  /** @default "good" */
  readonly sign?: SignMode | undefined;
  /** Of the instant in the signature, against the server's clock. @default 0 */
  readonly signedAtOffsetS?: number | undefined;
  /** Takes signature, key id and instant of this command in place of its own. */
  readonly signatureOf?: string | undefined;
}

const SELECT = `SELECT c.*, d.source, d.signature, d.key_id, d.signed_at_ms, d.told_agent_id,
  d.expires_at_ms, d.retry_count, d.received_at_ms
  FROM agent_commands c JOIN command_deliveries d ON d.command_id = c.id`;

/** The tables `agent_commands` and `command_deliveries`. Methods throw `DatabaseError`. */
export class CommandQueue {
  readonly #database: Database;
  readonly #commands: CommandsTable;
  readonly #keys: SigningKeys;

  constructor(database: Database, commands: CommandsTable, keys: SigningKeys) {
    this.#database = database;
    this.#commands = commands;
    this.#keys = keys;
  }

  /** Makes a command; answers its id. @throws {Error} if `signatureOf` names none */
  create(order: CommandOrder, nowMs: number): string {
    const { agentId, type, params } = order;
    const id = order.id ?? crypto.randomUUID();
    const signedAtMs = nowMs + (order.signedAtOffsetS ?? 0) * 1_000;
    const signable = { id, agentId, type, params, signedAtMs };
    const own = signCommand(this.#keys, signable, order.sign);
    const signature = order.signatureOf === undefined ? own : this.#signatureOf(order.signatureOf);
    this.#database.transaction(() => {
      this.#commands.add({ id, agentId, type, params }, nowMs);
      this.#database.run(
        `INSERT INTO command_deliveries (command_id, source, signature, key_id, signed_at_ms,
           told_agent_id, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
        id,
        order.source ?? "manual",
        signature.signature,
        signature.keyId,
        signature.signedAtMs,
        own.toldAgentId,
        nowMs + LIFE_MS,
      );
    });
    return id;
  }

  /** As `create`, unless one of that type waits already, which answers `undefined`. */
  createUnlessPending(order: CommandOrder, nowMs: number): string | undefined {
    const pending = this.#database.all(
      "SELECT 1 FROM agent_commands WHERE agent_id = ? AND type = ? AND status = 'pending'",
      order.agentId,
      order.type,
    );
    return pending.length > 0 ? undefined : this.create(order, nowMs);
  }

  /** Notes that an agent has commands; answers the ids of those that it had been sent and now has. */
  receive(agentId: string, ids: readonly string[], nowMs: number): string[] {
    return [...new Set(ids)].filter((id) =>
      this.#database.transaction(() => {
        const changed = this.#database.run(
          "UPDATE agent_commands SET status = 'received' WHERE id = ? AND agent_id = ? AND status = 'sent'",
          id,
          agentId,
        );
        if (changed > 0) this.#set(id, "received_at_ms", nowMs);
        return changed > 0;
      })
    );
  }

  /**
   * What an agent is handed over: what waits for it, and what was sent too long ago. Both are looked
   * for before anything is marked: what waited too long is in it twice.
   */
  take(agentId: string, nowMs: number, settings: Settings): DeliveredCommand[] {
    const pending = this.#select(
      `WHERE c.agent_id = ? AND c.status = 'pending' AND d.expires_at_ms > ?
       ORDER BY c.created_at_ms, c.sequence LIMIT ${BATCH}`,
      agentId,
      nowMs,
    );
    const stuck = this.#select(
      `WHERE c.agent_id = ? AND c.status IN ('pending', 'sent') AND d.expires_at_ms > ?
         AND d.retry_count < ? AND coalesce(c.sent_at_ms, c.created_at_ms) < ?
       ORDER BY c.created_at_ms, c.sequence`,
      agentId,
      nowMs,
      settings.maxCommandRetries,
      nowMs - settings.stuckCommandTimeoutS * 1_000,
    );
    for (const { id } of [...pending, ...stuck]) this.#markSent(id, nowMs);
    for (const { id, delivery } of stuck) this.#set(id, "retry_count", delivery.retryCount + 1);
    return [...pending, ...stuck];
  }

  /** Gives up on a command, and writes that down as its result. */
  timeOut(id: string, result: unknown): void {
    this.#database.run(
      "UPDATE agent_commands SET status = 'timed_out', result = ? WHERE id = ?",
      JSON.stringify(result),
      id,
    );
  }

  /** Ends a command of the history alone, which no agent ever gets. */
  finish(id: string, result: unknown, nowMs: number): void {
    this.#markSent(id, nowMs);
    this.#commands.report(id, result, { status: "completed", nowMs });
  }

  /** What an operator does to a command that no agent has received yet; whether it was one. */
  cancel(id: string, nowMs: number): boolean {
    return this.#database.run(
      `UPDATE agent_commands SET status = 'cancelled', completed_at_ms = ?, result = coalesce(result,
         '{"cancelled":true,"reason":"operator cancelled command"}')
       WHERE id = ? AND status IN ('pending', 'sent')`,
      nowMs,
      id,
    ) > 0;
  }

  /** Hands a command over once more, whatever has become of it: a replay. */
  replay(id: string, nowMs: number): void {
    const changed = this.#database.run(
      "UPDATE agent_commands SET status = 'pending', sent_at_ms = NULL, created_at_ms = ? WHERE id = ?",
      nowMs,
      id,
    );
    if (changed === 0) throw new Error(`Cannot replay: no command "${id}"`);
    this.#set(id, "expires_at_ms", nowMs + LIFE_MS);
  }

  /** All commands, in the order they were made. */
  list(): DeliveredCommand[] {
    return this.#select("ORDER BY c.sequence");
  }

  #signatureOf(id: string) {
    const [found] = this.#select("WHERE c.id = ?", id);
    if (!found) throw new Error(`Cannot take signature: no command "${id}"`);
    return found.delivery;
  }

  #markSent(id: string, nowMs: number): void {
    this.#database.run(
      "UPDATE agent_commands SET status = 'sent', sent_at_ms = ? WHERE id = ?",
      nowMs,
      id,
    );
  }

  #set(id: string, column: "retry_count" | "received_at_ms" | "expires_at_ms", value: number) {
    this.#database.run(
      `UPDATE command_deliveries SET ${column} = ? WHERE command_id = ?`,
      value,
      id,
    );
  }

  #select(condition: string, ...values: (string | number)[]): DeliveredCommand[] {
    return this.#database.all(`${SELECT} ${condition}`, ...values).map((row) => ({
      ...commandOf(row),
      delivery: deliveryOf(row),
    }));
  }
}

function deliveryOf(row: Row): Delivery {
  return {
    commandId: String(row["id"]),
    source: row["source"] as "manual" | "system",
    signature: row["signature"] as string | null,
    keyId: row["key_id"] as string | null,
    signedAtMs: row["signed_at_ms"] as number | null,
    toldAgentId: row["told_agent_id"] as string | null,
    expiresAtMs: Number(row["expires_at_ms"]),
    retryCount: Number(row["retry_count"]),
    receivedAtMs: row["received_at_ms"] as number | null,
  };
}
