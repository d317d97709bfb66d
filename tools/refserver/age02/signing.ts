/** How commands are signed: as the real server does, or, for hostile tests, in ways that it never does. */

import { createHash } from "node:crypto";
import * as v from "valibot";
import { randomToken } from "../tokens.ts";
import { keyPairOf, signText } from "./ed25519.ts";
import { goJson } from "./go_json.ts";
import type { SigningKeys } from "./signing_keys.ts";

/**
 * Ways to sign. `good`: as the real one. `none`: not at all. `wrong`: one bit of the signature is another.
 * `other_key`: by a key nobody knows, under the primary key's id. `unknown_key`: by a key nobody knows,
 * under its own id. `retired_key`: by the newest key that is no longer active. `other_agent`: for another
 * agent, and says so. `relabelled`: for another agent, and says it is for this one. `other_params`,
 * `other_type`, `other_id`: over another command. `v2`: without the agent's id. `v1`: without the instant.
 */
export const SignModeSchema = v.picklist([
  "good",
  "none",
  "wrong",
  "other_key",
  "unknown_key",
  "retired_key",
  "other_agent",
  "relabelled",
  "other_params",
  "other_type",
  "other_id",
  "v2",
  "v1",
]);

/** A way to sign. */
export type SignMode = v.InferOutput<typeof SignModeSchema>;

/** What a signature is over. */
export interface Signable {
  readonly id: string;
  readonly agentId: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  readonly signedAtMs: number;
}

/** What a command carries of its signature; `null`: that field is absent. */
export interface CommandSignature {
  readonly signature: string | null;
  readonly keyId: string | null;
  readonly signedAtMs: number | null;
  /** The agent that the command says it is for. */
  readonly toldAgentId: string;
}

/** The text that a command's signature is over: the format that RedFlag calls v3. */
export function signedText(command: Signable): string {
  const { agentId, id, type, signedAtMs } = command;
  return `${agentId}:${id}:${type}:${paramsHash(command)}:${Math.floor(signedAtMs / 1_000)}`;
}

/** Signs a command in one of the ways. @throws {Error} if there is no retired key for `retired_key` */
export function signCommand(
  keys: SigningKeys,
  command: Signable,
  mode: SignMode = "good",
): CommandSignature {
  const primary = keys.primary();
  const { signedAtMs, agentId: toldAgentId } = command;
  const good = { keyId: primary.keyId, signedAtMs, toldAgentId };
  const over = (changed: Signable) => signText(primary.seed, signedText(changed));
  switch (mode) {
    case "good":
      return { ...good, signature: over(command) };
    case "none":
      return { signature: null, keyId: null, signedAtMs: null, toldAgentId };
    case "wrong":
      return { ...good, signature: flipped(over(command)) };
    case "other_key":
      return { ...good, signature: signText(randomToken(), signedText(command)) };
    case "unknown_key": {
      const { seed, keyId } = keyPairOf(randomToken());
      return { ...good, keyId, signature: signText(seed, signedText(command)) };
    }
    case "retired_key": {
      const retired = keys.all().find(({ isActive }) => !isActive);
      if (!retired) throw new Error("Cannot sign command: no key is retired");
      const signature = signText(retired.seed, signedText(command));
      return { ...good, keyId: retired.keyId, signature };
    }
    case "other_agent": {
      const agentId = crypto.randomUUID();
      return { ...good, toldAgentId: agentId, signature: over({ ...command, agentId }) };
    }
    case "relabelled":
      return { ...good, signature: over({ ...command, agentId: crypto.randomUUID() }) };
    case "other_params": {
      const params = { ...command.params, added: true };
      return { ...good, signature: over({ ...command, params }) };
    }
    case "other_type":
      return { ...good, signature: over({ ...command, type: "scan_system" }) };
    case "other_id":
      return { ...good, signature: over({ ...command, id: crypto.randomUUID() }) };
    case "v2": {
      const text = signedText(command).slice(command.agentId.length + 1);
      return { ...good, signature: signText(primary.seed, text) };
    }
    case "v1": {
      const text = `${command.id}:${command.type}:${paramsHash(command)}`;
      return { ...good, signedAtMs: null, signature: signText(primary.seed, text) };
    }
  }
}

function paramsHash({ params }: Signable): string {
  return createHash("sha256").update(goJson(params)).digest("hex");
}

function flipped(signature: string): string {
  const first = (Number.parseInt(signature[0]!, 16) ^ 1).toString(16);
  return first + signature.slice(1);
}
