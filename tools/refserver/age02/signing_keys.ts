/** The server's signing keys: one primary, older ones active until they are retired. */

import type { Database, Row } from "../../../src/system/database.ts";
import { randomToken } from "../tokens.ts";
import { type KeyPair, keyPairOf } from "./ed25519.ts";

/** A key as the server knows it. */
export interface SigningKey extends KeyPair {
  readonly isPrimary: boolean;
  /** Whether `/public-keys` shows it. */
  readonly isActive: boolean;
  readonly version: number;
}

/** The table `signing_keys`; it has a primary key from the start. */
export class SigningKeys {
  readonly #database: Database;

  /** @param seed of the first key, used when there is none yet @default a random one */
  constructor(database: Database, seed?: string) {
    this.#database = database;
    if (this.all().length === 0) this.rotate(seed === undefined ? {} : { seed });
  }

  /** Every key, the newest first. */
  all(): SigningKey[] {
    return this.#database.all("SELECT * FROM signing_keys ORDER BY version DESC").map(keyOf);
  }

  /** What agents may trust, the newest first. */
  active(): SigningKey[] {
    return this.all().filter(({ isActive }) => isActive);
  }

  /** The key that commands are signed with. */
  primary(): SigningKey {
    return this.all().find(({ isPrimary }) => isPrimary)!;
  }

  /**
   * Signs with another key from now on. The old one stays active, as after a restart with another key
   * in the environment, or vanishes at once (`retireOld`), as with an impostor.
   */
  rotate(options: { seed?: string; retireOld?: boolean } = {}): SigningKey {
    const { seed, publicKey, keyId } = keyPairOf(options.seed ?? randomToken());
    const version = (this.all()[0]?.version ?? 0) + 1;
    this.#database.transaction(() => {
      this.#database.run("UPDATE signing_keys SET is_primary = 0");
      if (options.retireOld) this.#database.run("UPDATE signing_keys SET is_active = 0");
      this.#database.run(
        `INSERT INTO signing_keys VALUES (?, ?, ?, 1, 1, ?)
         ON CONFLICT (key_id) DO UPDATE SET is_primary = 1, is_active = 1`,
        keyId,
        seed,
        publicKey,
        version,
      );
    });
    return this.primary();
  }

  /** Takes a key out of those that agents may trust. @throws {Error} if it is the primary, or none */
  retire(keyId: string): void {
    const changed = this.#database.run(
      "UPDATE signing_keys SET is_active = 0 WHERE key_id = ? AND is_primary = 0",
      keyId,
    );
    if (changed === 0) throw new Error(`Cannot retire key: "${keyId}" is the primary one, or none`);
  }
}

function keyOf(row: Row): SigningKey {
  return {
    seed: String(row["seed"]),
    publicKey: String(row["public_key"]),
    keyId: String(row["key_id"]),
    isPrimary: row["is_primary"] === 1,
    isActive: row["is_active"] === 1,
    version: Number(row["version"]),
  };
}
