/** `POST /agents/{id}/logs` of 0.2: which word ends a command, which is stored as what, and when it is late. */

import { type Call, store } from "../backend.ts";
import type { LogReport } from "../bodies.ts";
import type { Reply } from "../connection.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { isUuid, LogSchema02 } from "./bodies.ts";
import { RESULTS_02 } from "./schema.ts";

/** What the words that the table refuses are stored as; `failed` for all others. */
const STORED_AS: ReadonlyMap<string, string> = new Map([
  ["updated", "success"],
  ["rollback", "success"],
  ["partial_failure", "partial"],
]);

const COMPLETES: ReadonlySet<string> = new Set(["success", "completed"]);
const FAILS: ReadonlySet<string> = new Set([
  "failed",
  "failure",
  "dry_run_failed",
  "partial_failure",
]);

/** A command in one of these states takes no further log. */
const OVER: ReadonlySet<string> = new Set(["completed", "failed", "timed_out"]);

/** Stores a result; nobody asks whose command it is. */
export function reportLog(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, LogSchema02);
  if ("reply" in decoded) return decoded.reply;
  const { subsystem: _, ...log } = decoded.value;
  checkLog(backend, call, log);
  return store(backend, call, {
    error: "failed to save log",
    work: () => backend.store.transaction(() => keep(backend, call, log)),
  });
}

function keep(backend: Backend02, call: Call, log: LogReport): Reply {
  const { agents, commands, reports } = backend.store;
  const { agentId, nowMs } = call;
  agents.seen(agentId, nowMs);
  const { command_id } = log;
  const current_status = commands.statusOf(command_id);
  if (current_status !== undefined && OVER.has(current_status)) {
    const body = { error: "duplicate log submission", command_id, current_status };
    return answer(409, body, `${log.action}: ${current_status} before`);
  }
  const result = RESULTS_02.includes(log.result)
    ? log.result
    : STORED_AS.get(log.result) ?? "failed";
  reports.addLog(agentId, { ...log, result }, nowMs);
  if (isUuid(command_id) && backend.settings.failCommandStates > 0) {
    backend.settings.failCommandStates -= 1;
    return answer(200, {
      message: "log saved but command state update failed",
      should_retry: true,
      reason: "pq: canceling statement due to statement timeout",
    }, "stored, but its command is as it was");
  }
  endCommand(backend, call, log);
  if (result === "failed") noteFailure(backend, call, log);
  return answer(200, { message: "log recorded" }, `${log.action}: ${log.result}`);
}

function endCommand(backend: Backend02, call: Call, log: LogReport): void {
  const { stdout, stderr, exit_code, duration_seconds, result } = log;
  const status = COMPLETES.has(result) ? "completed" : FAILS.has(result) ? "failed" : undefined;
  const at = new Date(call.nowMs).toISOString();
  const command = backend.store.commands.report(
    log.command_id,
    { stdout, stderr, exit_code, duration_seconds, logged_at: at },
    { ...status && { status }, nowMs: call.nowMs },
  );
  if (!command || status === undefined) return;
  if (command.type === "confirm_dependencies") {
    const { package_type, package_name } = command.params ?? {};
    const known = backend.store.reports.findPackage(
      call.agentId,
      String(package_type),
      String(package_name),
    );
    const to = status === "completed" ? "installed" : "failed";
    if (known) backend.packages.move(known, to, "installing");
  }
  if (command.type === "update_agent" && status === "failed") {
    backend.bindings.setUpdating(call.agentId, null, call.nowMs);
  }
}

function noteFailure(backend: Backend02, call: Call, log: LogReport): void {
  const reason = log.stderr || (log.exit_code !== 0 ? `exit code ${log.exit_code}` : "") ||
    "agent reported failure";
  const { action, stderr } = log;
  backend.events.note(call.agentId, {
    event_type: action === "update_agent" ? "agent_update" : "command_failed",
    event_subtype: "failed",
    severity: "error",
    message: `${action} failed: ${reason}`,
    metadata: { action, result: "failed", stderr, failure_reason: reason },
  }, { component: "agent", nowMs: call.nowMs });
}

/** What a correct agent does not send, although the server takes it. */
function checkLog(backend: Backend02, { request, agentId }: Call, log: LogReport): void {
  const { result, command_id } = log;
  if (result !== "success" && result !== "failed") {
    const isOpen = !COMPLETES.has(result) && !FAILS.has(result);
    const stored = RESULTS_02.includes(result) ? result : STORED_AS.get(result) ?? "failed";
    const rest = isOpen ? ", and its command stays open" : "";
    backend.log.violate(request, `result "${result}" is stored as "${stored}"${rest}`);
  }
  if (command_id === "") return;
  if (!isUuid(command_id)) {
    backend.log.violate(request, "command_id is no UUID: the log belongs to no command");
    return;
  }
  const closing = backend.closings.find(({ commandId }) => commandId === command_id);
  if (closing && result === "failed") {
    backend.log.violate(request, `a failed scan that said scan_succeeded for ${closing.ecosystem}`);
  }
  const command = backend.store.commands.get(command_id);
  if (command && command.agentId !== agentId) {
    backend.log.violate(request, "log on another agent's command");
  } else if (command && command.sentAtMs === null) {
    backend.log.violate(request, "log on a command that was never handed over");
  }
}
