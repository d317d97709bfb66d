/** How an agent comes to a server of 0.2, and stays: registration, renewal. */

import { type Call, store } from "../backend.ts";
import type { Reply } from "../connection.ts";
import { bearerToken } from "../tokens.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { RegisterSchema02, RenewSchema02 } from "./bodies.ts";
import type { RefreshToken } from "./refresh_families.ts";
import { isAtLeast } from "./versions.ts";

/** `POST /agents/register`: a machine that is known already is refused, and stays so. */
export async function register(backend: Backend02, call: Call): Promise<Reply> {
  const decoded = read(backend, call, RegisterSchema02);
  if ("reply" in decoded) return decoded.reply;
  const body = decoded.value;
  const { request, nowMs } = call;
  const given = bearerToken(request.headers.get("authorization")) || body.registration_token;
  if (!given) return answer(401, { error: "registration token required" }, "no token");
  if (backend.isDatabaseDown() || !backend.registrationTokens.has(given)) {
    return answer(401, { error: "invalid or expired registration token" }, "wrong token");
  }
  const conflict = refuseKnownMachine(backend, body.machine_id);
  if (conflict && backend.registrationPatience.wears(body.machine_id, nowMs)) {
    backend.log.violate(request, "hammers at 409");
  }
  if (conflict) return conflict;
  if (body.machine_id === "") backend.log.violate(request, "registers without a machine id");
  const { minAgentVersion } = backend.settings;
  if (!isAtLeast(body.agent_version, minAgentVersion)) {
    backend.log.violate(request, `registers version ${body.agent_version}, below the minimum`);
  }
  const id = crypto.randomUUID();
  const token = await backend.tokens.issue(id, nowMs);
  return store(backend, call, {
    error: "failed to register agent",
    work: () =>
      backend.store.transaction(() => {
        backend.store.agents.add({
          id,
          hostname: body.hostname,
          osType: body.os_type,
          osVersion: body.os_version,
          osArchitecture: body.os_architecture,
          agentVersion: body.agent_version,
          metadata: body.metadata,
        }, nowMs);
        backend.bindings.add({
          agentId: id,
          machineId: body.machine_id,
          publicKeyFingerprint: body.public_key_fingerprint,
          deviceType: body.device_type,
          deviceModel: body.device_model,
          osDistro: body.os_distro,
        });
        backend.subsystems.register(id, body.available_scanners);
        const refreshToken = backend.refreshTokens.begin(id, nowMs + backend.refreshTokenLifeMs);
        return answer(200, {
          agent_id: id,
          token,
          refresh_token: refreshToken,
          config: {
            check_in_interval: backend.checkInIntervalS,
            server_url: `${backend.scheme}://${request.headers.get("host") ?? ""}`,
          },
        }, `new agent ${id}`);
      }),
  });
}

function refuseKnownMachine(backend: Backend02, machineId: string): Reply | undefined {
  const bound = machineId === "" ? undefined : backend.bindings.ofMachine(machineId);
  const existing = bound && backend.store.agents.get(bound.agentId);
  return existing && answer(409, {
    error: "machine ID already registered to another agent",
    existing_agent_id: existing.id,
    existing_hostname: existing.hostname,
    existing_last_seen: `${new Date(existing.lastSeenAtMs).toISOString().slice(0, 19)}Z`,
    remediation:
      "If this host already has /etc/redflag/agent/config.json with a refresh_token, the install URL " +
      "upgrades in place — re-run it. If local config was lost, no Reclaim path exists yet; remove the " +
      "existing agent from the dashboard to re-register fresh.",
  }, `machine of ${existing.id}`);
}

/** `POST /agents/renew`: the token first, then the machine, then the rotation. */
export async function renew(backend: Backend02, call: Call): Promise<Reply> {
  const decoded = read(backend, call, RenewSchema02);
  if ("reply" in decoded) return decoded.reply;
  const { agent_id: id, refresh_token, agent_version } = decoded.value;
  const { nowMs } = call;
  if (backend.isDatabaseDown()) {
    return answer(500, { error: "token renewal failed" }, "no database");
  }
  const shown = backend.refreshTokens.find(id, refresh_token, nowMs);
  if (!shown) return answer(401, { error: "invalid or expired refresh token" }, "token is dead");
  const refused = refuseMachine(backend, call, id);
  if (refused) return refused;
  return await rotate(backend, call, { id, shown, agentVersion: agent_version });
}

async function rotate(
  backend: Backend02,
  call: Call,
  renewal: { id: string; shown: RefreshToken; agentVersion: string },
): Promise<Reply> {
  const { id, shown, agentVersion } = renewal;
  const { request, nowMs } = call;
  const rotation = backend.refreshTokens.rotate(shown, {
    nowMs,
    expiresAtMs: nowMs + backend.refreshTokenLifeMs,
  });
  if (rotation.outcome === "reuse") {
    backend.log.violate(request, "shows a refresh token whose successor was used: family revoked");
    return answer(401, { error: "refresh token reuse detected" }, "reuse, family revoked");
  }
  backend.store.agents.seen(id, nowMs);
  recordVersion(backend, call, { agentId: id, version: agentVersion });
  const token = await backend.tokens.issue(id, nowMs);
  return answer(200, { token, refresh_token: rotation.token }, rotation.outcome);
}

function refuseMachine(backend: Backend02, call: Call, agentId: string): Reply | undefined {
  const machineId = call.request.headers.get("x-machine-id");
  if (!machineId) {
    backend.log.violate(call.request, "no X-Machine-ID");
    return answer(403, { error: "missing machine ID header" }, "no machine id");
  }
  const binding = backend.bindings.get(agentId);
  if (!binding) return answer(404, { error: "agent not found" });
  if (binding.machineId === null) {
    return answer(403, { error: "agent not bound to machine - re-registration required" });
  }
  if (binding.machineId !== machineId) {
    return answer(403, {
      error: "machine ID mismatch - refresh token presented from a different machine",
      security_note:
        "renewal is bound to the registered machine; this prevents stolen-token replay",
    }, "another machine");
  }
  return undefined;
}

/** Overwrites the version that the minimum is compared with; one that is too long changes nothing. */
export function recordVersion(
  backend: Backend02,
  call: Call,
  told: { agentId: string; version: string },
): void {
  const { agentId, version } = told;
  if (version === "") return;
  if ([...version].length > 50) {
    backend.log.violate(call.request, "version over 50 characters");
    return;
  }
  if (!isAtLeast(version, backend.settings.minAgentVersion)) {
    backend.log.violate(call.request, `reports version ${version}, below the minimum`);
  }
  backend.store.agents.setVersion(agentId, version);
}
