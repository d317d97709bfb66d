/** How an agent comes and goes: register, renew, unregister. */

import { type Backend, type Call, decode, json, store } from "./backend.ts";
import { RegisterSchema, RenewSchema } from "./bodies.ts";
import type { Reply } from "./connection.ts";
import { bearerToken, hashToken, randomToken } from "./tokens.ts";

/** `POST /agents/register`. The same host registering twice becomes two agents. */
export async function register(backend: Backend, call: Call): Promise<Reply> {
  const decoded = decode(backend, call, RegisterSchema);
  if ("reply" in decoded) return decoded.reply;
  const body = decoded.value;
  const { request, nowMs } = call;
  const given = bearerToken(request.headers.get("authorization")) || body.registration_token;
  if (!given) return json(401, { error: "registration token required" }, "no token");
  // A token that cannot be looked up is taken for a wrong one.
  if (backend.isDatabaseDown() || !backend.registrationTokens.has(given)) {
    return json(401, { error: "invalid or expired registration token" }, "wrong token");
  }
  const id = crypto.randomUUID();
  const refreshToken = randomToken();
  const token = await backend.tokens.issue(id, nowMs);
  const answer = {
    agent_id: id,
    token,
    refresh_token: refreshToken,
    config: {
      check_in_interval: backend.checkInIntervalS,
      // Host and port, no scheme: so does the real one.
      server_url: request.headers.get("host") ?? "",
    },
  };
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
        const expiresAtMs = nowMs + backend.refreshTokenLifeMs;
        backend.store.agents.addRefreshToken(id, hashToken(refreshToken), expiresAtMs);
        return json(200, answer, `new agent ${id}`);
      }),
  });
}

/**
 * `POST /agents/renew`: a new access token, and the refresh token's life anew. Whatever is wrong is
 * the same 401: a dead token, a deleted agent, and a database that does not answer.
 */
export async function renew(backend: Backend, call: Call): Promise<Reply> {
  const decoded = decode(backend, call, RenewSchema);
  if ("reply" in decoded) return decoded.reply;
  const { agent_id: id, refresh_token: refreshToken } = decoded.value;
  const { nowMs } = call;
  const alive = !backend.isDatabaseDown() &&
    backend.store.agents.slideRefreshToken(id, hashToken(refreshToken), {
      nowMs,
      expiresAtMs: nowMs + backend.refreshTokenLifeMs,
    });
  if (!alive) return json(401, { error: "invalid or expired refresh token" }, "token is dead");
  backend.store.agents.seen(id, nowMs);
  return json(200, { token: await backend.tokens.issue(id, nowMs) }, "renewed");
}

/** `DELETE /agents/{id}`: the agent and all it reported. */
export function unregister(backend: Backend, call: Call): Reply {
  const agent = backend.store.agents.get(call.agentId);
  if (!agent) return json(404, { error: "agent not found" });
  backend.store.agents.remove(agent.id);
  return json(200, {
    message: "agent unregistered successfully",
    agent_id: agent.id,
    hostname: agent.hostname,
  }, "agent deleted");
}
