/** The cryptography port on WebCrypto, which Deno has without loading a module. */

import type { Cryptography } from "../cryptography.ts";

const ED25519 = "Ed25519";

export const realCryptography: Cryptography = {
  sha256: async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)),
  verifyEd25519: async ({ publicKey, signature, message }) => {
    try {
      const key = await crypto.subtle.importKey("raw", publicKey, ED25519, false, ["verify"]);
      return await crypto.subtle.verify(ED25519, key, signature, message);
    } catch {
      return false; // The key cannot be imported.
    }
  },
};
