/** Signs commands as a RedFlag server does, with the key of the protocol's test vectors or another. */

import { canonicalJson } from "../../src/server/canonical_json.ts";
import type { SignedCommand } from "../../src/server/command_signature.ts";
import { parsePublicKey, type SigningKey } from "../../src/server/signing_keys.ts";
import { realCryptography } from "../../src/system/real/cryptography.ts";

export const AGENT_ID = "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60";

/** The head of a PKCS #8 file with an Ed25519 seed (RFC 8410, section 7). */
const PKCS8_HEAD = "302e020100300506032b657004220420";

/** What is signed of a command, and in which of RedFlag's forms. */
export interface CommandToSign {
  readonly id: string;
  readonly type: string;
  readonly params: string;
  readonly signedS: number;
  readonly agentId?: string;
  /** The message that is signed instead of RedFlag's third form. */
  readonly message?: (parts: { agentId: string; hash: string }) => string;
}

/** A server with one key. */
export class SigningServer {
  readonly key: SigningKey;
  readonly #privateKey: CryptoKey;

  private constructor(key: SigningKey, privateKey: CryptoKey) {
    this.key = key;
    this.#privateKey = privateKey;
  }

  /** The seed has 32 bytes: `first`, `first` + 1, and so on. The vectors' is the one from 0. */
  static async create(first = 0): Promise<SigningServer> {
    const seed = Uint8Array.from({ length: 32 }, (_, at) => first + at);
    const pkcs8 = Uint8Array.fromHex(PKCS8_HEAD + seed.toHex());
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
    const { x = "" } = await crypto.subtle.exportKey("jwk", privateKey);
    const raw = Uint8Array.fromBase64(x, { alphabet: "base64url" });
    const key = await parsePublicKey(realCryptography, raw.toHex());
    if (!key.ok) throw new Error(key.why);
    return new SigningServer(key.value, privateKey);
  }

  /** The command with its signature, as the server delivers it. */
  async sign(command: CommandToSign): Promise<SignedCommand> {
    const { id, type, params, signedS, agentId = AGENT_ID } = command;
    const canonical = canonicalJson(params);
    if (!canonical.ok) throw new Error(canonical.why);
    const bytes = (text: string) => new TextEncoder().encode(text);
    const hash = (await realCryptography.sha256(bytes(canonical.value))).toHex();
    const message = command.message?.({ agentId, hash }) ??
      `${agentId}:${id}:${type}:${hash}:${signedS}`;
    const signature = await crypto.subtle.sign("Ed25519", this.#privateKey, bytes(message));
    return {
      id,
      type,
      params,
      signature: new Uint8Array(signature).toHex(),
      keyId: this.key.keyId,
      signedAt: new Date(signedS * 1_000).toISOString().replace(".000Z", "Z"),
    };
  }
}
