/** What every route works with, and the few ways in which a route answers. */

import * as v from "valibot";
import { DatabaseError } from "../../src/system/database.ts";
import type { Reply } from "./connection.ts";
import type { WireRequest } from "./http_wire.ts";
import type { RateLimiter, RateLimits } from "./rate_limit.ts";
import type { RequestLog } from "./request_log.ts";
import type { Store } from "./store.ts";
import type { AccessTokens } from "./tokens.ts";

/** What the routes work with. */
export interface Backend {
  readonly store: Store;
  readonly tokens: AccessTokens;
  readonly limiter: RateLimiter;
  readonly limits: RateLimits;
  readonly log: RequestLog;
  readonly registrationTokens: ReadonlySet<string>;
  readonly checkInIntervalS: number;
  readonly refreshTokenLifeMs: number;
  /** A server of before acknowledgements, system-info and refused duplicates. */
  readonly old: boolean;
  /** What the versions of agents are compared with. */
  readonly latestAgentVersion: string;
  nowMs(): number;
  /** Whether every query fails. */
  isDatabaseDown(): boolean;
}

/** One request on its way through a route. */
export interface Call {
  readonly request: WireRequest;
  /** Of the path; empty where the path has none. */
  readonly agentId: string;
  readonly nowMs: number;
}

/** An answer in JSON. */
export function json(status: number, body: unknown, summary = ""): Reply {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  return { status, headers, body: JSON.stringify(body), summary };
}

/** A refusal that a correct agent never meets: noted as a violation. */
export function refuse(
  backend: Backend,
  call: Call,
  refusal: { status: number; error: string; why?: string },
): Reply {
  backend.log.violate(call.request, refusal.why ?? refusal.error);
  return json(refusal.status, { error: refusal.error }, refusal.error);
}

/** Reads a body, or refuses it with 400. */
export function decode<Schema extends v.GenericSchema>(
  backend: Backend,
  call: Call,
  schema: Schema,
): { value: v.InferOutput<Schema> } | { reply: Reply } {
  let body: unknown;
  try {
    body = JSON.parse(call.request.body);
  } catch {
    return { reply: refuse(backend, call, { status: 400, error: "invalid JSON" }) };
  }
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return { value: parsed.output };
  const error = parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`).join("; ");
  return { reply: refuse(backend, call, { status: 400, error }) };
}

/** Does what touches the database; what the database refuses is a 500, and all of it undone. */
export function store(
  backend: Backend,
  call: Call,
  options: { error: string; work: () => Reply },
): Reply {
  try {
    return options.work();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    // A foreign key of a deleted agent: what it reports is as it should be.
    const isDeleted = call.agentId !== "" && !backend.store.agents.get(call.agentId);
    if (isDeleted) return json(500, { error: options.error }, "agent is deleted");
    return refuse(backend, call, { status: 500, error: options.error, why: error.message });
  }
}
