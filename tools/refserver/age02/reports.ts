/** The other reports to a server of 0.2: host facts, metrics, storage, images, processes, breakers, inventory. */

import { DatabaseError } from "../../../src/system/database.ts";
import { type Call, store } from "../backend.ts";
import { instant } from "../check_in.ts";
import { RapidModeSchema } from "../bodies.ts";
import type { Reply } from "../connection.ts";
import { YEAR_ONE } from "../reports_table.ts";
import { answer, attempt, type Backend02, read } from "./backend.ts";
import {
  BreakersSchema,
  DockerSchema,
  InventorySchema,
  isUuid,
  MetricsSchema,
  ProcessesSchema,
  StorageSchema,
  SystemInfoSchema02,
} from "./bodies.ts";
import type { RowKind } from "./reported_rows.ts";

/** So many snapshots of processes are kept. */
const SNAPSHOTS = 10;

/** `POST /agents/{id}/system-info`: merged into what is known of the agent. */
export function reportSystemInfo(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, SystemInfoSchema02);
  if ("reply" in decoded) return decoded.reply;
  const { agents, reports } = backend.store;
  const agent = agents.get(call.agentId);
  if (!agent) return answer(404, { error: "agent not found" });
  const { metadata, timestamp: _, device_type, device_model, os_distro, ...facts } = decoded.value;
  return store(backend, call, {
    error: "failed to update system info",
    work: () => {
      const told = Object.entries(facts).filter(([, value]) => value !== "" && value !== 0);
      agents.setMetadata(agent.id, { ...agent.metadata, ...Object.fromEntries(told), ...metadata });
      const device = { type: device_type, model: device_model, distro: os_distro };
      backend.bindings.setDevice(agent.id, device);
      reports.addSystemInfo(agent.id, JSON.parse(call.request.body), call.nowMs);
      return answer(200, { message: "system info updated successfully" }, "host facts");
    },
  });
}

/** `POST /agents/{id}/rapid-mode`. */
export function setRapidMode(backend: Backend02, call: Call): Reply {
  const { agents } = backend.store;
  if (!agents.get(call.agentId)) return answer(404, { error: "agent not found" });
  const decoded = read(backend, call, RapidModeSchema);
  if ("reply" in decoded) return decoded.reply;
  const { enabled, duration_minutes } = decoded.value;
  const untilMs = call.nowMs + duration_minutes * 60_000;
  agents.setRapidUntil(call.agentId, enabled ? instant(untilMs) : null);
  return answer(200, {
    message: `Rapid polling mode ${enabled ? "enabled" : "disabled"}`,
    enabled,
    duration_minutes,
    rapid_polling_until: new Date(untilMs).toISOString(),
  }, enabled ? "on" : "off");
}

/** `POST /agents/{id}/metrics`: what `scan_system` finds; one transaction. */
export function reportMetrics(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, MetricsSchema);
  if ("reply" in decoded) return decoded.reply;
  const { command_id, timestamp, metrics } = decoded.value;
  const refused = refuseCommand(backend, call, command_id);
  if (refused) return refused;
  return store(backend, call, {
    error: "failed to record metrics events",
    work: () => {
      backend.store.agents.seen(call.agentId, call.nowMs);
      const createdAt = { created_at: timestamp ?? YEAR_ONE };
      const rows = metrics.map((metric) => ({ ...metric, ...createdAt }));
      addRows(backend, call, { kind: "metric", commandId: command_id, rows });
      const body = { message: "metrics events recorded", count: metrics.length, command_id };
      return answer(200, body, `${metrics.length} metrics`);
    },
  });
}

/** `POST /agents/{id}/storage-metrics`: row by row, so that a bad one leaves those before it. */
export function reportStorage(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, StorageSchema, "Invalid request body");
  if ("reply" in decoded) return decoded.reply;
  const { agent_id, command_id, metrics } = decoded.value;
  const refused = refuseOtherAgent(backend, call, agent_id);
  if (refused) return refused;
  return store(backend, call, {
    error: "Failed to insert storage metric",
    work: () => {
      for (const row of metrics) {
        backend.rows.add(rowOf(call, { kind: "storage_metric", commandId: command_id, row }));
      }
      const message = "Storage metrics reported successfully";
      return answer(200, { status: "success", message }, `${metrics.length} mounts`);
    },
  });
}

/** `POST /agents/{id}/docker-images`: images in one transaction; what else does not fit is only logged. */
export function reportDocker(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, DockerSchema);
  if ("reply" in decoded) return decoded.reply;
  const { command_id, images, containers, stacks } = decoded.value;
  const refused = refuseCommand(backend, call, command_id);
  if (refused) return refused;
  return store(backend, call, {
    error: "failed to record docker image events",
    work: () => {
      backend.store.agents.seen(call.agentId, call.nowMs);
      addRows(backend, call, { kind: "docker_image", commandId: command_id, rows: images });
      for (
        const [kind, rows] of [["docker_container", containers], ["docker_stack", stacks]] as const
      ) {
        attempt(
          backend,
          call,
          () => addRows(backend, call, { kind, commandId: command_id, rows }),
        );
      }
      const body = { message: "docker image events recorded", count: images.length, command_id };
      return answer(200, body, `${images.length} images`);
    },
  });
}

