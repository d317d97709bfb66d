/** Ed25519 keys from 32 bytes of seed, and what is signed with them. */

import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";

/** What precedes the seed in a PKCS #8 key: https://www.rfc-editor.org/rfc/rfc8410#section-7 */
const PKCS8_HEAD = "302e020100300506032b657004220420";

/** A key pair. */
export interface KeyPair {
  /** 64 hex characters. */
  readonly seed: string;
  /** 64 hex characters. */
  readonly publicKey: string;
  /** The first 32 hex characters of the public key's SHA-256. */
  readonly keyId: string;
}

/** The pair that a seed makes. @throws {TypeError} if the seed is not 64 hex characters */
export function keyPairOf(seed: string): KeyPair {
  const spki = createPublicKey(privateKeyOf(seed)).export({ format: "der", type: "spki" });
  const raw = Buffer.from(spki).subarray(-32);
  const keyId = createHash("sha256").update(raw).digest("hex").slice(0, 32);
  return { seed, publicKey: raw.toString("hex"), keyId };
}

/** The signature of a text, 128 hex characters. */
export function signText(seed: string, text: string): string {
  return sign(null, Buffer.from(text), privateKeyOf(seed)).toString("hex");
}

function privateKeyOf(seed: string) {
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    throw new TypeError("Cannot make key: seed is no 32 bytes of hex");
  }
  const key = Buffer.from(PKCS8_HEAD + seed, "hex");
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}
