/** What the routes of a server of 0.2 work with, and the few ways in which they answer. */

import type * as v from "valibot";
import { DatabaseError } from "../../../src/system/database.ts";
import { type Backend, type Call, decode, json } from "../backend.ts";
import type { Reply } from "../connection.ts";
import type { Bindings } from "./bindings.ts";
import type { CapabilityTokens } from "./capability_tokens.ts";
import type { CommandQueue } from "./command_queue.ts";
import { goJson } from "./go_json.ts";
import type { PackageStates } from "./package_states.ts";
import type { Patience } from "./patience.ts";
import type { RefreshFamilies } from "./refresh_families.ts";
import type { ReportedRows } from "./reported_rows.ts";
import type { Settings } from "./settings.ts";
import type { SigningKeys } from "./signing_keys.ts";
import type { Subsystems } from "./subsystems.ts";
import type { SystemEvents } from "./system_events.ts";

/** What a server of 0.2 has beyond one of 0.1. */
export interface Backend02 extends Backend {
  readonly bindings: Bindings;
  readonly refreshTokens: RefreshFamilies;
  readonly keys: SigningKeys;
  readonly commands: CommandQueue;
  readonly packages: PackageStates;
  readonly subsystems: Subsystems;
  readonly events: SystemEvents;
  readonly rows: ReportedRows;
  readonly capabilities: CapabilityTokens;
  readonly startedAtMs: number;
  readonly scheme: "http" | "https";
  /** The reports that closed rows by absence, to see whether a further part of one comes. */
  readonly closings: { agentId: string; commandId: string; ecosystem: string }[];
  /** With calls that 403 and 426 refuse, by agent. */
  readonly callPatience: Patience;
  /** With registrations that 409 refuses, by machine. */
  readonly registrationPatience: Patience;
  /** How often batches of events came that were wholly known. */
  readonly repeatedEvents: Map<string, number>;
  /** When timeouts were last looked for. */
  sweptAtMs: number;
  settings: Settings;
}

/** A handler; `call.agentId` is the agent that the real handler means: the token's, or the path's. */
export type Handler = (backend: Backend02, call: Call) => Reply | Promise<Reply>;

/** An answer in JSON as Go writes it. */
export function answer(status: number, body: unknown, summary = ""): Reply {
  return { ...json(status, body, summary), body: goJson(body) };
}

/** Reads a body, or refuses it with 400 and, where the real handler has one, a text of its own. */
export function read<Schema extends v.GenericSchema>(
  backend: Backend02,
  call: Call,
  schema: Schema,
  error?: string,
): { value: v.InferOutput<Schema> } | { reply: Reply } {
  const decoded = decode(backend, call, schema);
  if ("value" in decoded || error === undefined) return decoded;
  return { reply: answer(400, { error }, error) };
}

/** Does what the real server only logs the failure of; that it fails is a violation all the same. */
export function attempt(backend: Backend02, call: Call, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    backend.log.violate(call.request, `lost without a word: ${error.message}`);
  }
}
