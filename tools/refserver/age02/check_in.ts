/** `GET /agents/{id}/commands` of 0.2: takes what the agent tells, confirms, hands over, hands over again. */

import { type Call, json } from "../backend.ts";
import { isInstant } from "../bodies.ts";
import { instant } from "../check_in.ts";
import type { Reply } from "../connection.ts";
import { answer, attempt, type Backend02 } from "./backend.ts";
import { type CheckInBody, isUuid, readCheckIn } from "./bodies.ts";
import type { DeliveredCommand } from "./command_queue.ts";
import { recordVersion } from "./enrolment.ts";
import { isAtLeast } from "./versions.ts";

/** How long rapid polling is asked for when there is something to do. */
const BUSY_MS = 10 * 60 * 1_000;

const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/** One check-in; whatever its body says, it is answered. */
export function checkIn(backend: Backend02, call: Call): Reply {
  const { body, told } = readBody(backend, call);
  return backend.store.transaction(() => {
    const { agentId, nowMs } = call;
    const { agents, commands } = backend.store;
    keepBufferedEvents(backend, call, told);
    recordVersion(backend, call, { agentId, version: told.version });
    endSelfUpdate(backend, call, told.version);
    keepMetrics(backend, call, told);
    agents.checkedIn(agentId, { body, version: "" });
    agents.seen(agentId, nowMs);
    attempt(backend, call, () => keepScanners(backend, call, told.available_scanners));
    const received = backend.commands.receive(agentId, uuids(told.received_command_ids), nowMs);
    const taken = backend.commands.take(agentId, nowMs, backend.settings);
    const rapidUntil = rapidPolling(backend, call, { told, isBusy: taken.length > 0 });
    const acknowledged = commands.reported(uuids(told.pending_acknowledgments));
    const write = backend.settings.plainJson ? json : answer;
    const reply = write(200, {
      commands: taken.map(itemOf),
      ...rapidUntil !== null && { rapid_polling: { enabled: true, until: rapidUntil } },
      ...acknowledged.length > 0 && { acknowledged_ids: acknowledged },
      ...received.length > 0 && {
        receipt_confirmed_ids: received,
        confirmed_command_ids: received,
      },
    }, taken.map(({ type }) => type).join(", ") || "nothing to do");
    return { ...reply, handedOver: taken.map(({ id }) => id) };
  });
}

/** A command as it goes over the wire; what it does not have is absent. */
function itemOf({ id, type, params, createdAtMs, delivery }: DeliveredCommand) {
  return {
    id,
    type,
    params,
    signature: delivery.signature ?? undefined,
    key_id: delivery.keyId ?? undefined,
    signed_at: delivery.signedAtMs === null
      ? undefined
      : new Date(delivery.signedAtMs).toISOString(),
    agent_id: delivery.toldAgentId ?? undefined,
    created_at: new Date(createdAtMs).toISOString(),
  };
}

function readBody(backend: Backend02, call: Call): { body: unknown; told: CheckInBody } {
  const nothing = { body: undefined, told: readCheckIn({}).told };
  if (call.request.body === "") return nothing;
  let body: unknown;
  try {
    body = JSON.parse(call.request.body);
  } catch {
    backend.log.violate(call.request, "body is no JSON, and was passed over");
    return nothing;
  }
  const { told, wrong } = readCheckIn(body);
  for (const name of wrong) backend.log.violate(call.request, `passed over: ${name}`);
  return { body, told };
}

function uuids(ids: readonly string[]): string[] {
  return ids.filter(isUuid);
}

/**
 * Events in a check-in's metadata get the server's clock, and go where those of `/events` do. The real
 * server gives none of them an id of its own: the first one ever takes the zero UUID, and all others
 * are lost without a word.
 */
