/** What a server of 0.2 gives up on: commands that wait, are sent or are received for too long. */

import type { Backend02 } from "./backend.ts";
import type { DeliveredCommand } from "./command_queue.ts";

/** A self-update that no new version has attested ends after so long. */
const UPDATE_MS = 15 * 60 * 1_000;

/** Looks for timeouts, if it is time to look; before any request is acted upon. */
export function sweep(backend: Backend02, nowMs: number): void {
  if (nowMs - backend.sweptAtMs < backend.settings.sweepIntervalS * 1_000) return;
  backend.sweptAtMs = nowMs;
  backend.store.transaction(() => {
    for (const command of backend.commands.list()) {
      const limitS = limitOf(backend, command);
      if (limitS === undefined) continue;
      const sinceMs = command.status === "received"
        ? command.delivery.receivedAtMs
        : command.status === "sent"
        ? command.sentAtMs
        : command.createdAtMs;
      if (sinceMs !== null && sinceMs < nowMs - limitS * 1_000) {
        timeOut(backend, command, { limitS, nowMs });
      }
    }
    for (const { agentId, updatingSinceMs } of backend.bindings.list()) {
      if (updatingSinceMs !== null && updatingSinceMs < nowMs - UPDATE_MS) {
        backend.bindings.setUpdating(agentId, null, nowMs);
      }
    }
  });
}

function limitOf({ settings }: Backend02, { status }: DeliveredCommand): number | undefined {
  if (status === "pending") return settings.pendingTimeoutS;
  if (status === "sent") return settings.sentTimeoutS;
  if (status === "received") return settings.receivedTimeoutS;
  return undefined;
}

function timeOut(
  backend: Backend02,
  command: DeliveredCommand,
  { limitS, nowMs }: { limitS: number; nowMs: number },
): void {
  const { id, agentId, type, params, status } = command;
  // The code takes a received command for one that waited, when it says how long.
  const told = goDuration(status === "sent" ? limitS : backend.settings.pendingTimeoutS);
  const at = new Date(nowMs).toISOString();
  const result = { error: "operation timed out", timeout_at: at, duration: told, command_id: id };
  backend.commands.timeOut(id, result);
  const { package_type: packageType, package_name: packageName, update_id: updateId } = params ??
    {};
  if (typeof updateId === "string") {
    const { reports } = backend.store;
    const known = reports.findPackage(agentId, String(packageType), String(packageName));
    if (known) backend.packages.move(known, "failed");
  }
  backend.store.reports.addLog(agentId, {
    command_id: "",
    action: type,
    result: "failed",
    stdout: "",
    stderr: `Command ${type} timed out after ${told} (timeout_id: ${id})`,
    exit_code: 124,
    duration_seconds: limitS,
  }, nowMs);
  backend.events.note(agentId, {
    event_type: "command_failed",
    event_subtype: "timed_out",
    severity: "warning",
    message: `Command ${type} (${id}) timed out after ${told} with no agent result`,
    metadata: { command_id: id, command_type: type, prior_status: status, timeout: told },
  }, { nowMs });
}

/** A duration as Go writes it: `30m0s`, `2h0m0s`. */
function goDuration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const parts = [hours > 0 && `${hours}h`, seconds >= 60 && `${minutes}m`, `${seconds % 60}s`];
  return parts.filter(Boolean).join("");
}
