/**
 * The cryptography port on WebCrypto, which Deno has without loading a module. Certificates take `node:crypto`,
 * which is loaded when one is read.
 */

import type { CertificateFacts, Cryptography, KeyMatch } from "../cryptography.ts";

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
  readCertificates,
  matchKey,
};

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

async function readCertificates(pem: string): Promise<(CertificateFacts | null)[]> {
  const { X509Certificate } = await import("node:crypto");
  return (pem.match(CERTIFICATE) ?? []).map((block) => {
    try {
      const { subject, validTo } = new X509Certificate(block);
      const validToMs = Date.parse(validTo);
      if (Number.isNaN(validToMs)) return null;
      return { subject: subject.trim().replaceAll("\n", ", "), validToMs };
    } catch {
      return null;
    }
  });
}

/** Compares public keys: `checkPrivateKey` does not exist in Deno 2.6. */
async function matchKey(certificatePem: string, keyPem: string): Promise<KeyMatch> {
  const { createPrivateKey, createPublicKey, X509Certificate } = await import("node:crypto");
  if (keyPem.includes("ENCRYPTED")) return "encrypted";
  const spki = { type: "spki", format: "der" } as const;
  let ofKey: Uint8Array;
  try {
    ofKey = createPublicKey(createPrivateKey(keyPem)).export(spki);
  } catch {
    return "unreadable";
  }
  try {
    const [block = ""] = certificatePem.match(CERTIFICATE) ?? [];
    const ofCertificate: Uint8Array = new X509Certificate(block).publicKey.export(spki);
    return ofKey.toHex() === ofCertificate.toHex() ? "fits" : "other";
  } catch {
    return "unknown";
  }
}
