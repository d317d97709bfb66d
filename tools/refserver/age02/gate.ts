/** Who may pass to an agent's routes: machine binding, the minimum version, the database's pool. */

import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import { answer, type Backend02 } from "./backend.ts";
import { isAtLeast } from "./versions.ts";

/** Answers a request that may not pass; `agentId` is the token's. */
export function refuseAtGate(backend: Backend02, call: Call, agentId: string): Reply | undefined {
  const refused = checkBinding(backend, call, agentId);
  const stays = refused?.status === 403 || refused?.status === 426;
  if (stays && backend.callPatience.wears(agentId, call.nowMs)) {
    backend.log.violate(call.request, `hammers at ${refused.status}`);
  }
  return refused ?? shed(backend);
}

/** The checks of `MachineBindingMiddleware`, by what is stored; no header tells the version. */
function checkBinding(backend: Backend02, call: Call, agentId: string): Reply | undefined {
  const { request } = call;
  // Every error of this query is taken for "no such agent".
  const agent = backend.isDatabaseDown() ? undefined : backend.store.agents.get(agentId);
  const binding = agent && backend.bindings.get(agentId);
  if (!agent || !binding) return answer(401, { error: "agent not found" }, "agent not found");
  const nonce = request.headers.get("x-update-nonce");
  if (nonce) backend.log.violate(request, "sends X-Update-Nonce");
  if (nonce && binding.updatingTo !== null) {
    if (binding.publicKeyFingerprint === null) {
      return answer(403, { error: "server public key not configured" });
    }
    return panic("a fingerprint is read as a public key");
  }
  const { minAgentVersion } = backend.settings;
  const { currentVersion } = agent;
  const isOld = currentVersion !== "" && minAgentVersion !== "" &&
    !isAtLeast(currentVersion, minAgentVersion);
  if (isOld) {
    if (request.path.endsWith("/commands") && awaitsUpdate(backend, agentId)) return undefined;
    return answer(426, {
      error: "agent version too old - upgrade required for security",
      current_version: currentVersion,
      minimum_version: minAgentVersion,
      upgrade_instructions: "Please upgrade to the latest agent version and re-register",
    }, `${currentVersion} is too old`);
  }
  const machineId = request.headers.get("x-machine-id");
  if (!machineId) {
    backend.log.violate(request, "no X-Machine-ID");
    return answer(403, {
      error: "missing machine ID header - agent version too old or tampered",
      hint: "Please upgrade to the latest agent version (v0.1.22+)",
    }, "no machine id");
  }
  if (binding.machineId === null) {
    return answer(403, {
      error: "agent not bound to machine - re-registration required",
      hint:
        "This agent was registered before v0.1.22. Please re-register with a new registration token.",
    }, "not bound");
  }
  if (binding.machineId !== machineId) {
    return answer(403, {
      error: "machine ID mismatch - config file copied to different machine",
      hint: "Agent configuration is bound to the original machine. " +
        "Please register this machine with a new registration token.",
      security_note: "This prevents agent impersonation attacks",
    }, "another machine");
  }
  // It prints the first 16 bytes of an id, and Go panics where there are fewer.
  if (new TextEncoder().encode(machineId).length < 16) return panic("machine id under 16 bytes");
  return undefined;
}

function awaitsUpdate(backend: Backend02, agentId: string): boolean {
  return backend.commands.list().some((command) =>
    command.agentId === agentId && command.type === "update_agent" &&
    (command.status === "pending" || command.status === "sent")
  );
}

function shed(backend: Backend02): Reply | undefined {
  if (!backend.settings.poolSaturated) return undefined;
  const reply = answer(503, { error: "database pool saturated, retry shortly" }, "pool saturated");
  return { ...reply, headers: { ...reply.headers, "Retry-After": "2" } };
}

/** What gin answers for a handler that panics: 500, and nothing in it. */
function panic(why: string): Reply {
  return { status: 500, headers: {}, body: "", summary: `panic: ${why}` };
}
