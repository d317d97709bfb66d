/** Digests of files. */

import { createHash } from "node:crypto";

/** The SHA-256 of a file, in hex. */
export async function sha256Of(path: string): Promise<string> {
  return await digestOf(path, "sha256", "hex");
}

/** The SHA-512 of a file as npm writes it: `sha512-` and base64. */
export async function npmIntegrityOf(path: string): Promise<string> {
  return `sha512-${await digestOf(path, "sha512", "base64")}`;
}

async function digestOf(path: string, algorithm: string, encoding: "hex" | "base64") {
  const hash = createHash(algorithm);
  const file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest(encoding);
}
