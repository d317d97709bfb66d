/**
 * The cryptography of a test with a clock of its own: it answers at once. WebCrypto works on another
 * thread, so that virtual time would pass, by chance, while the agent waits for it.
 */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import { realCryptography } from "../../src/system/real/cryptography.ts";
import type { Cryptography } from "../../src/system/cryptography.ts";

/** The beginning of a public key's DER (RFC 8410, section 4): the 32 bytes of the key follow. */
const SPKI = "302a300506032b6570032100";

export const promptCryptography: Cryptography = {
  // Only the command line asks for these; no virtual time passes there.
  readCertificates: (pem) => realCryptography.readCertificates(pem),
  matchKey: (certificate, key) => realCryptography.matchKey(certificate, key),
  sha256: (bytes) => Promise.resolve(new Uint8Array(createHash("sha256").update(bytes).digest())),
  verifyEd25519: ({ publicKey, signature, message }) => {
    try {
      const key = createPublicKey({
        key: Buffer.from(SPKI + publicKey.toHex(), "hex"),
        format: "der",
        type: "spki",
      });
      return Promise.resolve(verify(null, message, key, signature));
    } catch {
      return Promise.resolve(false);
    }
  },
};
