/** `POST /agents/{id}/updates` of 0.2: one transaction, states that go back, and close-by-absence. */

import type * as v from "valibot";
import { type Call, store } from "../backend.ts";
import type { Reply } from "../connection.ts";
import { type KnownPackage, YEAR_ONE } from "../reports_table.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { UpdatesSchema02 } from "./bodies.ts";
import { ownMetadata } from "./package_states.ts";

type UpdateReport = v.InferOutput<typeof UpdatesSchema02>;

/** What `scan_succeeded` closes by absence; other rows wait for a person. */
const CLOSED_BY_ABSENCE: ReadonlySet<string> = new Set(["apt", "dnf", "pacman"]);

const PACKAGE_TYPES: ReadonlySet<string> = new Set([
  "apt",
  "dnf",
  "pacman",
  "windows_update",
  "winget",
  "docker_image",
]);

const IN_FLIGHT: ReadonlySet<string> = new Set([
  "checking_dependencies",
  "pending_dependencies",
  "installing",
]);

/** Keeps a report whole or not at all; with `scan_succeeded`, what it does not name is installed. */
export function reportUpdates(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, UpdatesSchema02);
  if ("reply" in decoded) return decoded.reply;
  const report = decoded.value;
  return store(backend, call, {
    error: "failed to record update events",
    work: () => {
      const { agentId, nowMs } = call;
      const { command_id, timestamp, updates } = report;
      checkReport(backend, call, report);
      backend.store.agents.seen(agentId, nowMs);
      const discoveredAt = timestamp ? new Date(timestamp).toISOString() : YEAR_ONE;
      const known = { agentId, commandId: command_id, discoveredAt };
      backend.packages.report(known, updates, nowMs);
      const closed = closeAbsent(backend, call, report);
      const body = { message: "update events recorded", count: updates.length, command_id };
      const more = closed.length > 0 ? `, ${closed.length} closed by absence` : "";
      return answer(200, body, `${updates.length} updates${more}`);
    },
  });
}

function closeAbsent(backend: Backend02, call: Call, report: UpdateReport): KnownPackage[] {
  const { ecosystem, scan_succeeded, updates } = report;
  if (!scan_succeeded || !CLOSED_BY_ABSENCE.has(ecosystem)) return [];
  const names = new Set(updates.map(({ package_name }) => package_name));
  const closed = backend.packages.closeAbsent(call.agentId, ecosystem, names);
  for (const { packageName } of closed) {
    backend.events.note(call.agentId, {
      event_type: "agent_update",
      event_subtype: "success",
      severity: "info",
      message: `scan-set closure: ${ecosystem}/${packageName} absent from ${ecosystem} scan, ` +
        "transitioned to installed (provenance: out_of_band)",
      metadata: {
        resolution_provenance: "out_of_band",
        closed_by: "scan_set_reconciler",
        ecosystem,
      },
    }, { nowMs: call.nowMs });
  }
  return closed;
}

/** What a correct agent does not send, although the server takes it. */
function checkReport(backend: Backend02, call: Call, report: UpdateReport): void {
  const { ecosystem, scan_succeeded, timestamp, updates, command_id } = report;
  const violate = (what: string) => backend.log.violate(call.request, what);
  if (!timestamp) violate("no timestamp: the rows are of the year 1");
  for (const update of updates) {
    const { package_type, package_name, available_version } = update;
    if (!PACKAGE_TYPES.has(package_type)) {
      violate(`package_type "${package_type}" means nothing here`);
    }
    if (package_name === "" || available_version === "") {
      violate("an update without name or version");
    }
    const known = backend.store.reports.findPackage(call.agentId, package_type, package_name);
    if (ownMetadata(update) === null) {
      violate(`metadata null wipes what is known of ${package_name}`);
    }
    if (known && IN_FLIGHT.has(known.status)) {
      violate(`resets ${package_name}, which is ${known.status}`);
    }
  }
  if (!scan_succeeded) {
    const whole = closings(backend, call, command_id).find(({ ecosystem: type }) =>
      updates.some(({ package_type }) => package_type === type)
    );
    if (whole) violate(`a further part of a list that said scan_succeeded for ${whole.ecosystem}`);
    return;
  }
  if (!CLOSED_BY_ABSENCE.has(ecosystem)) {
    violate(`scan_succeeded for "${ecosystem}", which nothing closes`);
    return;
  }
  if (updates.some(({ package_type }) => package_type !== ecosystem)) {
    violate(`scan_succeeded for ${ecosystem} with packages of another type`);
  }
  const names = new Set(updates.map(({ package_name }) => package_name));
  const missing = command_id === ""
    ? undefined
    : backend.packages.reportedFor(call.agentId, command_id, ecosystem)
      .find((name) => !names.has(name));
  if (missing) violate(`scan_succeeded in a part of a list: ${missing} was in another`);
  backend.closings.push({ agentId: call.agentId, commandId: command_id, ecosystem });
}

function closings(backend: Backend02, { agentId }: Call, commandId: string) {
  return backend.closings.filter((closing) =>
    closing.agentId === agentId && closing.commandId === commandId && commandId !== ""
  );
}
