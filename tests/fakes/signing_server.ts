/**
 * Signs commands as a RedFlag server does, with the key of the protocol's test vectors or another. It
 * answers at once, so that the simulator's clock of its own can rely on it.
 */

import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { canonicalJson } from "../../src/server/canonical_json.ts";
import type { SignedCommand } from "../../src/server/command_signature.ts";
import type { SigningKey } from "../../src/server/signing_keys.ts";

export const AGENT_ID = "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60";

/** The head of a PKCS #8 file with an Ed25519 seed (RFC 8410, section 7). */
const PKCS8_HEAD = "302e020100300506032b657004220420";

/** Length of a raw key, at the end of its DER. */
const KEY_BYTES = 32;

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
  readonly #privateKey: KeyObject;

  /** The seed has 32 bytes: `first`, `first` + 1, and so on. The vectors' is the one from 0. */
  constructor(first = 0) {
    const seed = Uint8Array.from({ length: KEY_BYTES }, (_, at) => first + at);
    const der = Buffer.from(PKCS8_HEAD + seed.toHex(), "hex");
    this.#privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    const spki = createPublicKey(this.#privateKey).export({ format: "der", type: "spki" });
    const raw = new Uint8Array(spki.subarray(-KEY_BYTES));
    this.key = { keyId: sha256(raw).slice(0, 32), publicKey: raw.toHex() };
  }

  /** The command with its signature, as the server delivers it. */
  sign(command: CommandToSign): SignedCommand {
    const { id, type, params, signedS, agentId = AGENT_ID } = command;
    const canonical = canonicalJson(params);
    if (!canonical.ok) throw new Error(canonical.why);
    const hash = sha256(bytesOf(canonical.value));
    const message = command.message?.({ agentId, hash }) ??
      `${agentId}:${id}:${type}:${hash}:${signedS}`;
    const signature = sign(null, bytesOf(message), this.#privateKey);
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

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** As hex digits. */
function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
