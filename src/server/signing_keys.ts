/**
 * The public keys with which a RedFlag server signs commands, as the server announces them and as files
 * hold them. Which of them the agent trusts is decided in `key_trust.ts`.
 */

import * as v from "valibot";
import { type Decoded, decodeJson, type JsonLimits } from "../json.ts";
import type { Cryptography } from "../system/cryptography.ts";
import type { ReadBody } from "./answer.ts";

/** An Ed25519 public key. */
export interface SigningKey {
  /** The first 32 hex digits of the SHA-256 of the raw key. */
  readonly keyId: string;
  /** 64 hex digits in lower case. */
  readonly publicKey: string;
}

/** A key in an answer of the server. Its id is what the server says: see `confirmKeys()`. */
export interface AnnouncedKey extends SigningKey {
  /** Whether the server signs new commands with it. */
  readonly isPrimary: boolean;
}

/** Longest file with a key that is read; one with 64 digits has up to 69 bytes. */
export const MOST_KEY_FILE_BYTES = 128;

/** Active keys of one server; RedFlag has one, and two during a rotation. */
const MOST_KEYS = 20;

const KEYS_LIMITS: JsonLimits = { maxLength: 65_536, maxDepth: 8, maxValues: 2_000 };

/** Length of a raw key. */
const KEY_BYTES = 32;

/** The one algorithm that RedFlag signs with. */
const ED25519 = "ed25519";

/** A public key as hex digits, in lower case. */
const publicKey = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/i), v.toLowerCase());

/** The id of a key. */
export const keyIdSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));

/** A key with its id. */
export const signingKeySchema = v.object({ keyId: keyIdSchema, publicKey });

const announced = { key_id: keyIdSchema, public_key: publicKey };

const onePublicKey = v.pipe(
  v.object({ ...announced, algorithm: v.literal(ED25519) }),
  v.transform((key): AnnouncedKey => ({
    keyId: key.key_id,
    publicKey: key.public_key,
    isPrimary: true,
  })),
);

/** Keys of other algorithms may come with a later server; they are left out. */
const publicKeys = v.pipe(
  v.array(v.unknown()),
  v.maxLength(MOST_KEYS),
  v.transform((keys) => keys.filter((key) => !isOfOtherAlgorithm(key))),
  v.array(v.object({ ...announced, is_primary: v.boolean() })),
  v.transform((keys) =>
    keys.map((key): AnnouncedKey => ({
      keyId: key.key_id,
      publicKey: key.public_key,
      isPrimary: key.is_primary,
    }))
  ),
);

function isOfOtherAlgorithm(key: unknown): boolean {
  const { success, output } = v.safeParse(v.object({ algorithm: v.string() }), key);
  return success && output.algorithm !== ED25519;
}

/** Reads the answer to `GET /public-key`: the primary key. */
export const readPublicKey: ReadBody<AnnouncedKey> = (body) =>
  decodeJson(onePublicKey, body, KEYS_LIMITS);

/** Reads the answer to `GET /public-keys`: every active key. */
export const readPublicKeys: ReadBody<readonly AnnouncedKey[]> = (body) =>
  decodeJson(publicKeys, body, KEYS_LIMITS);

/**
 * Reads a public key from a configuration: 64 hex digits. Its id is computed. The reason for a refusal
 * completes "the key ...".
 */
export async function parsePublicKey(
  cryptography: Cryptography,
  text: string,
): Promise<Decoded<SigningKey>> {
  const { success, output } = v.safeParse(publicKey, text);
  if (!success) return { ok: false, why: "is not 64 hex digits" };
  return {
    ok: true,
    value: { keyId: await computeKeyId(cryptography, output), publicKey: output },
  };
}

/**
 * Reads a key file of RedFlag's agent in either of its forms: 32 raw bytes, which the agent writes, or 64
 * hex digits with or without a line break, which its installer writes. The reason for a refusal
 * completes "the key ...".
 */
export async function parseKeyFile(
  cryptography: Cryptography,
  bytes: Uint8Array,
): Promise<Decoded<SigningKey>> {
  if (bytes.length === KEY_BYTES) return await parsePublicKey(cryptography, bytes.toHex());
  if (bytes.length > MOST_KEY_FILE_BYTES) return NO_KEY_FILE;
  const key = await parsePublicKey(cryptography, new TextDecoder().decode(bytes).trim());
  return key.ok ? key : NO_KEY_FILE;
}

const NO_KEY_FILE = { ok: false, why: "is neither 32 bytes nor 64 hex digits" } as const;

/**
 * Computes the id of each announced key. Fails if one is not the id that the server says, because a
 * command names its key by the id. The reason completes "the keys ...".
 */
export async function confirmKeys(
  cryptography: Cryptography,
  keys: readonly AnnouncedKey[],
): Promise<Decoded<readonly AnnouncedKey[]>> {
  for (const { keyId, publicKey } of keys) {
    const computed = await computeKeyId(cryptography, publicKey);
    if (computed === keyId) continue;
    return { ok: false, why: `include one with the id ${keyId}, which should be ${computed}` };
  }
  return { ok: true, value: keys };
}

async function computeKeyId(cryptography: Cryptography, publicKey: string): Promise<string> {
  const digest = await cryptography.sha256(Uint8Array.fromHex(publicKey));
  return digest.toHex().slice(0, 32);
}
