/** Refresh tokens that rotate: each renewal spends one and makes its successor, all of one family. */

import type { Database, Row } from "../../../src/system/database.ts";
import { hashToken, randomToken } from "../tokens.ts";

/** A refresh token as the server knows it: never the token itself. */
export interface RefreshToken {
  readonly hash: string;
  readonly agentId: string;
  readonly familyId: string;
  readonly expiresAtMs: number;
  /** The hash of the successor. */
  readonly supersededBy: string | null;
  readonly consumedAtMs: number | null;
  readonly isRevoked: boolean;
}

/**
 * What becomes of a token that is shown. `rotated`: it is spent, `token` follows. `grace`: it was spent
 * before and its successor never used, so that one is revoked and `token` follows in its place.
 * `reuse`: its successor was used, or is revoked: the whole family is revoked.
 */
export type Rotation =
  | { readonly outcome: "rotated" | "grace"; readonly token: string }
  | { readonly outcome: "reuse" };

/** The table `rotating_tokens`. Methods throw `DatabaseError`. */
export class RefreshFamilies {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A new token at the root of a new family. */
  begin(agentId: string, expiresAtMs: number): string {
    return this.#mint(agentId, crypto.randomUUID(), expiresAtMs);
  }

  /** A token that is neither revoked, dead nor another agent's. */
  find(agentId: string, token: string, nowMs: number): RefreshToken | undefined {
    const found = this.#get(hashToken(token));
    const isAlive = found && found.agentId === agentId && !found.isRevoked &&
      nowMs <= found.expiresAtMs;
    return isAlive ? found : undefined;
  }

  /** Spends a token that `find()` has found. */
  rotate(shown: RefreshToken, options: { nowMs: number; expiresAtMs: number }): Rotation {
    return this.#database.transaction(() => {
      const outcome = shown.consumedAtMs === null ? "rotated" : "grace";
      if (outcome === "grace") {
        const successor = shown.supersededBy === null ? undefined : this.#get(shown.supersededBy);
        if (!successor || successor.isRevoked || successor.consumedAtMs !== null) {
          this.#database.run(
            "UPDATE rotating_tokens SET revoked = 1 WHERE family_id = ?",
            shown.familyId,
          );
          return { outcome: "reuse" };
        }
        this.#database.run(
          "UPDATE rotating_tokens SET revoked = 1 WHERE token_hash = ?",
          successor.hash,
        );
      }
      const token = this.#mint(shown.agentId, shown.familyId, options.expiresAtMs);
      this.#database.run(
        `UPDATE rotating_tokens SET superseded_by = ?, consumed_at_ms = coalesce(consumed_at_ms, ?)
         WHERE token_hash = ?`,
        hashToken(token),
        options.nowMs,
        shown.hash,
      );
      return { outcome, token };
    });
  }

  /** Makes every token of an agent, or of all agents, worthless. */
  revoke(agentId?: string): void {
    this.#database.run(
      "UPDATE rotating_tokens SET revoked = 1 WHERE ? IS NULL OR agent_id = ?",
      agentId ?? null,
      agentId ?? null,
    );
  }

  /** All tokens, in the order they were made. */
  list(): RefreshToken[] {
    return this.#database.all("SELECT * FROM rotating_tokens ORDER BY rowid").map(tokenOf);
  }

  #get(hash: string): RefreshToken | undefined {
    const [row] = this.#database.all("SELECT * FROM rotating_tokens WHERE token_hash = ?", hash);
    return row && tokenOf(row);
  }

  #mint(agentId: string, familyId: string, expiresAtMs: number): string {
    const token = randomToken();
    this.#database.run(
      `INSERT INTO rotating_tokens (token_hash, agent_id, family_id, expires_at_ms)
       VALUES (?, ?, ?, ?)`,
      hashToken(token),
      agentId,
      familyId,
      expiresAtMs,
    );
    return token;
  }
}

function tokenOf(row: Row): RefreshToken {
  return {
    hash: String(row["token_hash"]),
    agentId: String(row["agent_id"]),
    familyId: String(row["family_id"]),
    expiresAtMs: Number(row["expires_at_ms"]),
    supersededBy: row["superseded_by"] as string | null,
    consumedAtMs: row["consumed_at_ms"] as number | null,
    isRevoked: row["revoked"] === 1,
  };
}
