/** What an agent reports: updates, logs, dependencies, host facts. */

import * as v from "valibot";
import { type Backend, type Call, decode, json, store } from "./backend.ts";
import { DependenciesSchema, LogSchema, SystemInfoSchema, UpdatesSchema } from "./bodies.ts";
import type { Reply } from "./connection.ts";

const PACKAGE_TYPES = new Set(["apt", "dnf", "windows_update", "winget", "docker_image"]);

/** `POST /agents/{id}/updates`: one transaction, so one bad item costs them all. */
export function reportUpdates(backend: Backend, call: Call): Reply {
  const decoded = decode(backend, call, UpdatesSchema);
  if ("reply" in decoded) return decoded.reply;
  const { command_id, timestamp, updates } = decoded.value;
  for (const { package_type } of updates) {
    if (!PACKAGE_TYPES.has(package_type)) {
      backend.log.violate(call.request, `package_type "${package_type}" means nothing here`);
    }
  }
  return store(backend, call, {
    error: "failed to record update events",
    work: () => {
      backend.store.agents.seen(call.agentId, call.nowMs);
      const report = {
        agentId: call.agentId,
        commandId: command_id,
        timestamp: timestamp ?? "",
        updates,
      };
      backend.store.reports.addUpdates(report, call.nowMs);
      const answer = { message: "update events recorded", count: updates.length, command_id };
      return json(200, answer, `${updates.length} updates`);
    },
  });
}

/** A command in one of these states takes no further log; servers up to v0.1.18 kept every one. */
const OVER: ReadonlySet<string> = new Set(["completed", "failed", "timed_out"]);

/** `POST /agents/{id}/logs`: `success` completes its command, `failed` fails it. */
export function reportLog(backend: Backend, call: Call): Reply {
  const decoded = decode(backend, call, LogSchema);
  if ("reply" in decoded) return decoded.reply;
  const log = decoded.value;
  if (log.command_id !== "" && !v.is(v.pipe(v.string(), v.uuid()), log.command_id)) {
    backend.log.violate(call.request, "command_id is no UUID: the log belongs to no command");
  }
  return store(backend, call, {
    error: "failed to save log",
    work: () =>
      backend.store.transaction(() => {
        const { agents, commands, reports } = backend.store;
        agents.seen(call.agentId, call.nowMs);
        const current_status = backend.old ? undefined : commands.statusOf(log.command_id);
        if (current_status !== undefined && OVER.has(current_status)) {
          const { command_id } = log;
          const answer = { error: "duplicate log submission", command_id, current_status };
          return json(409, answer, `${log.action}: ${current_status} before`);
        }
        reports.addLog(call.agentId, log, call.nowMs);
        const { stdout, stderr, exit_code, duration_seconds } = log;
        const command = commands.report(
          log.command_id,
          { stdout, stderr, exit_code, duration_seconds },
          { ...statusAfter(log.result), nowMs: call.nowMs },
        );
        if (log.result === "success" && command?.type === "confirm_dependencies") {
          markUpdated(backend, call, command.params ?? {});
        }
        return json(200, { message: "log recorded" }, `${log.action}: ${log.result}`);
      }),
  });
}

/** `POST /agents/{id}/dependencies`: none means that the installation goes ahead by itself. */
export function reportDependencies(backend: Backend, call: Call): Reply {
  const decoded = decode(backend, call, DependenciesSchema);
  if ("reply" in decoded) return decoded.reply;
  const report = decoded.value;
  return store(backend, call, {
    error: "failed to update package status",
    work: () =>
      backend.store.transaction(() => {
        const { agents, commands, reports } = backend.store;
        const { package_type, package_name, dependencies } = report;
        agents.seen(call.agentId, call.nowMs);
        const known = reports.findPackage(call.agentId, package_type, package_name);
        if (!known && dependencies.length === 0) {
          return json(500, { error: "failed to get update details" }, "unknown package");
        }
        reports.addDependencies(call.agentId, report, call.nowMs);
        if (!known || dependencies.length > 0) {
          if (known) {
            const from = ["checking_dependencies", "installing"] as const;
            reports.setPackageStatus(known.id, "pending_dependencies", from);
          }
          const answer = { message: "dependencies reported and status updated" };
          return json(200, answer, `${package_name}: ${dependencies.length} dependencies`);
        }
        const id = crypto.randomUUID();
        const params = { update_id: known.id, package_name, package_type, dependencies: [] };
        commands.add(
          { id, agentId: call.agentId, type: "confirm_dependencies", params },
          call.nowMs,
        );
        reports.setPackageStatus(known.id, "installing", ["checking_dependencies"]);
        return json(200, {
          message: "no dependencies found - installation command created automatically",
          command_id: id,
        }, `${package_name}: no dependencies, goes ahead`);
      }),
  });
}

/** `POST /agents/{id}/system-info`: facts about the host, merged into what is known of the agent. */
export function reportSystemInfo(backend: Backend, call: Call): Reply {
  const decoded = decode(backend, call, SystemInfoSchema);
  if ("reply" in decoded) return decoded.reply;
  const { agents, reports } = backend.store;
  const agent = agents.get(call.agentId);
  if (!agent) return json(404, { error: "agent not found" });
  const { metadata, timestamp: _, ...facts } = decoded.value;
  return store(backend, call, {
    error: "failed to update system info",
    work: () => {
      const told = Object.entries(facts).filter(([, value]) => value !== "" && value !== 0);
      agents.setMetadata(agent.id, { ...agent.metadata, ...Object.fromEntries(told), ...metadata });
      reports.addSystemInfo(agent.id, JSON.parse(call.request.body), call.nowMs);
      return json(200, { message: "system info updated successfully" }, "host facts");
    },
  });
}

function statusAfter(result: string): { status?: "completed" | "failed" } {
  if (result === "success") return { status: "completed" };
  if (result === "failed") return { status: "failed" };
  return {};
}

function markUpdated(backend: Backend, call: Call, params: Readonly<Record<string, unknown>>) {
  const { reports } = backend.store;
  const { package_type: type, package_name: name } = params;
  const known = reports.findPackage(call.agentId, String(type), String(name));
  if (known) reports.setPackageStatus(known.id, "updated");
}
