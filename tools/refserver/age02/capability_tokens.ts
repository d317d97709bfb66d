/** Capability tokens: signed permissions to install a closure of hashed packages, each delivered once. */

import { createHash } from "node:crypto";
import type { Database, Row } from "../../../src/system/database.ts";
import type { KnownPackage } from "../reports_table.ts";
import { signText } from "./ed25519.ts";
import type { SigningKeys } from "./signing_keys.ts";

const LIFE_S = 3_600;

/** A package of a closure. */
export interface ClosureEntry {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly source: string;
}

/** A token as it is delivered. */
export interface CapabilityToken {
  readonly version: 1;
  readonly token_id: string;
  readonly agent_id: string;
  readonly key_id: string;
  readonly package_type: string;
  readonly operation: "install" | "upgrade";
  readonly closure: readonly ClosureEntry[];
  /** Unix seconds, as the two below. */
  readonly issued_at: number;
  readonly not_before: number;
  readonly expires_at: number;
  readonly signature: string;
}

/** A token and what became of it. */
export interface StoredToken {
  readonly token: CapabilityToken;
  readonly updateId: string;
  readonly deliveredAtMs: number | null;
  readonly consumedAtMs: number | null;
  /** What the agent said it did with it. */
  readonly receipt: unknown;
}

/** The SHA-256 of a closure, in hex: of its sorted lines, each once. */
export function closureHash(closure: readonly Omit<ClosureEntry, "source">[]): string {
  const lines = closure.map(({ name, version, sha256 }) => `${name}@${version}#${sha256}`);
  return createHash("sha256").update([...new Set(lines)].sort().join("\n")).digest("hex");
}

/** The text that a token's signature is over. */
export function tokenText(
  token: Pick<
    CapabilityToken,
    "agent_id" | "token_id" | "operation" | "package_type" | "expires_at"
  >,
  hash: string,
): string {
  const { agent_id, token_id, operation, package_type, expires_at } = token;
  return `${agent_id}:${token_id}:${operation}:${package_type}:${hash}:${expires_at}`;
}

/** The table `capability_tokens`. Methods throw `DatabaseError`. */
export class CapabilityTokens {
  readonly #database: Database;
  readonly #keys: SigningKeys;

  constructor(database: Database, keys: SigningKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  /** Makes a token for a package, unless one is alive; answers its id, `undefined` if one was. */
  mint(known: KnownPackage, closure: readonly ClosureEntry[], nowMs: number): string | undefined {
    const nowS = Math.floor(nowMs / 1_000);
    const isAlive = this.list().some(({ token, updateId, consumedAtMs }) =>
      updateId === known.id && consumedAtMs === null && token.expires_at > nowS
    );
    if (isAlive) return undefined;
    const primary = this.#keys.primary();
    const token = {
      version: 1 as const,
      token_id: crypto.randomUUID(),
      agent_id: known.agentId,
      key_id: primary.keyId,
      package_type: known.packageType,
      operation: known.currentVersion === "" ? "install" as const : "upgrade" as const,
      closure,
      issued_at: nowS,
      not_before: nowS,
      expires_at: nowS + LIFE_S,
    };
    const signature = signText(primary.seed, tokenText(token, closureHash(closure)));
    this.#database.run(
      `INSERT INTO capability_tokens (token_id, update_id, agent_id, package_type, token, expires_at)
       VALUES (?, ?, ?, ?, ?, ?)`,
      token.token_id,
      known.id,
      known.agentId,
      known.packageType,
      JSON.stringify({ ...token, signature }),
      token.expires_at,
    );
    return token.token_id;
  }

  /** The living tokens that an agent has not been given yet; from now on it has. */
  deliver(agentId: string, nowMs: number): CapabilityToken[] {
    const rows = this.#database.all(
      `SELECT * FROM capability_tokens WHERE agent_id = ? AND delivered_at_ms IS NULL
         AND expires_at > ? ORDER BY rowid`,
      agentId,
      Math.floor(nowMs / 1_000),
    );
    for (const row of rows) {
      this.#database.run(
        "UPDATE capability_tokens SET delivered_at_ms = ? WHERE token_id = ?",
        nowMs,
        row["token_id"]!,
      );
    }
    return rows.map((row) => storedOf(row).token);
  }

  get(tokenId: string): StoredToken | undefined {
    const [row] = this.#database.all("SELECT * FROM capability_tokens WHERE token_id = ?", tokenId);
    return row && storedOf(row);
  }

  /** Notes what was done with a token, which ends it. */
  consume(tokenId: string, receipt: unknown, nowMs: number): void {
    this.#database.run(
      "UPDATE capability_tokens SET consumed_at_ms = ?, receipt = ? WHERE token_id = ?",
      nowMs,
      JSON.stringify(receipt),
      tokenId,
    );
  }

  /** All tokens, in the order they were made. */
  list(): StoredToken[] {
    return this.#database.all("SELECT * FROM capability_tokens ORDER BY rowid").map(storedOf);
  }
}

function storedOf(row: Row): StoredToken {
  return {
    token: JSON.parse(String(row["token"])),
    updateId: String(row["update_id"]),
    deliveredAtMs: row["delivered_at_ms"] as number | null,
    consumedAtMs: row["consumed_at_ms"] as number | null,
    receipt: JSON.parse(String(row["receipt"] ?? "null")),
  };
}