function keepBufferedEvents(backend: Backend02, call: Call, told: CheckInBody): void {
  const events = told.metadata?.["buffered_events"];
  if (!Array.isArray(events)) return;
  for (const event of events as (Record<string, unknown> | null)[]) {
    const textOf = (name: string) => {
      const value = event?.[name];
      return typeof value === "string" ? value : "";
    };
    const [event_type, event_subtype, severity] = ["event_type", "event_subtype", "severity"]
      .map(textOf) as [string, string, string];
    if (event_type === "" || event_subtype === "" || severity === "") continue;
    if (backend.events.has(NIL_UUID)) {
      backend.log.violate(call.request, "a buffered event in a check-in is lost");
      continue;
    }
    attempt(backend, call, () =>
      backend.events.add({
        id: NIL_UUID,
        agent_id: call.agentId,
        event_type,
        event_subtype,
        severity,
        component: textOf("component"),
        message: textOf("message"),
        metadata: event?.["metadata"],
        created_at: new Date(call.nowMs).toISOString(),
      }));
  }
}

/** A version at or past that of a self-update ends it. */
function endSelfUpdate(backend: Backend02, { agentId, nowMs }: Call, version: string): void {
  const updatingTo = backend.bindings.get(agentId)?.updatingTo ?? null;
  if (updatingTo === null || version === "" || !isAtLeast(version, updatingTo)) return;
  backend.bindings.setUpdating(agentId, null, nowMs);
  const open = backend.commands.list().findLast((command) =>
    command.agentId === agentId && command.type === "update_agent" && command.status !== "completed"
  );
  if (open) backend.store.commands.report(open.id, open.result, { status: "completed", nowMs });
}

function keepMetrics(backend: Backend02, { agentId }: Call, told: CheckInBody): void {
  const { cpu_percent, memory_percent, disk_used_gb, uptime } = told;
  if (!(cpu_percent > 0 || memory_percent > 0 || disk_used_gb > 0 || uptime !== "")) return;
  const { memory_used_gb, memory_total_gb, disk_total_gb, disk_percent } = told;
  const known = backend.store.agents.get(agentId)?.metadata ?? {};
  backend.store.agents.setMetadata(agentId, {
    ...known,
    cpu_percent,
    memory_percent,
    memory_used_gb,
    memory_total_gb,
    disk_used_gb,
    disk_total_gb,
    disk_percent,
    uptime,
  });
}

function keepScanners(backend: Backend02, { agentId }: Call, scanners: readonly string[]): void {
  if (scanners.length === 0) return;
  backend.subsystems.advertise(agentId, scanners);
  backend.bindings.setScanners(agentId, scanners);
}

/** Until when rapid polling is asked for, or `null`; the belief of the server ends if it is not shared. */
function rapidPolling(
  backend: Backend02,
  call: Call,
  { told, isBusy }: { told: CheckInBody; isBusy: boolean },
): string | null {
  const { agents } = backend.store;
  const { agentId, nowMs } = call;
  const { rapid_polling_enabled: enabled, rapid_polling_until: until } = told.metadata ?? {};
  if (typeof enabled === "boolean" && typeof until === "string") {
    if (isInstant(until)) agents.setRapidUntil(agentId, enabled ? until : null);
    else backend.log.violate(call.request, "rapid_polling_until is no RFC 3339 instant");
  }
  if (isBusy && backend.settings.autoHeartbeat) {
    agents.setRapidUntil(agentId, instant(nowMs + BUSY_MS));
  }
  const believed = agents.get(agentId)?.rapidUntil ?? null;
  if (believed === null || nowMs >= Date.parse(believed)) return null;
  if (enabled === true) return believed;
  agents.setRapidUntil(agentId, null);
  // In the history it looks like a command that the agent has carried out.
  const order = { agentId, type: "disable_heartbeat", params: {}, source: "system" as const };
  const id = backend.commands.create(order, nowMs);
  backend.commands.finish(id, {
    message: "Heartbeat cleared - agent restarted without active heartbeat mode",
  }, nowMs);
  return null;
}
