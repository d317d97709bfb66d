/**
 * Refusals of this host as a whole, which RedFlag 0.2 bases on its machine binding and on its minimum
 * version: recognised by the status and the beginning of the server's words. Pure. Read in RedFlag
 * 0.2.9.3 (`middleware/machine_binding.go`, `handlers/agents.go`).
 */

import * as v from "valibot";
import { ANSWER_LIMITS, decodeJson, type JsonText } from "../json.ts";
import { quoteWords } from "../redact.ts";

/**
 * Why a server refuses this host, whatever the host asks for.
 *
 * `version_too_old`: the version that the server has recorded is below its minimum. `machine_id_missing`:
 * no machine id arrived. `machine_not_bound`: the agent was registered without one. `machine_mismatch`:
 * it was registered with another one. `already_registered`: another agent has this machine's id.
 */
export const REFUSAL_CAUSES = [
  "version_too_old",
  "machine_id_missing",
  "machine_not_bound",
  "machine_mismatch",
  "already_registered",
] as const;

/** One of `REFUSAL_CAUSES`. */
export type RefusalCause = typeof REFUSAL_CAUSES[number];

/** What is known about a refusal. Each text is printable and has at most 300 characters. */
export interface RefusalFacts {
  /** As whom this host called: the agent's id, its machine id and its version. */
  readonly agentId?: string | undefined;
  readonly machineId?: string | undefined;
  readonly version?: string | undefined;
  /** The lowest version that the server accepts, and the one that it has recorded. */
  readonly minimumVersion?: string | undefined;
  readonly recordedVersion?: string | undefined;
  /** The agent that has this machine's id, as the server describes it. */
  readonly existingAgentId?: string | undefined;
  readonly existingHostName?: string | undefined;
  readonly existingLastSeen?: string | undefined;
  /** What the server itself advises. */
  readonly remediation?: string | undefined;
}

/** A refusal with its facts. */
export interface Refusal {
  readonly cause: RefusalCause;
  readonly facts: RefusalFacts;
}

/** The beginning of the server's words in lower case, by status; it may say more after them. */
const WORDS: readonly (readonly [status: number, words: string, cause: RefusalCause])[] = [
  [426, "agent version too old", "version_too_old"],
  [403, "missing machine id header", "machine_id_missing"],
  [403, "agent not bound to machine", "machine_not_bound"],
  [403, "machine id mismatch", "machine_mismatch"],
  [409, "machine id already registered", "already_registered"],
];

/** The fields of the body that are facts. */
const FIELDS: readonly (readonly [field: string, name: keyof RefusalFacts])[] = [
  ["minimum_version", "minimumVersion"],
  ["current_version", "recordedVersion"],
  ["existing_agent_id", "existingAgentId"],
  ["existing_hostname", "existingHostName"],
  ["existing_last_seen", "existingLastSeen"],
  ["remediation", "remediation"],
];

/** Limits of a body that is read; RedFlag's have less than 1 KB. */
const BODY_LIMITS = { ...ANSWER_LIMITS, maxLength: 16_384 };

/** Longest text of a body that is taken over, in characters. */
export const FACT_LIMIT = 300;

const refusalBody = v.looseObject({ error: v.string() });

/** Reads a refusal of this host; `null` if the answer concerns the request alone. Never throws. */
export function readRefusal(status: number, body: JsonText): Refusal | null {
  if (!WORDS.some(([known]) => known === status)) return null;
  const read = decodeJson(refusalBody, body, BODY_LIMITS);
  if (!read.ok) return null;
  const words = read.value.error.trimStart().toLowerCase();
  const found = WORDS.find(([known, text]) => known === status && words.startsWith(text));
  if (found === undefined) return null;
  const [, , cause] = found;
  const facts = FIELDS.flatMap(([field, name]) => {
    const value = read.value[field];
    const text = typeof value === "string" ? quoteWords(value, FACT_LIMIT) : "";
    return text === "" ? [] : [[name, text] as const];
  });
  return { cause, facts: Object.fromEntries(facts) };
}
