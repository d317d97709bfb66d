/**
 * Verifies the signature of a command: RedFlag's third form, which names the agent and the time. The two
 * earlier forms, which do not, are refused. What follows from the verdict is decided in `key_trust.ts`.
 */

import type { Decoded } from "../json.ts";
import { ANSWER_LIMITS } from "../json.ts";
import type { Cryptography } from "../system/cryptography.ts";
import { canonicalJson } from "./canonical_json.ts";
import { INSTANT, MOST_PARAMS_BYTES } from "./check_in_answer.ts";
import type { SigningKey } from "./signing_keys.ts";

/** A command as it arrived. `null`: absent. */
export interface SignedCommand {
  readonly id: string;
  readonly type: string;
  /** The JSON text of the parameters, `null` included: it is signed too. */
  readonly params: string;
  /** 128 hex digits in lower case; RedFlag sends `""` for a command without a signature. */
  readonly signature: string | null;
  /** The id of the key. */
  readonly keyId: string | null;
  /** RFC 3339, with or without a fraction of a second. */
  readonly signedAt: string | null;
}

/** By whom and when a signature is judged. */
export interface SignatureContext {
  /** The id of this agent: a command for another one has another signature. */
  readonly agentId: string;
  /** The keys that the agent trusts. */
  readonly keys: readonly SigningKey[];
  readonly nowMs: number;
}

/**
 * Why a command's signature does not count.
 *
 * `unsigned`: there is none. `malformed`: the signature, the id of its key, its time or the parameters
 * cannot be read. `unknown_key`: the agent trusts no key of that id. `bad_signature`: something that is
 * signed differs, the agent among it, or another key signed it. `too_old`, `from_the_future`: the
 * signature is genuine, but its time is not within the limits by the clock of this host.
 */
export type SignatureRefusal =
  | "unsigned"
  | "malformed"
  | "unknown_key"
  | "bad_signature"
  | "too_old"
  | "from_the_future";

/** What the signature of a command says. */
export type SignatureVerdict =
  | {
    readonly kind: "valid";
    /** The key that signed it. */
    readonly keyId: string;
    /** The parameters as they were signed, which may differ from `params` in their spelling. */
    readonly params: string;
  }
  | {
    readonly kind: "refused";
    readonly reason: SignatureRefusal;
    /** Completes "the command is not run: ...". */
    readonly why: string;
    /** Age of the signature; `null` unless the reason is `too_old` or `from_the_future`. */
    readonly ageMs: number | null;
  };

/** Age of the oldest signature that counts. RedFlag delivers a command again for up to four hours. */
export const LONGEST_AGE_MS = 4 * 3_600_000;

/** How far the clock of the server may be ahead of this host's. */
export const LONGEST_LEAD_MS = 5 * 60_000;

const SIGNATURE = /^[0-9a-f]{128}$/;

/**
 * Verifies the signature of a command. A signature is checked before its time, so that `too_old` and
 * `from_the_future` are only said of genuine commands. Never rejects.
 */
export async function verifyCommand(
  cryptography: Cryptography,
  command: SignedCommand,
  { agentId, keys, nowMs }: SignatureContext,
): Promise<SignatureVerdict> {
  const { signature, keyId } = command;
  if (signature === null || signature === "") return refuse("unsigned", "it has no signature");
  if (!SIGNATURE.test(signature)) return refuse("malformed", "its signature is not 128 hex digits");
  if (keyId === null || keyId === "") return refuse("malformed", "it does not name the key");
  const signedS = readSignedAt(command.signedAt);
  if (signedS === null) return refuse("malformed", "the time of its signature cannot be read");
  // Before the parameters are read: many commands may wait for a key, and each is judged again and again.
  const key = keys.find((key) => key.keyId === keyId);
  if (key === undefined) {
    return refuse("unknown_key", "it is signed with a key that is not trusted");
  }
  const params = readParams(command.params);
  if (!params.ok) return refuse("malformed", `of its params, ${params.why}`);
  const paramsHash = (await cryptography.sha256(encode(params.value))).toHex();
  const isValid = await cryptography.verifyEd25519({
    publicKey: Uint8Array.fromHex(key.publicKey),
    signature: Uint8Array.fromHex(signature),
    message: encode([agentId, command.id, command.type, paramsHash, signedS].join(":")),
  });
  if (!isValid) return refuse("bad_signature", "its signature is not valid");
  const ageMs = nowMs - signedS * 1_000;
  if (ageMs > LONGEST_AGE_MS) return refuse("too_old", "its signature is too old", ageMs);
  if (ageMs < -LONGEST_LEAD_MS) {
    return refuse("from_the_future", "its signature is from the future", ageMs);
  }
  return { kind: "valid", keyId, params: params.value };
}

function refuse(
  reason: SignatureRefusal,
  why: string,
  ageMs: number | null = null,
): SignatureVerdict {
  return { kind: "refused", reason, why, ageMs };
}

/** Whole seconds since the Unix epoch, rounded down as the server does; `null` if it is no instant. */
function readSignedAt(text: string | null): number | null {
  if (text === null || !INSTANT.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : Math.floor(ms / 1_000);
}

/** The canonical form of the parameters. It can be longer than the text that arrived. */
function readParams(text: string): Decoded<string> {
  return canonicalJson(text, { ...ANSWER_LIMITS, maxLength: MOST_PARAMS_BYTES });
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
