/** `GET /agents/{id}/commands`: takes what the agent tells, hands over what waits for it. */

import * as v from "valibot";
import { type Backend, type Call, json } from "./backend.ts";
import { CheckInSchema, isInstant } from "./bodies.ts";
import type { Reply } from "./connection.ts";

/** How long rapid polling is asked for when there is something to do. */
const BUSY_MS = 10 * 60 * 1_000;

/** What a check-in's body says, as far as it can be read. */
interface CheckIn {
  readonly body: Readonly<Record<string, unknown>> | undefined;
  readonly version: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly pendingAcknowledgments: readonly string[];
}

/**
 * One check-in. Its body is optional, and what cannot be read is passed over in silence; but a wrong
 * type in the two fields of rapid polling makes the real server panic, which answers 500 with
 * nothing in it.
 */
export function checkIn(backend: Backend, call: Call): Reply {
  const told = readCheckIn(backend, call);
  const panic = typeError(told.metadata);
  if (panic) {
    backend.log.violate(call.request, `server panic: ${panic}`);
    return { status: 500, headers: {}, body: "", summary: "panic" };
  }
  return backend.store.transaction(() => {
    const { agents, commands } = backend.store;
    const { agentId, nowMs } = call;
    agents.checkedIn(agentId, told);
    agents.seen(agentId, nowMs);
    const believed = believedUntil(backend, call, told);
    const taken = commands.take(agentId, nowMs);
    // A belief that the agent does not share ends here, even with commands to hand over.
    const denied = believed !== null && told.metadata["rapid_polling_enabled"] !== true;
    if (denied) {
      agents.setRapidUntil(agentId, null);
      // In the history it looks like a command that the agent has carried out.
      const entry = { id: crypto.randomUUID(), agentId, type: "disable_heartbeat", params: {} };
      const message = "Heartbeat cleared - agent restarted without active heartbeat mode";
      commands.addCompleted(entry, { message }, nowMs);
    }
    const busyUntil = taken.length > 0 ? instant(nowMs + BUSY_MS) : believed;
    const acknowledged = backend.old ? [] : commands.reported(told.pendingAcknowledgments);
    const reply = json(200, {
      commands: taken.map(({ id, type, params }) => ({ id, type, params })),
      ...(busyUntil === null || denied
        ? {}
        : { rapid_polling: { enabled: true, until: busyUntil } }),
      ...(acknowledged.length === 0 ? {} : { acknowledged_ids: acknowledged }),
    }, taken.map(({ type }) => type).join(", ") || "nothing to do");
    return { ...reply, handedOver: taken.map(({ id }) => id) };
  });
}

/** Until when the server believes in rapid polling, after what the agent told. */
function believedUntil(backend: Backend, call: Call, told: CheckIn): string | null {
  const { agents } = backend.store;
  const { rapid_polling_enabled: enabled, rapid_polling_until: until } = told.metadata;
  if (typeof enabled === "boolean" && typeof until === "string") {
    if (isInstant(until)) agents.setRapidUntil(call.agentId, enabled ? until : null);
    else backend.log.violate(call.request, "rapid_polling_until is no RFC 3339 instant");
  }
  const believed = agents.get(call.agentId)?.rapidUntil ?? null;
  return believed !== null && call.nowMs < Date.parse(believed) ? believed : null;
}

function readCheckIn(backend: Backend, call: Call): CheckIn {
  const nothing = { body: undefined, version: "", metadata: {}, pendingAcknowledgments: [] };
  if (call.request.body === "") return nothing;
  let body: unknown;
  try {
    body = JSON.parse(call.request.body);
  } catch {
    backend.log.violate(call.request, "body is no JSON, and was passed over");
    return nothing;
  }
  const parsed = v.safeParse(CheckInSchema, body);
  if (parsed.success) {
    const { version, metadata, pending_acknowledgments } = parsed.output;
    return {
      body: body as Record<string, unknown>,
      version,
      metadata,
      pendingAcknowledgments: pending_acknowledgments,
    };
  }
  backend.log.violate(call.request, `passed over: ${v.summarize(parsed.issues)}`);
  return isObject(body) ? { ...nothing, body, metadata: asObject(body["metadata"]) } : nothing;
}

/** What the real server's type assertions would trip over. */
function typeError(metadata: Readonly<Record<string, unknown>>): string | undefined {
  const { rapid_polling_enabled: enabled, rapid_polling_until: until } = metadata;
  if (enabled !== undefined && typeof enabled !== "boolean") {
    return "rapid_polling_enabled is no boolean";
  }
  if (until !== undefined && typeof until !== "string") return "rapid_polling_until is no string";
  return undefined;
}

/** As Go's `time.RFC3339` writes it. */
export function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
