/**
 * Cryptography without a thread of its own: in virtual time an answer is there as soon as microtasks have
 * run. The same functions as the real one's, by another implementation.
 */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import type { Cryptography } from "../../src/system/cryptography.ts";

/** The head of a DER public key of Ed25519 (RFC 8410, section 4). */
const SPKI_HEAD = Uint8Array.fromHex("302a300506032b6570032100");

/** SHA-256 and Ed25519 of Node's API. */
export const fakeCryptography: Cryptography = {
  sha256: (bytes) =>
    Promise.resolve(Uint8Array.fromHex(createHash("sha256").update(bytes).digest("hex"))),
  verifyEd25519({ publicKey, signature, message }) {
    if (publicKey.length !== 32 || signature.length !== 64) return Promise.resolve(false);
    const key = createPublicKey({
      key: Buffer.from([...SPKI_HEAD, ...publicKey]),
      format: "der",
      type: "spki",
    });
    return Promise.resolve(verify(null, message, key, signature));
  },
};