/** `POST /agents/{id}/process-scan`: the newest ten are kept. */
export function reportProcesses(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, ProcessesSchema, "Invalid request body");
  if ("reply" in decoded) return decoded.reply;
  const { agent_id, command_id, snapshot } = decoded.value;
  const refused = refuseOtherAgent(backend, call, agent_id);
  if (refused) return refused;
  return store(backend, call, {
    error: "Failed to save processes",
    work: () => {
      const { processes } = snapshot;
      if (processes.some(({ state }) => [...state].length > 1)) {
        throw new DatabaseError("Cannot change database: state over 1", { reason: "failed" });
      }
      const kind = "process_snapshot";
      backend.rows.add(rowOf(call, { kind, commandId: command_id, row: snapshot }));
      backend.rows.keepNewest(kind, call.agentId, SNAPSHOTS);
      const snapshot_id = crypto.randomUUID();
      const body = { status: "success", snapshot_id, processes: processes.length };
      return answer(200, body, `${processes.length} processes`);
    },
  });
}

/** `POST /agents/{id}/circuit-breakers`: the real one only logs it. */
export function reportBreakers(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, BreakersSchema, "invalid report format");
  if ("reply" in decoded) return decoded.reply;
  const { subsystems } = decoded.value;
  for (const { state } of subsystems) {
    if (!["closed", "open", "half-open"].includes(state)) {
      backend.log.violate(call.request, `state "${state}" means nothing here`);
    }
  }
  return store(backend, call, {
    error: "",
    work: () => {
      addRows(backend, call, { kind: "circuit_breaker", commandId: "", rows: subsystems });
      const open = subsystems.filter(({ state }) => state === "open").length;
      const summary = `${open} of ${subsystems.length} breakers open`;
      if (open === 0) return answer(200, { status: "healthy" }, summary);
      const warning = "circuit breakers are open - auto-healing in progress";
      return answer(200, { status: "received", open_breakers: open, warning }, summary);
    },
  });
}

/** `POST /agents/{id}/inventory`. */
export function reportInventory(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, InventorySchema, "invalid request body");
  if ("reply" in decoded) return decoded.reply;
  const { command_id, inventory_ecosystem, items, scan_succeeded } = decoded.value;
  if (items.length === 0) return answer(200, { accepted: 0, message: "no items to report" });
  return store(backend, call, {
    error: "failed to upsert inventory: pq: value too long",
    work: () => {
      const rows = items.map((item) => ({ ...item, inventory_ecosystem }));
      addRows(backend, call, { kind: "inventory_item", commandId: command_id, rows });
      backend.store.agents.seen(call.agentId, call.nowMs);
      const body = { accepted: items.length, ecosystem: inventory_ecosystem, scan_succeeded };
      return answer(200, body, `${items.length} items`);
    },
  });
}

/** `GET /agents/{id}/config`: without `check_in_interval`, which only a registration tells. */
export function getConfig(backend: Backend02, call: Call): Reply {
  if (!backend.store.agents.get(call.agentId)) return answer(404, { error: "agent not found" });
  const rows = backend.subsystems.of(call.agentId);
  const { jitterMaxSeconds, backoffBaseSeconds, backoffMaxSeconds, staleKeyMaxAgeHours } =
    backend.settings;
  return answer(200, {
    subsystems: Object.fromEntries(
      rows.map(({ subsystem, enabled, intervalMinutes, autoRun }) => [
        subsystem,
        { enabled, interval_minutes: intervalMinutes, auto_run: autoRun },
      ]),
    ),
    polling: {
      jitter_max_seconds: jitterMaxSeconds,
      backoff_base_seconds: backoffBaseSeconds,
      backoff_max_seconds: backoffMaxSeconds,
    },
    command_signing: { stale_key_max_age_hours: staleKeyMaxAgeHours },
    version: Math.floor(call.nowMs / 1_000),
  }, `${rows.length} subsystems`);
}

interface RowsOf {
  readonly kind: RowKind;
  readonly commandId: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

function addRows(backend: Backend02, call: Call, { rows, ...rest }: RowsOf): void {
  backend.store.transaction(() => {
    for (const row of rows) backend.rows.add(rowOf(call, { ...rest, row }));
  });
}

function rowOf(
  { agentId, nowMs }: Call,
  row: { kind: RowKind; commandId: string; row: Readonly<Record<string, unknown>> },
) {
  return { ...row, agentId, receivedAtMs: nowMs };
}

/** These reports belong to a command of the agent, whatever its state. */
function refuseCommand(backend: Backend02, call: Call, commandId: string): Reply | undefined {
  const violate = (what: string) => backend.log.violate(call.request, what);
  if (!isUuid(commandId)) {
    violate("command_id is no UUID");
    return answer(400, { error: "invalid command ID format" });
  }
  const command = backend.store.commands.get(commandId);
  if (!command) {
    violate("command_id of no command");
    return answer(404, { error: "command not found" });
  }
  if (command.agentId === call.agentId) return undefined;
  violate("command_id of another agent's command");
  return answer(403, { error: "unauthorized command" });
}

function refuseOtherAgent(backend: Backend02, call: Call, agentId: string): Reply | undefined {
  if (agentId.toLowerCase() === call.agentId) return undefined;
  backend.log.violate(call.request, "agent_id in the body is not the token's");
  return answer(400, { error: "Agent ID mismatch" });
}
